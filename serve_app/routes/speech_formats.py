"""Speech in the formats of OpenAI's API, encoded piece by piece: the first bytes are there with the first piece."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Literal, cast, get_args

import av
import numpy as np

from serve_app.audio import pcm16
from serve_app.protocols import Audio, Speech

SpeechFormat = Literal["mp3", "opus", "aac", "flac", "wav", "pcm"]
FORMATS: tuple[SpeechFormat, ...] = get_args(SpeechFormat)
SAMPLE_RATE = 24_000
"""That of OpenAI's pcm, and of every format here."""
_UNKNOWN = 0xFFFFFFFF
"""The size of a WAV file whose end is not known when its header is written."""


@dataclass(frozen=True, slots=True)
class _Codec:
    container: str
    codec: str
    media_type: str
    options: dict[str, str]
    bit_rate: int | None = None


_CODECS: dict[str, _Codec] = {
    # No Xing header: it states the length, which is not known yet, and would be written by going back.
    "mp3": _Codec("mp3", "libmp3lame", "audio/mpeg", {"write_xing": "0", "id3v2_version": "0"}, 64_000),
    # Pages of 0.1 s; by default the first would leave after a second of speech.
    "opus": _Codec("ogg", "libopus", "audio/ogg", {"page_duration": "100000"}, 48_000),
    "aac": _Codec("adts", "aac", "audio/aac", {}, 64_000),
    "flac": _Codec("flac", "flac", "audio/flac", {}),
}


def media_type(name: SpeechFormat) -> str:
    """The Content-Type of a format."""
    if name in _CODECS:
        return _CODECS[name].media_type
    return "audio/wav" if name == "wav" else "audio/pcm"


class SpeechEncoder:
    """One stream of speech in one format, mono at 24 kHz. Blocks for some milliseconds a second of speech."""

    def __init__(self, name: SpeechFormat) -> None:
        self._name = name
        self._written = bytearray()
        self._resampler: av.AudioResampler | None = None
        if name == "wav":
            self._written += _wav_header()
        if name in _CODECS:
            how = _CODECS[name]
            options = {**how.options, "flush_packets": "1"}
            self._container = av.open(self, "w", format=how.container, options=options)
            self._stream = cast(av.AudioStream, self._container.add_stream(how.codec, SAMPLE_RATE, layout="mono"))
            if how.bit_rate:
                self._stream.bit_rate = how.bit_rate

    def write(self, data: bytes) -> int:
        """Called by PyAV, which finds no `seek` here and so never goes back."""
        self._written += data
        return len(data)

    def encode(self, speech: Speech) -> bytes:
        """What can be sent now."""
        for samples in self._at_our_rate(speech):
            if self._name in _CODECS:
                frame = av.AudioFrame.from_ndarray(samples.reshape(1, -1), "fltp", "mono")
                frame.sample_rate = SAMPLE_RATE
                self._container.mux(self._stream.encode(frame))
            else:
                self._written += pcm16(samples)
        return self._taken()

    def finish(self) -> bytes:
        """The rest."""
        if self._name in _CODECS:
            self._container.mux(self._stream.encode(None))
        self.close()
        return self._taken()

    def close(self) -> None:
        """Free what the encoder holds."""
        if self._name in _CODECS:
            self._container.close()

    def _at_our_rate(self, speech: Speech) -> list[Audio]:
        if not len(speech.samples):
            return []
        if speech.sample_rate == SAMPLE_RATE:
            return [speech.samples]
        if self._resampler is None:
            self._resampler = av.AudioResampler("flt", "mono", SAMPLE_RATE)
        frame = av.AudioFrame.from_ndarray(speech.samples.reshape(1, -1), "flt", "mono")
        frame.sample_rate = speech.sample_rate
        return [one.to_ndarray().reshape(-1).astype(np.float32) for one in self._resampler.resample(frame)]

    def _taken(self) -> bytes:
        taken = bytes(self._written)
        self._written.clear()
        return taken


def _wav_header() -> bytes:
    """Of 16-bit mono; players read to the end of what comes."""
    layout = struct.pack("<IHHIIHH", 16, 1, 1, SAMPLE_RATE, SAMPLE_RATE * 2, 2, 16)
    size = struct.pack("<I", _UNKNOWN)
    return b"RIFF" + size + b"WAVEfmt " + layout + b"data" + size
