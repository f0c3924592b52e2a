"""Which voices a client may choose: the stage is asked once for all, and a wrong name costs nobody a place."""

from __future__ import annotations

import asyncio

import pytest

from serve_app.errors import InvalidField, StageFailed
from serve_app.routes.voices import AGAIN_S, Voices


class Stage:
    """Counts how often it is asked; may be slow, or down."""

    def __init__(self, *voices: str) -> None:
        self.voices = list(voices)
        self.asked = 0
        self.down = False
        self.now = 0.0

    async def ask(self) -> list[str]:
        self.asked += 1
        await asyncio.sleep(0.01)
        if self.down:
            raise StageFailed("gone", code="stage_timeout", stage="tts")
        return list(self.voices)

    def clock(self) -> float:
        return self.now


async def test_eight_wrong_names_at_once_ask_the_stage_once() -> None:
    stage = Stage("pf_dora")
    voices = Voices(stage.ask, stage.clock)
    refused = await asyncio.gather(*(voices.check(f"voice {n}") for n in range(8)), return_exceptions=True)
    assert [type(error) for error in refused] == [InvalidField] * 8
    assert stage.asked == 1
    with pytest.raises(InvalidField, match="pf_dora"):
        await voices.check("none")
    assert stage.asked == 1
    assert voices.knows("pf_dora")
    assert not voices.knows("none")


async def test_a_new_voice_is_found_after_a_while() -> None:
    stage = Stage("pf_dora")
    voices = Voices(stage.ask, stage.clock)
    await voices.check("pf_dora")
    stage.voices.append("pm_alex")
    with pytest.raises(InvalidField):
        await voices.check("pm_alex")
    stage.now += AGAIN_S
    await voices.check("pm_alex")
    assert stage.asked == 2


async def test_known_voices_need_no_stage_and_one_that_is_down_is_asked_again() -> None:
    stage = Stage("pf_dora")
    voices = Voices(stage.ask, stage.clock)
    stage.down = True
    for _ in range(2):
        with pytest.raises(StageFailed, match="gone"):
            await voices.check("pf_dora")
    stage.down = False
    await voices.check("pf_dora")
    stage.down = True
    await voices.check("pf_dora")
    await voices.check(None)
    assert stage.asked == 3


async def test_one_who_leaves_takes_the_answer_from_nobody() -> None:
    stage = Stage("pf_dora")
    voices = Voices(stage.ask, stage.clock)
    leaver = asyncio.create_task(voices.check("pf_dora"))
    stayer = asyncio.create_task(voices.check("pf_dora"))
    await asyncio.sleep(0)
    leaver.cancel()
    await stayer
    assert stage.asked == 1
