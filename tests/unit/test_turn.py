"""One turn over stages without models: its events in order, and what the conversation keeps."""

from __future__ import annotations

import asyncio

import pytest
from support.lesson import Lesson
from support.stages import House

from serve_app.config.stack import Order
from serve_app.lesson.conversation import Exchange
from serve_app.lesson.events import Complete, Delta, Event, Failed, Heard, Level, Response, Spoken, Status
from serve_app.sentences import speakable
from serve_app.teaching.plan import Plan


def names(events: list[Event]) -> list[str]:
    """The events in order, neighbours of the same kind once, a status with its stage."""
    named = [f"status {event.stage}" if isinstance(event, Status) else event.name for event in events]
    return [name for i, name in enumerate(named) if i == 0 or named[i - 1] != name]


# --- the order ---------------------------------------------------------------------------------------------


async def test_documented_order_sends_speech_after_the_response() -> None:
    events = await Lesson(House()).take("documented")
    assert names(events) == [
        *("status stt", "transcript", "level", "status llm", "delta", "response", "status tts", "audio", "complete")
    ]


async def test_documented_order_speaks_behind_the_text_all_the_same() -> None:
    house = House()
    house.llm.word_s = 0.02
    await Lesson(house).take("documented")
    spoken, last_word = house.log.index("tts Que legal!"), house.log.index("llm  time?")
    assert spoken < last_word


async def test_eager_order_sends_the_first_audio_before_the_response() -> None:
    house = House()
    house.llm.word_s = 0.02
    events = names(await Lesson(house).take("eager"))
    assert events[:4] == ["status stt", "transcript", "level", "status llm"]
    assert events.index("status tts") < events.index("audio") < events.index("response")
    assert events.count("status tts") == events.count("response") == events.count("complete") == 1
    assert events[-1] == "complete"


@pytest.mark.parametrize("order", ["documented", "eager"])
async def test_every_word_is_sent_spoken_once_and_in_order(order: Order) -> None:
    house = House()
    house.llm.word_s = house.tts.part_s = 0.005
    house.tts.parts = 2
    events = await Lesson(house).take(order)
    deltas = "".join(event.text for event in events if isinstance(event, Delta))
    [response] = [event for event in events if isinstance(event, Response)]
    audio = [event for event in events if isinstance(event, Spoken)]
    assert deltas == response.response == house.llm.reply_text
    assert " ".join(text for text, _, _ in house.tts.asked) == speakable(house.llm.reply_text)
    assert [event.index for event in audio] == list(range(2 * len(house.tts.asked)))
    assert [event.text for event in audio] == [text for text, _, _ in house.tts.asked for _ in range(2)]


async def test_the_first_piece_is_spoken_while_the_reply_is_still_written() -> None:
    house = House()
    house.llm.word_s = 0.02
    await Lesson(house).take()
    before_speech = [entry for entry in house.log[: house.log.index("tts Que legal!")] if entry.startswith("llm")]
    assert len(before_speech) <= 4  # of 12 words


async def test_speech_is_announced_once_also_where_the_first_pieces_have_no_sound() -> None:
    house = House()
    house.tts.parts = 0
    events = await Lesson(house).take()
    assert len(house.tts.asked) > 1
    assert events.count(Status("tts")) == 1


async def test_pieces_are_spoken_one_after_the_other() -> None:
    house = House()
    house.tts.part_s = 0.01
    turn = asyncio.create_task(Lesson(house).take())
    most = 0
    while not turn.done():
        await asyncio.sleep(0.001)
        most = max(most, house.tts.work.running)
    assert most == 1
    assert len(house.tts.asked) > 1


async def test_a_stack_without_cefr_sends_no_level() -> None:
    house = House()
    events = await Lesson(house, cefr=False).take()
    assert not any(isinstance(event, Level) for event in events)
    assert house.llm.requests[0].level is None
    assert isinstance(events[-1], Complete)


async def test_the_times_add_up() -> None:
    house = House()
    house.stt.takes_s, house.cefr.takes_s, house.llm.word_s, house.tts.part_s = 0.05, 0.02, 0.01, 0.03
    complete = (await Lesson(house).take())[-1]
    assert isinstance(complete, Complete)
    timing = complete.timing
    assert timing["stt_ms"] >= 50
    assert timing["cefr_ms"] >= 20
    assert timing["llm_ms"] >= 120  # 12 words
    assert timing["tts_ms"] >= 30 * len(house.tts.asked)
    assert timing["stt_ms"] + timing["cefr_ms"] + 30 <= timing["first_audio_ms"] <= timing["total_ms"]


# --- what is chosen, and what is remembered ----------------------------------------------------------------


async def test_voice_and_speed_reach_every_piece() -> None:
    house = House()
    await Lesson(house).take(voice="pm_alex", speed=0.7)
    assert {(voice, speed) for _, voice, speed in house.tts.asked} == {("pm_alex", 0.7)}


@pytest.mark.parametrize(
    ("chosen", "heard", "default", "level"),
    [("C1", "B1", "A1", "C1"), (None, "B1", "A1", "B1"), (None, None, "A1", "A1"), (None, None, None, None)],
)
async def test_the_chosen_level_goes_before_the_heard_one_and_that_before_the_default(
    chosen: str | None, heard: str | None, default: str | None, level: str | None
) -> None:
    house = House()
    house.cefr.level = heard
    events = await Lesson(house, default_level=default).take(level=chosen)
    [sent] = [event for event in events if isinstance(event, Level)]
    assert (sent.level, sent.fixed, sent.estimate.level) == (level, chosen is not None, heard)
    assert house.llm.requests[0].level == level


async def test_a_level_once_found_stays_until_another_is() -> None:
    house = House()
    lesson = Lesson(house, default_level="A1")
    await lesson.take()
    house.cefr.level = None
    await lesson.take()
    assert house.llm.requests[1].level == "B1"


async def test_the_next_turn_gets_what_was_said_before() -> None:
    house = House()
    lesson = Lesson(house)
    await lesson.take()
    await lesson.take()
    first = Exchange("Eu gosto de futebol.", house.llm.reply_text, "B1")
    assert [request.history for request in house.llm.requests] == [(), (first,)]
    assert house.cefr.earlier == [(), ("Eu gosto de futebol.",)]
    assert (await lesson.conversation()).exchanges == (first, first)


async def test_the_reply_is_limited_to_the_stacks_tokens() -> None:
    house = House()
    await Lesson(house, reply_tokens=17).take()
    assert house.llm.requests[0].max_tokens == 17


async def test_a_conversation_over_its_tokens_loses_its_older_half_and_is_warmed_anew() -> None:
    house = House()
    lesson = Lesson(house, history_tokens=256)
    for _ in range(3):
        await lesson.take()
    assert lesson.trimmed == []
    house.llm.prompt_tokens = 300
    await lesson.take()
    conversation = await lesson.conversation()
    assert len(conversation.exchanges) == 2
    assert len(conversation.utterances) == 4
    assert lesson.trimmed == [conversation]


async def test_a_conversation_of_which_the_llm_wrote_nothing_is_cut_too() -> None:
    house = House()
    planned = Plan("neutral", begin="Que legal! Você gosta muito de futebol. E qual é o seu time?", whole=True)
    lesson = Lesson(house, history_tokens=256, planner=lambda _: planned)
    lengths = []
    for _ in range(40):
        await lesson.take()
        lengths.append(len((await lesson.conversation()).exchanges))
    assert house.llm.requests == []
    assert max(lengths) < 10
    assert min(lengths[10:]) >= 3
    assert len(lesson.trimmed) > 4


async def test_a_conversation_longer_than_the_context_loses_its_beginning_and_the_turn_goes_on() -> None:
    house = House()
    lesson = Lesson(house)
    for _ in range(8):
        await lesson.take()
    house.llm.most_exchanges = 3
    events = await lesson.take()
    assert isinstance(events[-1], Complete)
    assert [len(request.history) for request in house.llm.requests[8:]] == [8, 4, 2]
    assert len((await lesson.conversation()).exchanges) == 3


async def test_an_utterance_longer_than_the_context_is_an_error_for_learners() -> None:
    house = House()
    house.llm.most_exchanges = -1
    failed = (await Lesson(house).take())[-1]
    assert isinstance(failed, Failed)
    assert (failed.code, failed.stage) == ("context_full", "llm")
    assert failed.message == "That was too long for the tutor; please say it in fewer words."


async def test_heard_words_and_session_come_with_the_transcript() -> None:
    events = await Lesson(House()).take()
    [heard] = [event for event in events if isinstance(event, Heard)]
    assert (heard.transcript.text, heard.session_id) == ("Eu gosto de futebol.", "aula")
    assert len(heard.transcript.words) == 1
    assert not any(isinstance(event, Failed) for event in events)
