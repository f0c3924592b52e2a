"""Silero VAD as a stream: the probability of a voice for every 32 ms of a microphone.

The ONNX model is the one inside faster-whisper's wheel (v6). It is found without importing that library. One session
serves all streams; what a stream remembers is in `VoiceStream`.
"""

from __future__ import annotations

from functools import cache
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from serve_app.errors import StackError
from serve_app.protocols import STT_SAMPLE_RATE, Audio

FRAME = 512
"""Samples at 16 kHz that the model judges at once: 32 ms."""

FRAME_S = FRAME / STT_SAMPLE_RATE

_CONTEXT = 64
"""Samples before a frame that the model is shown again."""


class Silero:
    """The model: one ONNX session, of which threads and streams may make use at the same time."""

    def __init__(self, path: Path) -> None:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.log_severity_level = 4
        self._session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])

    def stream(self) -> VoiceStream:
        """A new stream that has heard nothing yet."""
        return VoiceStream(self)

    def run(self, frame: Audio, h: Audio, c: Audio) -> tuple[float, Audio, Audio]:
        """The probability for one frame with its context, [576], and the model's state after it, 2 x [1, 1, 128]."""
        output, h, c = map(np.asarray, self._session.run(None, {"input": frame[None, :], "h": h, "c": c}))
        return float(output.reshape(-1)[0]), h, c


class VoiceStream:
    """One microphone: takes samples of any length and returns a probability for every full frame."""

    def __init__(self, model: Silero) -> None:
        self._model = model
        self.forget()

    def forget(self) -> None:
        """Begin anew: as if nothing had been heard."""
        self._h: NDArray[np.float32] = np.zeros((1, 1, 128), np.float32)
        self._c: NDArray[np.float32] = np.zeros((1, 1, 128), np.float32)
        self._context: Audio = np.zeros(_CONTEXT, np.float32)
        self._rest: Audio = np.zeros(0, np.float32)

    def feed(self, samples: Audio) -> list[float]:
        """The probabilities of the frames that these samples, float32 16 kHz, complete; what is left is kept."""
        heard = np.concatenate([self._rest, samples.astype(np.float32, copy=False)])
        whole = len(heard) // FRAME * FRAME
        probabilities: list[float] = []
        for begin in range(0, whole, FRAME):
            frame = heard[begin : begin + FRAME]
            probability, self._h, self._c = self._model.run(np.concatenate([self._context, frame]), self._h, self._c)
            self._context = frame[-_CONTEXT:]
            probabilities.append(probability)
        self._rest = heard[whole:].copy()
        return probabilities


@cache
def silero() -> Silero:
    """The model of this process, loaded once.

    Raises:
        StackError: faster-whisper, in which it comes, is not installed.
    """
    spec = find_spec("faster_whisper")
    for folder in (spec.submodule_search_locations if spec else None) or ():
        if (path := Path(folder, "assets", "silero_vad_v6.onnx")).is_file():
            return Silero(path)
    raise StackError("the voice detector comes with faster-whisper: pip install faster-whisper==1.2.1")
