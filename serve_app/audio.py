"""Decodes browser recordings to float32 mono at 16 kHz, encodes float32 as WAV, joins and measures pieces.

Everything here is synchronous and CPU-bound: call `decode` in a thread (FFmpeg releases the GIL).
"""

from __future__ import annotations

import ctypes
import math
import wave
from collections.abc import Iterator
from functools import cache
from io import BytesIO
from itertools import chain, groupby

import av
import av._core
import av.error
import numpy as np
from av.container import InputContainer

from serve_app.errors import BadAudio, TooLarge
from serve_app.microphone import SILENCE_DBFS, brought_close, one_channel
from serve_app.protocols import STT_SAMPLE_RATE, Audio

ACCEPTED = (
    "webm (opus, vorbis), ogg (opus, vorbis, flac, speex), mp4, m4a or 3gp (aac, alac, opus, amr), mp3, flac, wav, "
    "amr, aiff, caf, au, w64, gsm or wma"
)
"""The formats `decode` takes, for its messages."""

_PCM = ("u8", "s8", "s16le", "s16be", "s24le", "s24be", "s32le", "s32be", "f32le", "f32be", "f64le", "f64be")
_CODECS = (
    *("opus", "vorbis", "aac", "alac", "flac", "mp3", "mp3float"),
    # Phones, telephony and dictation machines.
    *("amrnb", "amrwb", "speex", "gsm", "gsm_ms", "g722", "g726", "wmav1", "wmav2", "wmavoice"),
    *("adpcm_ima_wav", "adpcm_ima_qt", "adpcm_ms", "adpcm_yamaha"),
    *(f"pcm_{sample}" for sample in (*_PCM, "alaw", "mulaw")),
)

# An upload must not make FFmpeg open anything else: playlists (hls, concat, dash, sdp) are not among the
# formats, and no protocol is allowed to those that can refer to other files. The codec list keeps video and
# cover pictures of strangers away from the decoders while FFmpeg probes.
_CONTAINER_OPTIONS = {
    "format_whitelist": "matroska,ogg,mov,mp3,aac,flac,wav,amr,aiff,caf,au,w64,gsm,asf",
    "protocol_whitelist": "none",
    "codec_whitelist": ",".join(_CODECS),
}

# What libav and PyAV raise on broken input: ValueError covers a seek before the start of the BytesIO.
_BROKEN = (av.error.FFmpegError, ValueError, ArithmeticError, MemoryError)

_SAMPLE_RATES = range(4_000, 384_001)
_MAX_CHANNELS = 16
# Encoders add up to two frames of padding: a recording stopped right at the limit is not over it.
_PADDING_S = 0.1
# A crafted file may hold millions of packets that cost time and yield a sample each, or nothing. The shortest
# frame in use is 2.5 ms (opus): a track that has fallen this many packets behind 1 ms a packet is not sound.
_SPARE_PACKETS = 1_000
_PACKETS_PER_SECOND = 1_000
# An mp4 of 16 KB can claim 60 million samples, for which FFmpeg takes 2 GB before it reads one of them.
_MAX_ALLOCATION = 64 * 2**20


def decode(data: bytes, *, max_seconds: float) -> Audio:
    """Decode a whole recording held in memory, to one channel at a level that can be understood.

    Channels are averaged, unless that cancels the sound; a constant offset is removed, a quiet recording is raised
    (`serve_app.microphone`).

    The content decides, not a MIME type. Of a damaged or truncated file, what can be decoded is returned; of
    several sound tracks, the first. Time and memory are bounded by `max_seconds`, not by the recording.

    Returns float32 [samples] in -1..1 at 16 kHz (`STT_SAMPLE_RATE`), at least one sample.

    Raises:
        BadAudio: an empty body (code "no_audio"), or nothing that can be decoded (code "bad_audio").
        TooLarge: it lasts longer than `max_seconds` seconds (code "too_long").
    """
    if not data:
        raise BadAudio(f"No audio was received. Send one recording: {ACCEPTED}.", code="no_audio")
    _limit_allocations()
    try:
        # Tags are often not UTF-8, and PyAV reads them strictly unless told otherwise.
        with av.open(BytesIO(data), "r", container_options=_CONTAINER_OPTIONS, metadata_errors="replace") as container:
            return _decode_first_track(container, len(data), max_seconds)
    except _BROKEN as error:
        raise _bad("The recording cannot be decoded") from error


@cache
def _limit_allocations() -> None:
    """Let no single allocation of this process's FFmpeg exceed `_MAX_ALLOCATION` bytes."""
    try:
        # PyAV has no such call, but FFmpeg's symbols are found through the handle of PyAV's library.
        limit = ctypes.CDLL(av._core.__file__).av_max_alloc
    except (OSError, AttributeError):
        return  # PyAV is linked differently: everything but this limit still works
    limit.argtypes, limit.restype = [ctypes.c_size_t], None
    limit(_MAX_ALLOCATION)


def _bad(reason: str) -> BadAudio:
    return BadAudio(f"{reason}. Accepted: {ACCEPTED}, as one whole file.")


def _decode_first_track(container: InputContainer, size: int, max_seconds: float) -> Audio:
    if not container.streams.audio:
        raise _bad("The file has no sound track")
    stream = container.streams.audio[0]
    if stream.codec_context is None or stream.codec_context.codec.name not in _CODECS:
        raise _bad("The sound is coded in a way that is not supported")

    declared = _declared_seconds(container, stream, size)
    if declared is not None and declared > max_seconds + _PADDING_S:
        raise TooLarge(f"The recording lasts {declared:.1f} s; the limit is {max_seconds:g} s.", code="too_long")

    parts = [one_channel(part) for part in _resampled(_frames(container, stream, max_seconds))]
    audio = np.concatenate(parts) if parts else silence(0, STT_SAMPLE_RATE)
    if not audio.size:
        raise _bad("The recording holds no sound that can be decoded")
    return brought_close(audio)


def _resampled(frames: Iterator[av.AudioFrame]) -> Iterator[Audio]:
    """The frames at 16 kHz, [samples, channels], in as many parts as the track has forms."""
    # A track may change its form on the way (joined mp3 or aac files, HE-AAC); a resampler cannot.
    for (_, layout, _), alike in groupby(frames, _form):
        # The layout is kept and one channel made of it afterwards: FFmpeg's own downmix to float weighs channels and
        # can exceed 1. Packed on purpose: PyAV 18.1 reads past the planes of a planar frame of 8 channels.
        # In frames of a second, since some codecs have 500 a second, and each costs more than its samples.
        resampler = av.AudioResampler("flt", layout, STT_SAMPLE_RATE, frame_size=STT_SAMPLE_RATE)
        made = [one for frame in chain(alike, (None,)) for one in resampler.resample(frame)]
        if made:
            samples = [one.to_ndarray().reshape(-1, one.layout.nb_channels) for one in made]
            yield np.concatenate(samples, dtype=np.float32)


def _form(frame: av.AudioFrame) -> tuple[int, str, str]:
    return frame.sample_rate, frame.layout.name, frame.format.name


def _declared_seconds(container: InputContainer, stream: av.AudioStream, size: int) -> float | None:
    """The duration that the container states, in seconds; None where it states none worth believing."""
    kind, bit_rate = container.format.name, stream.codec_context.bit_rate or 0
    # These have no such field, or may miss it, and FFmpeg then divides the size by the nominal bit rate.
    if kind in ("mp3", "aac", "amr", "gsm") or (kind.startswith("matroska") and bit_rate):
        return None
    if stream.duration is not None and stream.time_base is not None:
        seconds = float(stream.duration * stream.time_base)
    elif container.duration is not None:
        seconds = container.duration / av.time_base
    else:
        return None
    if kind in ("wav", "w64", "aiff", "caf", "au") and bit_rate:
        # A file written to a pipe claims a size that it could not know.
        seconds = min(seconds, 8 * size / bit_rate)
    return seconds


def _frames(container: InputContainer, stream: av.AudioStream, max_seconds: float) -> Iterator[av.AudioFrame]:
    """Every frame that can be decoded; a damaged packet is dropped, a damaged container ends the track.

    Raises TooLarge as soon as more than `max_seconds` came out, whatever the header said, and BadAudio for a
    form of sound that is not supported.
    """
    packets = container.demux(stream)
    tried, seconds = 0, 0.0
    while tried <= _SPARE_PACKETS + _PACKETS_PER_SECOND * seconds:
        tried += 1
        try:
            packet = next(packets, None)  # None also after it has raised: a generator then is exhausted
            frames = [] if packet is None else packet.decode()
        except _BROKEN:
            continue
        if packet is None:
            return
        for frame in frames:
            if not isinstance(frame, av.AudioFrame):
                continue
            channels = frame.layout.nb_channels
            if frame.sample_rate not in _SAMPLE_RATES or not 1 <= channels <= _MAX_CHANNELS:
                raise _bad(f"Sound of {channels} channels at {frame.sample_rate} Hz is not supported")
            seconds += frame.samples / frame.sample_rate
            if seconds > max_seconds + _PADDING_S:
                raise TooLarge(f"The recording is longer than the limit of {max_seconds:g} s.", code="too_long")
            frame.pts = None  # gaps and jumps of the timestamps are not sound
            yield frame


def pcm16(audio: Audio) -> bytes:
    """Little-endian 16-bit samples, 32767 for 1.0; what is over full scale is clipped, NaN becomes 0."""
    return np.rint(np.nan_to_num(audio).clip(-1.0, 1.0) * 32767.0).astype("<i2").tobytes()


def wav(audio: Audio, sample_rate: int) -> bytes:
    """A complete mono PCM16 WAV file: the 44-byte RIFF header, then `pcm16`."""
    out = BytesIO()
    with wave.open(out, "wb") as file:
        file.setparams((1, 2, sample_rate, 0, "NONE", "not compressed"))
        file.writeframes(pcm16(audio))
    return out.getvalue()


def smooth_edges(audio: Audio, sample_rate: int, ms: float = 5.0) -> Audio:
    """A copy that rises from 0 and falls to 0 over `ms` (raised cosine), so that pieces join without a click."""
    faded = audio.astype(np.float32)
    samples = min(max(1, round(sample_rate * ms / 1000)), (len(faded) + 1) // 2)
    if samples:
        ramp = (0.5 - 0.5 * np.cos(np.pi * np.arange(samples) / samples)).astype(np.float32)
        faded[:samples] *= ramp
        faded[len(faded) - samples :] *= ramp[::-1]
    return faded


def trim_silence(audio: Audio, sample_rate: int, *, keep_ms: float = 40.0, floor_dbfs: float = -50.0) -> Audio:
    """Cut near-silence off both ends of a synthesised piece, all but `keep_ms` of it; a view, not a copy.

    Near-silence is a 10 ms window whose RMS level is below `floor_dbfs`; margins are exact to one window.
    A piece that holds nothing louder is cut to `keep_ms`.
    """
    keep = round(sample_rate * keep_ms / 1000)
    if not len(audio):
        return audio
    window = max(1, sample_rate // 100)
    starts = np.arange(0, len(audio), window)
    energy = np.add.reduceat(audio.astype(np.float64) ** 2, starts)
    mean_square = energy / np.diff(np.append(starts, len(audio)))
    loud = np.flatnonzero(mean_square > 10 ** (floor_dbfs / 10))
    if not loud.size:
        return audio[:keep]
    return audio[max(0, int(starts[loud[0]]) - keep) : int(starts[loud[-1]]) + window + keep]


def silence(seconds: float, sample_rate: int) -> Audio:
    """Digital silence, float32 [round(seconds * sample_rate)]."""
    return np.zeros(round(seconds * sample_rate), np.float32)


def duration_s(audio: Audio, sample_rate: int) -> float:
    """How long `audio` plays, in seconds."""
    return len(audio) / sample_rate


def dbfs(audio: Audio) -> float:
    """RMS level in dB relative to a constant 1.0 (a full-scale sine is -3.0); `SILENCE_DBFS` at least."""
    if not len(audio):
        return SILENCE_DBFS
    mean_square = float(np.mean(audio.astype(np.float64) ** 2))
    return max(SILENCE_DBFS, 10 * math.log10(mean_square)) if mean_square > 0 else SILENCE_DBFS
