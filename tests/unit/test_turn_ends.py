"""Turns that end early, over stages without models: failures, silence, timeout, a client that leaves."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any, Literal

import pytest
from support.lesson import SILENCE, Lesson, conversation_in
from support.stages import House
from support.virtual_time import VirtualTimePolicy

from serve_app.config.limits import Limits
from serve_app.errors import Busy, StageFailed
from serve_app.lesson.conversation import Conversation, Exchange
from serve_app.lesson.events import Complete, Delta, Event, Failed, Spoken
from serve_app.lesson.speech_cutter import Pace
from serve_app.lesson.stage_protocols import Utterance
from serve_app.lesson.turn import WAITING_EVENTS, Turn
from serve_app.store.memory import MemoryStore, MemoryTurn

Stage = Literal["stt", "cefr", "llm", "tts"]
STAGES: list[Stage] = ["stt", "cefr", "llm", "tts"]


@pytest.fixture(scope="module")
def event_loop_policy() -> VirtualTimePolicy:
    return VirtualTimePolicy()


def slow_house() -> House:
    """Every stage takes long enough to be caught at work."""
    house = House()
    house.stt.takes_s = house.cefr.takes_s = 0.05
    house.llm.word_s = 0.02
    house.tts.part_s = 0.05
    return house


def stream_of(lesson: Lesson) -> AsyncGenerator[Event, None]:
    return lesson.turn.events(Utterance(SILENCE, "aula", "t", time.perf_counter()))


async def assert_all_work_has_ended(house: House) -> None:
    assert house.running() == 0
    made = house.made()
    await asyncio.sleep(0.2)
    assert house.made() == made


def the_failure(events: list[Event]) -> Failed:
    """The error, which must be the last event and the only end."""
    failures = [event for event in events if isinstance(event, Failed | Complete)]
    assert failures == [events[-1]]
    assert isinstance(events[-1], Failed)
    return events[-1]


# --- failures ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("stage", STAGES)
@pytest.mark.parametrize("order", ["documented", "eager"])
async def test_a_stage_that_fails_ends_the_turn_with_one_error_that_names_it(stage: Stage, order: Any) -> None:
    house = House()
    getattr(house, stage).work.fails_with = StageFailed("gone", code="stage_lost", stage=stage)
    failure = the_failure(await Lesson(house).take(order))
    assert (failure.code, failure.message, failure.stage) == ("stage_lost", "gone", stage)
    await assert_all_work_has_ended(house)


@pytest.mark.parametrize("stage", STAGES)
async def test_nothing_of_an_unforeseen_failure_reaches_the_client_but_that_it_happened(stage: Stage) -> None:
    house = House()
    getattr(house, stage).work.fails_with = RuntimeError("secret path /etc/shadow")
    failure = the_failure(await Lesson(house).take())
    assert failure.code == "internal"
    assert "secret" not in failure.message


@pytest.mark.parametrize(("stage", "other"), [("llm", "tts"), ("tts", "llm")])
async def test_a_failure_in_the_middle_of_the_reply_stops_the_stage_beside_it(stage: Stage, other: Stage) -> None:
    house = slow_house()
    house.tts.parts = 50
    work = getattr(house, stage).work
    work.fails_with, work.fails_after = Busy("full", stage=stage), 3
    failure = the_failure(await Lesson(house).take())
    assert (failure.code, failure.stage) == ("busy", stage)
    assert getattr(house, other).work.stopped == 1
    await assert_all_work_has_ended(house)


async def test_a_turn_that_failed_leaves_the_conversation_as_it_was() -> None:
    house = House()
    lesson = Lesson(house)
    await lesson.take()
    before = await lesson.conversation()
    house.tts.work.fails_with = StageFailed("gone")
    await lesson.take()
    assert await lesson.conversation() == before
    house.tts.work.fails_with = None
    assert isinstance((await lesson.take())[-1], Complete)


async def test_silence_is_answered_with_no_speech_and_costs_no_reply() -> None:
    house = House()
    house.stt.text = ""
    lesson = Lesson(house)
    failure = the_failure(await lesson.take())
    assert (failure.code, failure.stage) == ("no_speech", "stt")
    assert house.llm.requests == []
    assert (await lesson.conversation()).exchanges == ()


@pytest.mark.parametrize("reply", ["", "  "])
async def test_an_empty_reply_is_an_error(reply: str) -> None:
    house = House()
    house.llm.reply_text = reply
    failure = the_failure(await Lesson(house).take())
    assert (failure.code, failure.stage) == ("empty_reply", "llm")


@pytest.mark.parametrize("reply", ["Sim.", "Oi!", "É"])
async def test_a_very_short_reply_is_spoken(reply: str) -> None:
    house = House()
    house.llm.reply_text = reply
    events = await Lesson(house, turn_s=5).take()
    assert isinstance(events[-1], Complete)
    assert [event.text for event in events if isinstance(event, Spoken)] == [reply]


@pytest.mark.parametrize("stage", STAGES)
async def test_a_turn_over_its_time_is_stopped_in_the_stage_it_has_reached(stage: Stage) -> None:
    house = House()
    if stage in ("stt", "cefr"):
        getattr(house, stage).takes_s = 60
    else:
        house.llm.word_s = 60 if stage == "llm" else 0.0
        house.tts.part_s = 60
    failure = the_failure(await Lesson(house, turn_s=0.3).take())
    assert (failure.code, failure.stage) == ("turn_timeout", stage)
    await assert_all_work_has_ended(house)


@pytest.mark.parametrize("stage", STAGES)
async def test_a_stage_that_hangs_is_given_up_after_its_own_time(stage: Stage) -> None:
    house = House()
    if stage in ("stt", "cefr"):
        getattr(house, stage).takes_s = 60
    elif stage == "llm":
        house.llm.word_s = 60
    else:
        house.tts.part_s = 60
    limits: dict[str, Any] = {f"{stage}_s": 0.05}
    failure = the_failure(await Lesson(house, **limits).take())
    assert (failure.code, failure.stage) == ("stage_timeout", stage)
    await assert_all_work_has_ended(house)


async def test_a_stage_that_goes_on_giving_answers_is_not_given_up() -> None:
    house = House()
    house.llm.word_s, house.tts.part_s, house.tts.parts = 0.04, 0.04, 4
    events = await Lesson(house, llm_s=0.15, tts_s=0.15).take()  # each takes longer than that altogether
    assert isinstance(events[-1], Complete)


class Forgetful(MemoryStore):
    """A store with a fault: one that only cannot be reached raises nothing."""

    @asynccontextmanager
    async def turn(self, conversation_id: str) -> AsyncGenerator[MemoryTurn, None]:
        raise ConnectionError("secret host")
        yield


@pytest.mark.timeout(20)
async def test_a_store_that_fails_ends_the_turn_with_an_error() -> None:
    turn = Turn(House().stages(), Forgetful(), Limits(), Pace())
    utterance = Utterance(SILENCE, "aula", "t", time.perf_counter())
    async with asyncio.timeout(30):
        failure = the_failure([event async for event in turn.events(utterance)])
    assert failure.code == "internal"
    assert "secret" not in failure.message


# --- the client goes ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("stage", STAGES)
async def test_closing_the_turn_stops_whatever_stage_is_at_work(stage: Stage) -> None:
    house = slow_house()
    house.tts.parts = 50
    stream = stream_of(Lesson(house))
    pull = asyncio.create_task(drain(stream))
    async with asyncio.timeout(30):
        await getattr(house, stage).work.begun.wait()
    pull.cancel()
    await asyncio.wait([pull])
    await stream.aclose()
    assert getattr(house, stage).work.stopped == 1
    await assert_all_work_has_ended(house)


async def drain(stream: AsyncGenerator[Event, None]) -> None:
    async for _ in stream:
        pass


async def test_closing_before_the_first_event_starts_nothing() -> None:
    house = House()
    await stream_of(Lesson(house)).aclose()
    await assert_all_work_has_ended(house)
    assert house.made() == 0


async def test_a_turn_whose_events_nobody_takes_holds_up_its_work() -> None:
    house = House()
    house.llm.reply_text = "palavra " * 2000
    stream = stream_of(Lesson(house))
    first = [await anext(stream) for _ in range(6)]
    assert isinstance(first[-1], Delta)
    await asyncio.sleep(0.3)
    assert house.llm.work.made <= WAITING_EVENTS + len(first)
    await stream.aclose()
    await assert_all_work_has_ended(house)


async def test_of_an_interrupted_turn_what_was_said_and_can_have_been_heard_is_remembered() -> None:
    house = House()
    house.tts.part_s = 0.1
    lesson = Lesson(house)
    stream = stream_of(lesson)
    async for event in stream:
        if isinstance(event, Spoken):  # "Que legal!"; what follows it is not made yet
            break
    await stream.aclose()
    [exchange] = (await lesson.conversation()).exchanges
    assert exchange.learner == "Eu gosto de futebol."
    assert exchange.tutor in ("Que", "Que legal!")  # one word can have been heard at once
    await lesson.take()
    assert house.llm.requests[-1].history == (exchange,)


async def test_an_utterance_interrupted_before_any_answer_is_remembered_without_one() -> None:
    house = slow_house()
    lesson = Lesson(house)
    stream = stream_of(lesson)
    async for event in stream:
        if isinstance(event, Delta):
            break
    await stream.aclose()
    assert (await lesson.conversation()).exchanges == (Exchange("Eu gosto de futebol.", "", "B1"),)


async def test_an_utterance_interrupted_before_it_was_understood_leaves_no_trace() -> None:
    lesson = Lesson(slow_house())
    stream = stream_of(lesson)
    await anext(stream)
    await stream.aclose()
    assert await lesson.conversation() == Conversation("aula")


async def test_a_finished_turn_that_is_then_closed_is_remembered_once() -> None:
    lesson = Lesson(House())
    stream = stream_of(lesson)
    async for event in stream:
        if isinstance(event, Complete):
            break
    await stream.aclose()
    assert len((await lesson.conversation()).exchanges) == 1


async def test_two_turns_of_one_conversation_answer_one_after_the_other() -> None:
    house = slow_house()
    lesson = Lesson(house)
    ends = [events[-1] for events in await asyncio.gather(*(lesson.take() for _ in range(3)))]
    assert all(isinstance(end, Complete) for end in ends)
    assert [len(request.history) for request in house.llm.requests] == [0, 1, 2]
    assert len((await lesson.conversation()).exchanges) == 3


async def test_a_turn_that_leaves_while_it_waits_for_another_of_its_conversation_leaves_no_trace() -> None:
    house = slow_house()
    lesson = Lesson(house)
    first = asyncio.create_task(lesson.take())
    await house.stt.work.begun.wait()
    second = asyncio.create_task(lesson.take())
    await asyncio.sleep(0.01)
    second.cancel()
    assert isinstance((await first)[-1], Complete)
    assert len((await lesson.conversation()).exchanges) == 1
    assert isinstance((await lesson.take())[-1], Complete)


async def test_two_turns_side_by_side_do_not_mix() -> None:
    house = slow_house()
    lesson = Lesson(house)
    turns = [
        drain_to_list(lesson.turn.events(Utterance(SILENCE, name, name, time.perf_counter()))) for name in ("a", "b")
    ]
    ends = [events[-1] for events in await asyncio.gather(*turns)]
    assert all(isinstance(end, Complete) for end in ends)
    for name in ("a", "b"):
        assert len((await conversation_in(lesson.store, name)).exchanges) == 1


async def drain_to_list(stream: AsyncGenerator[Event, None]) -> list[Event]:
    return [event async for event in stream]
