"""What a turn leaves behind for metrics, log and spans; the stages have no models."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from stages import Ears, House, Voice, Writer

from serve_app.conversation import MemoryStore
from serve_app.errors import StageFailed
from serve_app.events import Complete, Event, Spoken
from serve_app.progress import TurnRecord
from serve_app.protocols import Audio, Speech, TextDelta, Transcript, Usage
from serve_app.sentences import Pace
from serve_app.stack import Limits, Order
from serve_app.stages import Utterance
from serve_app.turn import Turn
from serve_app.tutor import TutorRequest

TWO_SECONDS = np.zeros(32_000, np.float32)


class BusyEars(Ears):
    """Waits 0.1 s for its turn and works 0.05 s."""

    async def transcribe(self, audio: Audio) -> Transcript:
        await asyncio.sleep(0.15)
        return replace(await super().transcribe(audio), compute_s=0.05)


class BusyWriter(Writer):
    """Reads the prompt for 0.05 s after a wait of 0.1 s, then writes for 0.03 s."""

    async def reply(self, request: TutorRequest) -> AsyncGenerator[TextDelta | Usage, None]:
        await asyncio.sleep(0.15)
        async for item in super().reply(request):
            yield replace(item, prefill_s=0.05, decode_s=0.03) if isinstance(item, Usage) else item


class BusyVoice(Voice):
    """Works 0.02 s on each part of 0.1 s, the first after a wait of 0.1 s."""

    async def synthesize(self, text: str, voice: str | None, speed: float | None) -> AsyncGenerator[Speech, None]:
        await asyncio.sleep(0.12)
        worked = 0.0
        async for part in super().synthesize(text, voice, speed):
            worked += 0.02
            yield replace(part, compute_s=worked)


def busy_house() -> House:
    house = House()
    house.stt = BusyEars(house.stt.work)
    house.llm = BusyWriter(house.llm.work)
    house.tts = BusyVoice(house.tts.work, parts=2)
    return house


async def recorded(
    house: House, *, until: type[Event] | None = None, order: Order = "eager", **limits: Any
) -> TurnRecord:
    """The record of one turn, whose client leaves at the first event of a kind."""
    records: list[TurnRecord] = []
    turn = Turn(house.stages(), MemoryStore(), Limits(**limits), Pace(), ended=records.append)
    utterance = Utterance(TWO_SECONDS, "aula", "t-1", time.perf_counter(), order=order, route="sse")
    async with aclosing(turn.events(utterance)) as events:
        async for event in events:
            if until is not None and isinstance(event, until):
                break
    [record] = records
    return record


async def test_a_complete_turn_tells_every_call_in_order() -> None:
    house = House()
    record = await recorded(house)
    pieces = len(house.tts.asked)
    assert pieces > 1
    assert [call.stage for call in record.calls] == ["stt", "cefr", "llm", *["tts"] * pieces]
    assert all(call.finished and call.ended is not None for call in record.calls)
    assert (record.outcome, record.code, record.route, record.order) == ("complete", None, "sse", "eager")
    assert (record.turn_id, record.session_id) == ("t-1", "aula")


async def test_audio_is_counted_going_in_and_coming_out() -> None:
    record = await recorded(busy_house())
    assert next(call for call in record.calls if call.stage == "stt").audio_s == pytest.approx(2.0)
    for call in record.calls:
        if call.stage == "tts":
            assert call.audio_s == pytest.approx(0.2)


async def test_queue_is_the_wait_for_the_first_item_without_the_work_on_it() -> None:
    record = await recorded(busy_house())
    calls = {call.stage: call for call in reversed(record.calls)}
    for stage, first_compute_s, compute_s in (("stt", 0.05, 0.05), ("llm", 0.05, 0.08), ("tts", 0.02, 0.04)):
        call = calls[stage]
        assert call.first_s is not None
        assert 0.1 + first_compute_s <= call.first_s <= call.seconds
        assert call.queue_s == pytest.approx(call.first_s - first_compute_s), stage
        assert call.compute_s == pytest.approx(compute_s)
    assert calls["cefr"].queue_s is None  # it did not say how long it worked


async def test_the_real_time_factor_is_processing_time_over_the_length_of_the_speech() -> None:
    record = await recorded(busy_house())
    assert record.real_time_factor == pytest.approx(0.04 / 0.2)
    assert (await recorded(House())).real_time_factor is None  # nobody said what the speech cost


async def test_first_audio_counts_from_the_end_of_the_upload_to_the_event() -> None:
    house = House()
    house.stt.takes_s, house.llm.word_s = 0.1, 0.03
    eager, documented = await recorded(house), await recorded(house, order="documented")
    assert eager.first_audio_s is not None
    assert documented.first_audio_s is not None
    assert 0.1 <= eager.first_audio_s < documented.first_audio_s <= documented.seconds + 0.01


async def test_the_first_token_comes_before_the_last() -> None:
    house = House()
    house.llm.word_s = 0.02
    [llm] = [call for call in (await recorded(house)).calls if call.stage == "llm"]
    assert llm.first_s is not None
    assert 0.02 <= llm.first_s < llm.seconds / 2
    assert llm.usage is not None
    assert llm.usage.completion_tokens == 13


@pytest.mark.parametrize("stage", ["stt", "cefr", "llm", "tts"])
async def test_a_turn_that_fails_names_the_stage_and_the_code_and_what_did_not_finish(stage: str) -> None:
    house = House()
    getattr(house, stage).work.fails_with = StageFailed("gone", code="stage_lost", stage=stage)
    record = await recorded(house)
    assert (record.outcome, record.stage, record.code) == ("error", stage, "stage_lost")
    assert not next(call for call in record.calls if call.stage == stage).finished
    assert all(call.ended is not None for call in record.calls)


async def test_silence_is_an_error_of_the_turn_and_not_of_the_stage() -> None:
    house = House()
    house.stt.text = ""
    record = await recorded(house)
    assert (record.outcome, record.code) == ("error", "no_speech")
    assert [call.finished for call in record.calls] == [True]
    assert record.first_audio_s is None


async def test_a_turn_over_its_time_is_an_error() -> None:
    house = House()
    house.llm.word_s = 60
    record = await recorded(house, turn_s=0.2)
    assert (record.outcome, record.stage, record.code) == ("error", "llm", "turn_timeout")


async def test_a_client_that_leaves_cancels_its_turn() -> None:
    house = House()
    house.llm.word_s = house.tts.part_s = 0.05
    record = await recorded(house, until=Spoken)
    assert (record.outcome, record.stage, record.code) == ("cancelled", "tts", None)
    assert record.first_audio_s is not None
    assert any(not call.finished for call in record.calls)


async def test_a_client_that_leaves_after_the_last_event_had_a_complete_turn() -> None:
    assert (await recorded(House(), until=Complete)).outcome == "complete"
