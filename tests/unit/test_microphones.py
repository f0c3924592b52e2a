"""What microphones and recorders do to speech, and that it is heard all the same."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from support.clients import ask
from support.containers import Samples, encode, raw_wav, speech_like
from support.known_speech import house_that_knows
from support.paths import ROOT
from support.site_without_ray import Site, site_of
from support.speech import silence, white_noise

from serve_app.audio import dbfs, decode
from serve_app.errors import BadAudio, TooLarge
from serve_app.microphone import CLOSE_DBFS, FAINTEST_DBFS, voice_level
from serve_app.protocols import Audio

RECORDINGS = ROOT / "tests/data/recordings"
SENTENCE = "Eu moro em Lisboa com a minha irmã e dois gatos."


def as_heard(samples: Samples, rate: int = 16_000) -> Audio:
    return decode(raw_wav(samples, rate, "f32"), max_seconds=60)


def at(level: float, audio: Audio) -> Audio:
    """The sound at that level of its voice, in 16 bits."""
    gain = 10 ** ((level - voice_level(audio)) / 20)
    return (np.rint(audio * gain * 32_767) / 32_767).astype(np.float32)


def hiss(level: float, seconds: float = 2.0) -> Audio:
    return at(level, white_noise(seconds))


# --- channels ----------------------------------------------------------------------------------------------

MANY: dict[str, Callable[[Audio], Sequence[NDArray[Any]]]] = {
    "opposite": lambda voice: [voice, -voice],
    "opposite, one lower": lambda voice: [0.6 * voice, -voice],
    "opposite, in hiss": lambda voice: [voice + hiss(-45, 3), hiss(-45, 3) - voice],
    "opposite, with offsets": lambda voice: [voice / 2 + 0.4, -voice / 2 - 0.3],
    "opposite pairs": lambda voice: [voice, -voice, voice, -voice, voice, -voice],
}


@pytest.mark.parametrize("name", MANY)
def test_channels_that_cancel_out_leave_the_loudest(name: str) -> None:
    voice = speech_like()
    channels = np.stack(MANY[name](voice), axis=1).astype(np.float32)
    heard = as_heard(channels)
    assert abs(np.corrcoef(heard, voice)[0, 1]) > 0.97
    assert dbfs(heard) == pytest.approx(dbfs(voice) - (6 if "offsets" in name else 0), abs=0.5)


def test_opposite_channels_of_a_browsers_recording_are_heard() -> None:
    voice = speech_like(3.0, 48_000)
    heard = decode(encode("webm-opus", np.stack([voice, -voice], axis=1)), max_seconds=60)
    assert dbfs(heard) == pytest.approx(dbfs(voice), abs=1.0)


def test_a_voice_on_one_channel_of_two_is_still_averaged_with_the_other() -> None:
    voice = speech_like()
    heard = as_heard(np.stack([voice, hiss(-60, 3.0)], axis=1))
    assert dbfs(heard) == pytest.approx(dbfs(voice) - 6, abs=0.1)


# --- offset and level --------------------------------------------------------------------------------------


@pytest.mark.parametrize("offset", [0.02, -0.3, 0.7])
def test_a_constant_offset_is_taken_off(offset: float) -> None:
    voice = 0.3 * speech_like()
    np.testing.assert_allclose(as_heard(voice + np.float32(offset)), voice - voice.mean(), atol=1e-5)


@pytest.mark.parametrize("level", [-35.0, -50.0, -65.0, -74.0])
@pytest.mark.parametrize("around", [0.0, 20.0])
def test_quiet_speech_is_raised_also_within_a_long_silence(level: float, around: float) -> None:
    voice = at(level, speech_like())
    heard = as_heard(np.concatenate([silence(around), voice, silence(around)]))
    assert voice_level(heard) == pytest.approx(CLOSE_DBFS, abs=0.2)
    assert np.corrcoef(heard, np.concatenate([silence(around), voice, silence(around)]))[0, 1] > 0.999


def test_a_click_does_not_keep_quiet_speech_down() -> None:
    recorded = at(-60, speech_like())
    recorded[20_000:20_100] = 0.9
    assert voice_level(as_heard(recorded)) == pytest.approx(CLOSE_DBFS, abs=0.5)


@pytest.mark.parametrize("audio", [silence(2), hiss(-80), hiss(-95)], ids=["silence", "converter", "dither"])
def test_a_converters_own_noise_is_not_raised(audio: Audio) -> None:
    assert voice_level(as_heard(audio)) < FAINTEST_DBFS


def test_speech_at_a_usual_level_keeps_it() -> None:
    for level in (-29.0, -20.0):
        assert voice_level(as_heard(at(level, speech_like()))) == pytest.approx(level, abs=0.1)


# --- recorders ---------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    spoken = decode((RECORDINGS / "quiet.flac").read_bytes(), max_seconds=60)
    with site_of(house_that_knows({SENTENCE: spoken})) as site:
        yield site


@pytest.mark.parametrize("name", ["amr.3gp", "amr.amr", "gsm.gsm", "gsm.wav", "quiet.flac"])
def test_what_old_phones_and_quiet_microphones_record_is_understood(site: Site, name: str) -> None:
    turn = ask(site.url, (RECORDINGS / name).read_bytes())
    assert turn.one("complete")["transcript"] == SENTENCE


@pytest.mark.parametrize("name", ["amr.3gp", "amr.amr", "gsm.gsm", "gsm.wav"])
def test_damage_in_them_never_raises_anything_else(name: str) -> None:
    whole, draw = (RECORDINGS / name).read_bytes(), random.Random(name)
    for _ in range(20):
        data = bytearray(whole[: draw.choice((len(whole), draw.randrange(1, len(whole))))])
        for _ in range(draw.choice((1, 5, 30))):
            data[draw.randrange(draw.choice((min(100, len(data)), len(data))))] = draw.randrange(256)
        with suppress(BadAudio, TooLarge):
            heard = decode(bytes(data), max_seconds=10)
            assert len(heard) > 0
            assert np.abs(heard).max() <= 1.0
