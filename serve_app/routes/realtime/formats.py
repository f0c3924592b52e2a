"""Sound as the protocol carries it: base64 of raw samples, 16-bit PCM at 24 kHz or G.711 at 8 kHz."""

from __future__ import annotations

import base64
import binascii
from typing import Any, Literal, cast

import av
import numpy as np
from av.audio.codeccontext import AudioCodecContext

from serve_app.errors import InvalidField
from serve_app.protocols import STT_SAMPLE_RATE, Audio

Format = Literal["audio/pcm", "audio/pcmu", "audio/pcma"]
RATES: dict[Format, int] = {"audio/pcm": 24_000, "audio/pcmu": 8_000, "audio/pcma": 8_000}
_CODECS: dict[Format, str] = {"audio/pcm": "pcm_s16le", "audio/pcmu": "pcm_mulaw", "audio/pcma": "pcm_alaw"}
_WIDTHS: dict[Format, int] = {"audio/pcm": 2, "audio/pcmu": 1, "audio/pcma": 1}


class Intake:
    """What a client appends, as STT takes it: float32 mono at 16 kHz. One stream; it remembers a filter's tail."""

    def __init__(self, format_: Format) -> None:
        self.format: Format = format_
        self._decoder = _codec(format_, "r")
        self._resampler = av.AudioResampler("flt", "mono", STT_SAMPLE_RATE)

    def samples(self, encoded: Any) -> Audio:
        """The samples of one append.

        Raises:
            InvalidField: it is no base64, or no whole number of samples.
        """
        try:
            raw = base64.b64decode(encoded, validate=True)
        except (TypeError, ValueError, binascii.Error):
            raise InvalidField("audio must be base64.", code="invalid_value", param="audio") from None
        if len(raw) % _WIDTHS[self.format]:
            raise InvalidField(
                f"audio has {len(raw)} bytes, and a sample has {_WIDTHS[self.format]}: send whole samples.",
                code="invalid_value",
                param="audio",
            )
        if not raw:
            return np.zeros(0, np.float32)
        frames = [out for frame in self._decoder.decode(av.Packet(raw)) for out in self._resampler.resample(frame)]
        return np.concatenate([np.zeros(0, np.float32), *(frame.to_ndarray()[0] for frame in frames)])


class Outlet:
    """Speech as the client wants it."""

    def __init__(self, format_: Format) -> None:
        self.format: Format = format_
        self._encoder = _codec(format_, "w")
        self._resampler = av.AudioResampler("s16", "mono", RATES[format_])

    def encoded(self, samples: Audio, sample_rate: int) -> str:
        """Base64 of float32 samples."""
        whole = np.clip(samples * 32767, -32768, 32767).astype("<i2")
        if self.format == "audio/pcm" and sample_rate == RATES["audio/pcm"]:
            return base64.b64encode(whole.tobytes()).decode("ascii")
        frame = av.AudioFrame.from_ndarray(whole[None], format="s16", layout="mono")
        frame.sample_rate = sample_rate
        packets = [bytes(packet) for part in self._resampler.resample(frame) for packet in self._encoder.encode(part)]
        return base64.b64encode(b"".join(packets)).decode("ascii")


def _codec(format_: Format, mode: Literal["r", "w"]) -> AudioCodecContext:
    codec = cast(AudioCodecContext, av.CodecContext.create(_CODECS[format_], mode))
    codec.sample_rate = RATES[format_]
    codec.layout = "mono"
    if mode == "w":
        codec.format = "s16"
    return codec
