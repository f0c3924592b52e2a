"""Smart Turn v3.2: does the sound of the last 8 s say that the speaker has finished? ONNX, 8.7 MB, 23 languages.

https://huggingface.co/pipecat-ai/smart-turn-v3, BSD-2-Clause.
"""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import numpy as np

from serve_app.engines.turns.whisper_mel import log_mel
from serve_app.protocols import Audio


class SmartTurn:
    """One model for all learners of a process; asked at a pause, one question after the other in its own thread."""

    def __init__(self, model: Path) -> None:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.log_severity_level = 4
        self._session = onnxruntime.InferenceSession(str(model), options, providers=["CPUExecutionProvider"])
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="smart-turn")

    def ask(self, audio: Audio) -> Future[float]:
        """The probability (0..1) that the speaker of `audio`, 16 kHz, has finished; worked out beside the caller."""
        return self._pool.submit(self.finished, audio)

    def finished(self, audio: Audio) -> float:
        """The same, at once: about 50 ms of one core."""
        output = np.asarray(self._session.run(None, {"input_features": log_mel(audio)[None]})[0])
        return float(output.reshape(-1)[0])
