"""`serve_app.audio` with files written by PyAV, and with broken and hostile files."""

from __future__ import annotations

import io
import random
import resource
import struct
import time
import tracemalloc
import wave
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import av
import numpy as np
import pytest
from support import containers
from support.containers import FORMATS, SPEECH_SECONDS, encode_pieces, raw_wav, recording, speech_like

from serve_app import audio as sound
from serve_app.errors import BadAudio, TooLarge
from serve_app.protocols import STT_SAMPLE_RATE, Audio

NEEDS_ITS_END = {"mp4-aac", "mp4-opus"}  # moov comes last: half a file has no index
FINDS_ITS_FEET = {"mp3", "adts-aac"}  # every frame has a header: the second half decodes too
TWO_HOURS = 7_200


def likeness(heard: Audio, said: Audio) -> tuple[float, float]:
    """Best normalised correlation, and the shift in seconds at which it is found."""
    size = 2 * max(len(heard), len(said))
    product = np.fft.rfft(heard, size) * np.conj(np.fft.rfft(said, size))
    correlation = np.fft.irfft(product)
    best = int(correlation.argmax())
    shift = best if best < size // 2 else best - size
    norm = float(np.linalg.norm(heard) * np.linalg.norm(said))
    return float(correlation[best]) / norm, shift / STT_SAMPLE_RATE


def assert_is_the_speech(heard: Audio, seconds: float = SPEECH_SECONDS) -> None:
    said = speech_like(seconds)
    assert heard.dtype == np.float32
    assert heard.ndim == 1
    assert sound.duration_s(heard, STT_SAMPLE_RATE) == pytest.approx(seconds, abs=0.15)
    correlation, shift = likeness(heard, said)
    assert correlation > 0.98
    assert abs(shift) < 0.05
    assert sound.dbfs(heard) == pytest.approx(sound.dbfs(said), abs=1.0)


# --- what is taken -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", FORMATS)
def test_every_container_decodes_to_what_was_said(name: str) -> None:
    assert_is_the_speech(sound.decode(recording(name), max_seconds=60))


@pytest.mark.parametrize(
    ("rate", "encoding", "channels"),
    [
        *[(8_000, "u8", 1), (8_000, "s16", 1), (11_025, "f64", 1), (16_000, "s16", 1), (44_100, "s16", 2)],
        *[
            (48_000, "s24", 2),
            (48_000, "s32", 6),
            (48_000, "f32", 6),
            (96_000, "s24", 1),
            (192_000, "f32", 3),
        ],
    ],
)
def test_wav_of_any_rate_depth_and_channel_count(rate: int, encoding: str, channels: int) -> None:
    data = raw_wav(speech_like(SPEECH_SECONDS, rate, channels), rate, encoding)
    assert_is_the_speech(sound.decode(data, max_seconds=60))


@pytest.mark.parametrize(("name", "channels"), [("webm-opus", 2), ("mp4-aac", 6), ("webm-opus", 8), ("flac", 8)])
def test_coded_multichannel_sound_is_downmixed(name: str, channels: int) -> None:
    heard = sound.decode(recording(name, 1.0, channels), max_seconds=60)
    assert sound.dbfs(heard) == pytest.approx(sound.dbfs(speech_like(1.0)), abs=1.0)
    assert likeness(heard, speech_like(1.0))[0] > 0.95


def test_channels_are_averaged_without_clipping() -> None:
    tone = (0.9 * np.sin(2 * np.pi * 440 * np.arange(16_000) / 16_000)).astype(np.float32)
    for left, right, expected in ((tone, tone, tone), (tone, -tone / 4, 0.375 * tone), (tone, 0 * tone, tone / 2)):
        heard = sound.decode(raw_wav(np.stack([left, right], axis=1, dtype=np.float32), 16_000, "f32"), max_seconds=60)
        np.testing.assert_allclose(heard, expected, atol=1e-6)


def test_float_samples_over_full_scale_nan_and_infinity_are_tamed() -> None:
    samples = speech_like(1.0)
    samples[1_000:1_010], samples[5_000], samples[9_000] = np.nan, np.inf, -np.inf
    samples[12_000:12_010] = 3e38
    for channels in (1, 2):
        data = raw_wav(np.repeat(samples[:, None], channels, axis=1), 16_000, "f32")
        heard = sound.decode(data, max_seconds=60)
        assert np.isfinite(heard).all()
        assert np.abs(heard).max() <= 1.0
        # The peaks count, clipped, in the mean that is taken off.
        np.testing.assert_allclose(heard[:900], samples[:900], atol=1e-3)


def test_the_first_of_two_tracks_is_taken() -> None:
    data = containers.with_two_audio_streams(speech_like(3.0, 48_000), speech_like(1.0, 48_000))
    assert_is_the_speech(sound.decode(data, max_seconds=60))


def test_pictures_beside_the_sound_do_not_confuse() -> None:
    assert_is_the_speech(sound.decode(containers.with_cover_art(speech_like(3.0, 44_100)), max_seconds=60))
    assert_is_the_speech(sound.decode(containers.video(audio=speech_like(3.0, 48_000)), max_seconds=60))


def test_a_track_that_changes_its_rate_and_channels_decodes_whole() -> None:
    first = encode_pieces("adts", "aac", 44_100, [speech_like(1.0, 44_100)])
    second = encode_pieces("adts", "aac", 16_000, [speech_like(1.0, 16_000, 2)])
    heard = sound.decode(first + second, max_seconds=60)
    assert sound.duration_s(heard, STT_SAMPLE_RATE) == pytest.approx(2.0, abs=0.2)


def test_tags_that_are_not_utf8_are_no_error() -> None:
    tag = struct.pack("<4sI4s4sI4s", b"LIST", 16, b"INFO", b"INAM", 4, "ação".encode("latin-1"))
    assert_is_the_speech(sound.decode(raw_wav(speech_like(), 16_000, "s16", extra=tag), max_seconds=60))


def test_threads_decode_side_by_side() -> None:
    names = list(FORMATS) * 3
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(lambda name: sound.decode(recording(name), max_seconds=60), names))
    for name, heard in zip(names, together, strict=True):
        np.testing.assert_array_equal(heard, sound.decode(recording(name), max_seconds=60))


# --- damaged recordings ------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", FORMATS)
def test_a_truncated_recording_gives_its_beginning(name: str) -> None:
    data = recording(name)
    half = data[: len(data) // 2]
    if name in NEEDS_ITS_END:
        with pytest.raises(BadAudio, match="as one whole file"):
            sound.decode(half, max_seconds=60)
        return
    heard = sound.decode(half, max_seconds=60)
    assert 0.3 * SPEECH_SECONDS < sound.duration_s(heard, STT_SAMPLE_RATE) < 0.7 * SPEECH_SECONDS
    assert likeness(heard, speech_like()[: len(heard)])[0] > 0.95


@pytest.mark.parametrize("name", FORMATS)
def test_a_hole_in_the_middle_costs_no_more_than_what_follows_it(name: str) -> None:
    data = bytearray(recording(name))
    start, stop = len(data) * 2 // 5, len(data) * 9 // 20
    data[start:stop] = bytes(stop - start)
    heard = sound.decode(bytes(data), max_seconds=60)
    assert 0.3 * SPEECH_SECONDS < sound.duration_s(heard, STT_SAMPLE_RATE) < SPEECH_SECONDS + 0.15


@pytest.mark.parametrize("name", FORMATS)
def test_a_recording_without_its_start_is_refused_or_picked_up(name: str) -> None:
    data = recording(name)
    second_half = data[len(data) // 2 :]
    if name in FINDS_ITS_FEET:
        heard = sound.decode(second_half, max_seconds=60)
        assert sound.duration_s(heard, STT_SAMPLE_RATE) == pytest.approx(SPEECH_SECONDS / 2, abs=0.2)
        return
    with pytest.raises(BadAudio) as refused:
        sound.decode(second_half, max_seconds=60)
    assert refused.value.code == "bad_audio"
    assert refused.value.status == 400


@pytest.mark.parametrize("name", FORMATS)
def test_damage_anywhere_never_raises_anything_else(name: str) -> None:
    draw = random.Random(name)
    for _ in range(40):
        data = bytearray(recording(name, 1.0))
        reach = draw.choice((200, len(data)))  # headers are where damage hurts
        for _ in range(draw.choice((1, 5, 30))):
            data[draw.randrange(min(reach, len(data)))] = draw.randrange(256)
        try:
            heard = sound.decode(bytes(data), max_seconds=10)
        except (BadAudio, TooLarge):
            continue
        assert len(heard)
        assert np.isfinite(heard).all()
        assert np.abs(heard).max() <= 1.0


@pytest.mark.parametrize("claimed", [0, 100_000_000, 0x7FFFFFFF, 0xFFFFFFFF])
def test_a_wav_written_to_a_pipe_claims_any_size(claimed: int) -> None:
    data = raw_wav(speech_like(), 16_000, "s16", data_size=claimed)
    assert_is_the_speech(sound.decode(data, max_seconds=10))


# --- what is refused ---------------------------------------------------------------------------------------


def test_an_empty_body_is_named_as_such() -> None:
    with pytest.raises(BadAudio) as refused:
        sound.decode(b"", max_seconds=60)
    assert (refused.value.code, refused.value.status) == ("no_audio", 400)
    assert sound.ACCEPTED in refused.value.message


NOT_RECORDINGS = {
    "text": b"Eu moro em Lisboa.\n" * 100,
    "html": b"<!doctype html><html><body>502 Bad Gateway</body></html>",
    "json": b'{"audio": "UklGRg=="}',
    "png": b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR\x00\x00\x00\x01\x00\x00\x00\x01\x08\x02" + bytes(200),
    "one byte": b"\x00",
    "zeros": bytes(20_000),
    "ones": b"\xff" * 20_000,
    "riff": b"RIFF\xff\xff\xff\xffWAVE",
    "id3": b"ID3",
    "ogg": b"OggS" + bytes(100),
    "flac": b"fLaC",
}


@pytest.mark.parametrize("kind", NOT_RECORDINGS)
def test_what_is_no_recording_is_refused_with_what_is(kind: str) -> None:
    with pytest.raises(BadAudio) as refused:
        sound.decode(NOT_RECORDINGS[kind], max_seconds=60)
    assert (refused.value.code, refused.value.status) == ("bad_audio", 400)
    assert sound.ACCEPTED in refused.value.message
    assert "Errno" not in refused.value.message
    assert "<none>" not in refused.value.message


def test_random_bytes_are_refused() -> None:
    draw = random.Random(7)
    for size in (10, 100, 1_000, 10_000, 100_000) * 4:
        with pytest.raises(BadAudio):
            sound.decode(draw.randbytes(size), max_seconds=60)


def test_video_without_sound_is_refused_as_such() -> None:
    for data in (containers.video(), containers.video("mp4", "mpeg4")):
        with pytest.raises(BadAudio, match="no sound track"):
            sound.decode(data, max_seconds=60)


def test_a_recording_of_nothing_is_refused() -> None:
    live = recording("webm-live-opus")
    for data in (raw_wav(np.zeros(0, np.float32), 16_000, "s16"), live[: live.index(b"\x1f\x43\xb6\x75")]):
        with pytest.raises(BadAudio) as refused:
            sound.decode(data, max_seconds=60)
        assert refused.value.code == "bad_audio"


@pytest.mark.parametrize(
    ("rate", "channels"),
    [
        (0, 1),
        (1, 1),
        (100, 1),
        (3_999, 1),
        (500_000, 1),
        (2**31, 1),
        (2**32 - 1, 2),
        (16_000, 17),
        (16_000, 600),
    ],
)
def test_absurd_rates_and_channel_counts_are_refused(rate: int, channels: int) -> None:
    with pytest.raises(BadAudio):
        sound.decode(raw_wav(np.zeros((500, channels), np.float32), rate, "s16"), max_seconds=600)


def test_a_header_that_claims_millions_of_samples_takes_no_memory() -> None:
    fragmented = bytearray(recording("mp4-aac-fragmented", 1.0))
    run = fragmented.index(b"trun")
    struct.pack_into(">II", fragmented, run + 4, 1, 60_000_000)  # no field per sample, 60 million samples
    table = bytearray(recording("mp4-aac", 1.0))
    struct.pack_into(">II", table, table.index(b"stsz") + 8, 1, 60_000_000)  # all of one byte
    struct.pack_into(">I", table, table.index(b"stsc") + 16, 60_000_000)
    for data in (fragmented, table):
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        with pytest.raises(BadAudio):
            sound.decode(bytes(data), max_seconds=60)
        after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        assert after < 4 * before  # 2 GB when FFmpeg is let have them; a ratio, for the unit depends on the system


def test_a_concat_script_does_not_reach_local_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("secret.wav").write_bytes(recording("wav-s16"))
    script = b"ffconcat version 1.0\nfile secret.wav\n"
    with av.open(io.BytesIO(script), "r") as unguarded:  # what FFmpeg does when nobody forbids it
        assert sum(frame.samples for frame in unguarded.decode(audio=0)) == 3 * 16_000
    with pytest.raises(BadAudio):
        sound.decode(script, max_seconds=60)


@pytest.mark.parametrize(
    "body",
    [
        "#EXTM3U\n#EXT-X-TARGETDURATION:3\n#EXTINF:3.0,\n{path}\n#EXT-X-ENDLIST\n",
        "#EXTM3U\n#EXT-X-TARGETDURATION:3\n#EXTINF:3.0,\nfile://{path}\n#EXT-X-ENDLIST\n",
        "ffconcat version 1.0\nfile '{path}'\n",
        "v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\ns=x\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio 5004 RTP/AVP 0\r\n",
        '<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011" type="static"><Period>'
        + "<AdaptationSet><Representation><BaseURL>{path}</BaseURL></Representation></AdaptationSet>"
        + "</Period></MPD>",
    ],
    ids=["hls", "hls-file-url", "concat", "sdp", "dash"],
)
def test_playlists_are_refused(body: str, tmp_path: Path) -> None:
    path = tmp_path / "secret.wav"
    path.write_bytes(recording("wav-s16"))
    with pytest.raises(BadAudio):
        sound.decode(body.replace("{path}", str(path)).encode(), max_seconds=60)


# --- too long ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", FORMATS)
def test_the_limit_holds_and_forgives_an_encoders_padding(name: str) -> None:
    assert len(sound.decode(recording(name), max_seconds=SPEECH_SECONDS))
    with pytest.raises(TooLarge) as refused:
        sound.decode(recording(name), max_seconds=SPEECH_SECONDS - 0.5)
    assert (refused.value.code, refused.value.status) == ("too_long", 413)
    assert "2.5 s" in refused.value.message


def test_a_declared_duration_is_named() -> None:
    with pytest.raises(TooLarge, match=r"lasts 3\.0 s; the limit is 2 s"):
        sound.decode(recording("flac"), max_seconds=2)


def two_hours(name: str) -> bytes:
    if name == "flac":  # states its duration
        minute = np.zeros(60 * 8_000, np.float32)
        return encode_pieces("flac", "flac", 8_000, (minute for _ in range(TWO_HOURS // 60)))
    return recording(name, 10.0) * (TWO_HOURS // 10)  # a stream of frames: states nothing


@pytest.mark.parametrize("name", ["flac", "mp3", "adts-aac"])
def test_two_hours_are_refused_for_the_price_of_the_limit(name: str) -> None:
    data = two_hours(name)
    once = recording("mp3", 10.0)
    start = time.process_time()
    sound.decode(once, max_seconds=10)
    within_limit = time.process_time() - start

    tracemalloc.start()  # counts the decoded samples; 10 s of them are 0.6 MB, two hours 460 MB
    try:
        start = time.process_time()
        with pytest.raises(TooLarge):
            sound.decode(data, max_seconds=10)
        spent = time.process_time() - start
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 8 * 2**20
    assert spent < 0.1 * within_limit * TWO_HOURS / 10  # a tenth of what decoding all of it would take


def test_a_million_packets_of_one_sample_do_not_hold_a_thread() -> None:
    start = time.process_time()
    sound.decode(recording("wav-s16"), max_seconds=60)
    honest = time.process_time() - start
    data = containers.matroska_of_single_samples(300_000)
    start = time.process_time()
    heard = sound.decode(data, max_seconds=60)
    assert time.process_time() - start < 30 * honest + 1.0  # all of it takes 8 s here
    assert sound.duration_s(heard, STT_SAMPLE_RATE) < 0.1  # 300,000 would be 6 s


def test_a_recording_longer_than_it_says_is_stopped() -> None:
    data = bytearray(recording("flac", 10.0))
    # STREAMINFO: the number of samples is the low 36 bits of the 8 bytes at 18 (RFC 9639, 8.2).
    fields = int.from_bytes(data[18:26], "big") >> 36 << 36
    data[18:26] = (fields | 44_100).to_bytes(8, "big")
    assert sound.duration_s(sound.decode(bytes(data), max_seconds=20), STT_SAMPLE_RATE) == pytest.approx(10, abs=0.2)
    with pytest.raises(TooLarge, match="longer than the limit of 5 s"):
        sound.decode(bytes(data), max_seconds=5)


# --- sound out ---------------------------------------------------------------------------------------------


def test_wav_reads_back_with_the_standard_library() -> None:
    audio = speech_like(0.5, 24_000)
    data = sound.wav(audio, 24_000)
    with wave.open(io.BytesIO(data)) as file:
        params = (file.getnchannels(), file.getsampwidth(), file.getframerate(), file.getnframes())
        samples = np.frombuffer(file.readframes(len(audio)), "<i2")
    assert params == (1, 2, 24_000, len(audio))
    assert len(data) == 44 + 2 * len(audio)
    assert struct.unpack_from("<I", data, 4)[0] == len(data) - 8
    np.testing.assert_allclose(samples / 32767, audio, atol=1 / 32767)


def test_an_empty_wav_is_a_whole_file() -> None:
    with wave.open(io.BytesIO(sound.wav(sound.silence(0, 24_000), 24_000))) as file:
        assert file.getnframes() == 0


def test_pcm16_clips_and_never_wraps() -> None:
    audio = np.array([0, 1, -1, 1.5, -1.5, 1e30, np.inf, -np.inf, np.nan, 0.5], np.float32)
    expected = [0, 32767, -32767, 32767, -32767, 32767, 32767, -32767, 0, 16384]
    assert np.frombuffer(sound.pcm16(audio), "<i2").tolist() == expected


def test_what_wav_writes_decode_reads() -> None:
    assert_is_the_speech(sound.decode(sound.wav(speech_like(3.0, 24_000), 24_000), max_seconds=60))


def test_smoothed_pieces_join_without_a_click() -> None:
    rate = 24_000
    tone = (0.8 * np.sin(2 * np.pi * 200 * np.arange(rate) / rate)).astype(np.float32)
    pieces = [tone[start : start + 3_017] + np.float32(0.1) for start in (0, 3_500, 9_001, 20_030)]
    joined = np.concatenate([sound.smooth_edges(piece, rate) for piece in pieces])
    joins = np.cumsum([len(piece) for piece in pieces])[:-1]
    assert np.abs(np.diff(np.concatenate(pieces)))[joins - 1].max() > 0.1  # so there was a click
    assert np.abs(np.diff(joined))[joins - 1].max() < 1e-6
    assert np.abs(np.diff(joined)).max() <= np.abs(np.diff(tone)).max() * 1.5
    np.testing.assert_array_equal(joined[200:2_800], pieces[0][200:2_800])  # only the edges change


@pytest.mark.parametrize("samples", [0, 1, 2, 3, 50, 239, 240, 241])
def test_smooth_edges_of_pieces_shorter_than_the_fades(samples: int) -> None:
    piece = np.ones(samples, np.float32)
    faded = sound.smooth_edges(piece, 24_000)
    assert faded.dtype == np.float32
    assert len(faded) == samples
    assert piece.all()  # a copy: the input is as it was
    if samples:
        assert faded[0] == faded[-1] == 0
        assert faded.min() >= 0
        assert faded.max() <= 1


def test_trim_silence_leaves_the_margin() -> None:
    rate = 24_000
    hiss = (0.0005 * np.random.default_rng(0).standard_normal(rate)).astype(np.float32)
    voice = np.full(rate // 2, 0.3, np.float32)
    trimmed = sound.trim_silence(np.concatenate([hiss, voice, hiss]), rate, keep_ms=40)
    assert sound.duration_s(trimmed, rate) == pytest.approx(0.5 + 2 * 0.04, abs=0.02)
    np.testing.assert_array_equal(trimmed[trimmed > 0.1], voice)
    np.testing.assert_array_equal(sound.trim_silence(voice, rate, keep_ms=40), voice)
    assert sound.duration_s(sound.trim_silence(hiss, rate, keep_ms=40), rate) == pytest.approx(0.04)
    assert len(sound.trim_silence(sound.silence(0, rate), rate)) == 0


def test_silence_and_duration() -> None:
    assert sound.silence(0.25, 24_000).dtype == np.float32
    assert sound.duration_s(sound.silence(0.25, 24_000), 24_000) == 0.25


@pytest.mark.parametrize(
    ("audio", "level"),
    [
        (np.ones(1_000, np.float32), 0.0),
        (np.sin(2 * np.pi * np.arange(16_000) / 16).astype(np.float32), -3.01),
        (np.full(1_000, 0.001, np.float32), -60.0),
        (np.zeros(1_000, np.float32), sound.SILENCE_DBFS),
        (np.full(1_000, 1e-30, np.float32), sound.SILENCE_DBFS),
        (np.zeros(0, np.float32), sound.SILENCE_DBFS),
    ],
)
def test_dbfs(audio: Audio, level: float) -> None:
    assert sound.dbfs(audio) == pytest.approx(level, abs=0.01)
