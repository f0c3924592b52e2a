"""The upper bounds promised for the figures of bench.turns."""

PROMISED = {
    "first_audio_ratio": 0.35,
    "first_audio_to_pipecat": 0.40,
    "written_to_pipecat": 0.75,
    "gap_s": 0.9,
    "first_token_ratio": 1.5,
    "ray_overhead_ms": 60,
    "ray_overhead_share": 0.08,
    "ready_s": 40,
    "memory_gb": 6,
}
