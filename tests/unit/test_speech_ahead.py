"""Sounds that are made before anybody needs them: `serve_app.replicas.speech_ahead`."""

from __future__ import annotations

import asyncio

import numpy as np
import pytest
from support.virtual_time import in_virtual_time

from serve_app.errors import StageFailed
from serve_app.protocols import LEVELS, Audio
from serve_app.replicas.kept_speech import KeptSpeech
from serve_app.replicas.speech_ahead import SpeechAhead
from serve_app.teaching.openings import all_openings, by_need, openings_for

TEXTS = ["Que pena.", "Que legal!", "Sim, entendo."]
WANTED = [(text, 1.0) for text in TEXTS]


class Voice:
    """Makes a sound at once, and remembers of which texts."""

    def __init__(self) -> None:
        self.made: list[str] = []
        self.more = asyncio.Event()
        self.fails = False

    async def __call__(self, text: str, voice: str, speed: float) -> Audio:
        if self.fails:
            raise StageFailed("gone", stage="tts")
        self.made.append(text)
        self.more.set()
        return np.ones(3, np.float32)


def ahead_of(voice: Voice, kept: KeptSpeech) -> SpeechAhead:
    return SpeechAhead(kept, voice, start_s=0.0, quiet_s=0.02)


@pytest.fixture
def voice() -> Voice:
    return Voice()


@pytest.fixture
def kept() -> KeptSpeech:
    return KeptSpeech(TEXTS, None, "kokoro")


async def until(voice: Voice, count: int) -> None:
    async with asyncio.timeout(30):
        while len(voice.made) < count:
            voice.more.clear()
            await voice.more.wait()


async def test_what_is_not_kept_yet_is_made_in_order(voice: Voice, kept: KeptSpeech) -> None:
    kept.keep("Que legal!", "dora", 1.0, np.zeros(3, np.float32))
    ahead_of(voice, kept).begin(WANTED, "dora")
    await until(voice, 2)
    assert voice.made == ["Que pena.", "Sim, entendo."]
    assert kept.find("Que pena.", "dora", 1.0) is not None
    assert kept.find("Que pena.", "alex", 1.0) is None


async def test_nothing_is_made_while_somebody_is_spoken_to(voice: Voice, kept: KeptSpeech) -> None:
    ahead = ahead_of(voice, kept)
    with ahead.in_use():
        ahead.begin(WANTED, "dora")
        await asyncio.sleep(0.1)
        assert voice.made == []
    await until(voice, 3)


async def test_another_voice_takes_the_place_of_the_one_before(voice: Voice, kept: KeptSpeech) -> None:
    ahead = ahead_of(voice, kept)
    ahead.begin(WANTED, "dora")
    ahead.begin(WANTED, "alex")
    await until(voice, 3)
    async with asyncio.timeout(30):
        while kept.find("Que pena.", "alex", 1.0) is None:  # noqa: ASYNC110 - it tells nobody
            await asyncio.sleep(0.01)
    assert kept.find("Que pena.", "dora", 1.0) is None


@in_virtual_time
async def test_a_voice_that_fails_is_left_alone(voice: Voice, kept: KeptSpeech) -> None:
    voice.fails = True
    ahead = ahead_of(voice, kept)
    ahead.begin(WANTED, "dora")
    await asyncio.sleep(0.05)
    voice.fails = False
    await asyncio.sleep(0.05)
    assert voice.made == []


def test_every_opening_is_wanted_and_the_usual_ones_first() -> None:
    wanted = list(by_need())
    assert {text for text, _ in wanted} == set(all_openings())
    assert {level for _, level in wanted} == set(LEVELS)
    assert wanted[0] == (openings_for("neutral", "A2")[0], "A2")
