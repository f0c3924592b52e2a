"""The TurnRecord of turns over stages without models."""

from __future__ import annotations

import pytest
from support.lesson import busy_house, recorded
from support.stages import House
from support.virtual_time import in_virtual_time

from serve_app.errors import StageFailed
from serve_app.lesson.events import Complete, Spoken


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
    assert 0.1 <= eager.first_audio_s < eager.seconds - 5 * 0.03  # most of the 12 words come after it
    assert 0.1 + 12 * 0.03 <= documented.first_audio_s <= documented.seconds + 0.01


async def test_the_first_token_comes_before_the_last() -> None:
    house = House()
    house.llm.word_s = 0.02
    [llm] = [call for call in (await recorded(house)).calls if call.stage == "llm"]
    assert llm.first_s is not None
    assert 0.02 <= llm.first_s <= llm.seconds - 10 * 0.02
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


@in_virtual_time
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
