"""Recordings in every container a browser or a phone makes, written by PyAV; plain helpers, no tests.

Audio comes in as float32 [samples] (mono) or [samples, channels]; a whole file comes back as bytes.
"""

from __future__ import annotations

import struct
import tempfile
from collections.abc import Iterable
from fractions import Fraction
from functools import cache
from io import BytesIO
from typing import Any

import av
import numpy as np
from av.stream import Disposition
from numpy.typing import NDArray

Samples = NDArray[np.float32]

SPEECH_SECONDS = 3.0
LAYOUTS = {1: "mono", 2: "stereo", 6: "5.1", 8: "7.1"}

# name: (PyAV format, codec, sample rate, muxer options). What the three browser engines record, and uploads.
_FRAGMENTED = {"movflags": "empty_moov+default_base_moof+frag_every_frame"}
FORMATS: dict[str, tuple[str, str, int, dict[str, str]]] = {
    "webm-opus": ("webm", "libopus", 48_000, {}),
    "webm-live-opus": ("webm", "libopus", 48_000, {"live": "1"}),  # as MediaRecorder: no duration, no cues
    "matroska-pcm": ("matroska", "pcm_f32le", 48_000, {}),
    "ogg-opus": ("ogg", "libopus", 48_000, {}),
    "mp4-aac": ("mp4", "aac", 44_100, {}),  # FFmpeg writes moov last unless told otherwise
    "mp4-aac-faststart": ("mp4", "aac", 44_100, {"movflags": "+faststart"}),
    "mp4-aac-fragmented": ("mp4", "aac", 48_000, _FRAGMENTED),
    "mp4-opus": ("mp4", "libopus", 48_000, {}),
    "adts-aac": ("adts", "aac", 44_100, {}),
    "mp3": ("mp3", "libmp3lame", 44_100, {}),
    "flac": ("flac", "flac", 44_100, {}),
    "wav-s16": ("wav", "pcm_s16le", 16_000, {}),
    "wav-adpcm": ("wav", "adpcm_ima_wav", 16_000, {}),  # dictation machines
    "caf-ima4": ("caf", "adpcm_ima_qt", 16_000, {}),
    "aiff": ("aiff", "pcm_s16be", 16_000, {}),
    "au-mulaw": ("au", "pcm_mulaw", 8_000, {}),
    "wma": ("asf", "wmav2", 44_100, {}),
}


def speech_like(seconds: float = SPEECH_SECONDS, rate: int = 16_000, channels: int = 1) -> Samples:
    """Four harmonics of a gliding 120-180 Hz voice in a 4 Hz syllable rhythm, peak 0.5; [samples(, channels)]."""
    t = np.arange(round(seconds * rate)) / rate
    phase = 2 * np.pi * (120 * t + 30 * t * t / max(seconds, 1e-9))
    voice = sum(np.sin(k * phase) / k for k in (1, 3, 5, 8))
    mono = voice * (0.55 - 0.45 * np.cos(2 * np.pi * 4 * t))
    mono = (0.5 * mono / max(float(np.abs(mono).max()), 1e-9)).astype(np.float32)
    return mono if channels == 1 else np.repeat(mono[:, None], channels, axis=1)


@cache
def recording(name: str, seconds: float = SPEECH_SECONDS, channels: int = 1) -> bytes:
    """`speech_like` in the container `name` of FORMATS (cached: encoding is the slow part of these tests)."""
    return encode(name, speech_like(seconds, FORMATS[name][2], channels))


def encode(name: str, audio: Samples) -> bytes:
    """`audio`, sampled at the rate FORMATS gives for `name`, in that container."""
    kind, codec, rate, options = FORMATS[name]
    # A real file: to move moov to the front, the muxer reads back what it wrote.
    with tempfile.NamedTemporaryFile() as file:
        with av.open(file.name, "w", format=kind, options=options) as container:
            _add_audio(container, codec, [audio], rate, bit_rate=64_000 if codec == "wmav2" else 0)
        return file.read()


def encode_pieces(kind: str, codec: str, rate: int, pieces: Iterable[Samples], bit_rate: int = 0) -> bytes:
    """A long recording without holding it as samples: mono `pieces` one after the other."""
    out = BytesIO()
    with av.open(out, "w", format=kind) as container:
        _add_audio(container, codec, pieces, rate, bit_rate=bit_rate)
    return out.getvalue()


def _add_audio(
    container: Any, codec: str, pieces: Iterable[Samples], rate: int, *, bit_rate: int = 0, stream: Any = None
) -> None:
    # `Any` because PyAV types streams by the literal name of the codec.
    position, step = 0, rate // 10
    for piece in pieces:
        samples = piece[:, None] if piece.ndim == 1 else piece
        layout = LAYOUTS[samples.shape[1]]
        if stream is None:
            stream = container.add_stream(codec, rate=rate, layout=layout)
            if bit_rate:
                stream.bit_rate = bit_rate
        # In steps, since a PCM encoder makes one packet of whatever it gets at once.
        for start in range(0, len(samples), step):
            block = np.ascontiguousarray(samples[start : start + step])
            frame = av.AudioFrame.from_ndarray(block.reshape(1, -1), "flt", layout)
            frame.sample_rate, frame.pts, frame.time_base = rate, position, Fraction(1, rate)
            position += len(block)
            container.mux(stream.encode(frame))
    container.mux(stream.encode(None))


def with_two_audio_streams(first: Samples, second: Samples, rate: int = 48_000) -> bytes:
    """Matroska with two opus tracks, `first` the earlier."""
    out = BytesIO()
    with av.open(out, "w", format="matroska") as container:
        streams = [container.add_stream("libopus", rate=rate, layout="mono") for _ in range(2)]
        for stream, audio in zip(streams, (first, second), strict=True):
            _add_audio(container, "libopus", [audio], rate, stream=stream)
    return out.getvalue()


def with_cover_art(audio: Samples, rate: int = 44_100) -> bytes:
    """An mp3 with an attached picture, as phones and editors write it."""
    out = BytesIO()
    with av.open(out, "w", format="mp3", options={"id3v2_version": "3"}) as container:
        cover: Any = container.add_stream("png", rate=1)
        cover.width = cover.height = 32
        cover.pix_fmt = "rgb24"
        cover.disposition = Disposition.attached_pic
        sound: Any = container.add_stream("libmp3lame", rate=rate, layout="mono")
        picture = av.VideoFrame.from_ndarray(np.full((32, 32, 3), 128, np.uint8), "rgb24")
        container.mux(cover.encode(picture))
        container.mux(cover.encode(None))
        _add_audio(container, "libmp3lame", [audio], rate, stream=sound)
    return out.getvalue()


def video(kind: str = "webm", codec: str = "libvpx", audio: Samples | None = None) -> bytes:
    """Ten frames of video, with a 48 kHz opus track when `audio` is given."""
    out = BytesIO()
    with av.open(out, "w", format=kind) as container:
        picture: Any = container.add_stream(codec, rate=10)
        picture.width = picture.height = 64
        picture.pix_fmt = "yuv420p"
        sound: Any = None if audio is None else container.add_stream("libopus", rate=48_000, layout="mono")
        for value in range(10):
            frame = av.VideoFrame.from_ndarray(np.full((64, 64, 3), value * 20, np.uint8), "rgb24")
            container.mux(picture.encode(frame.reformat(format="yuv420p")))
        container.mux(picture.encode(None))
        if audio is not None:
            _add_audio(container, "libopus", [audio], 48_000, stream=sound)
    return out.getvalue()


def matroska_of_single_samples(count: int) -> bytes:
    """48 kHz PCM in `count` blocks of one sample each: what a muxer never writes and a demuxer must survive."""
    whole = recording("matroska-pcm", 0.1)
    cluster = whole.index(b"\x1f\x43\xb6\x75")
    block = b"\xa3\x88\x81\x00\x00\x80" + struct.pack("<f", 0.5)  # SimpleBlock, 8 bytes, track 1, time 0, key
    # Segment and cluster of unknown size (8 bytes of it), as a live recorder writes them; see RFC 9559.
    segment = whole.index(b"\x18\x53\x80\x67") + 4
    header = whole[:segment] + b"\x01" + 7 * b"\xff" + whole[segment + 8 : cluster]
    return header + b"\x1f\x43\xb6\x75\x01" + 7 * b"\xff" + b"\xe7\x81\x00" + count * block


def raw_wav(samples: Samples, rate: int, encoding: str, *, data_size: int | None = None, extra: bytes = b"") -> bytes:
    """A WAV file written byte by byte, so that its header may also lie: `encoding` u8, s16, s24, s32, f32 or f64.

    `data_size` is what the header claims; `extra` is a chunk put before the data.
    """
    table = samples[:, None] if samples.ndim == 1 else samples
    bits = int(encoding[1:])
    if encoding == "u8":
        data = np.rint(table * 127 + 128).astype(np.uint8).tobytes()
    elif encoding == "s24":
        ints = np.rint(table.astype(np.float64) * (2**23 - 1)).astype("<i4")
        data = ints.reshape(-1, 1).view(np.uint8).reshape(-1, 4)[:, :3].tobytes()
    elif encoding.startswith("s"):
        data = np.rint(table.astype(np.float64) * (2 ** (bits - 1) - 1)).astype(f"<i{bits // 8}").tobytes()
    else:
        data = table.astype(f"<f{bits // 8}").tobytes()
    channels = table.shape[1]
    block = channels * bits // 8
    tag = 3 if encoding.startswith("f") else 1
    byte_rate = (rate * block) & 0xFFFFFFFF
    fmt = struct.pack("<4sIHHIIHH", b"fmt ", 16, tag, channels, rate, byte_rate, block, bits)
    size = len(data) if data_size is None else data_size
    body = fmt + extra + struct.pack("<4sI", b"data", size) + data
    riff = min(size + len(fmt) + len(extra) + 12, 0xFFFFFFFF)
    return struct.pack("<4sI4s", b"RIFF", riff, b"WAVE") + body
