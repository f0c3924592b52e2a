"""What decides about a turn, each part by itself: patience, votes, and what is no interruption."""

from dataclasses import replace

import pytest

from serve_app.config.user_config import IngressSettings, TurnTakingSettings, settings
from serve_app.errors import StackError
from serve_app.routes.realtime.settings import TurnDetection
from serve_app.turn_taking import TurnSettings, settings_for
from serve_app.turn_taking.clauses import Reading
from serve_app.turn_taking.over_tutor import OverTutor
from serve_app.turn_taking.patience import Patience
from serve_app.turn_taking.pause import Pause
from serve_app.turn_taking.stops import Wait, by_votes

BEGINNER = TurnSettings(level="A2")


def waited(finished: float | None, reading: Reading | None, chosen: TurnSettings = BEGINNER) -> Wait:
    pause = Pause(began_s=2.0, spoken_s=1.5, silent_s=0.3, finished=finished, reading=reading)
    return by_votes(chosen, Patience(), after_question=False)(pause)


def patience(*pauses: float, chosen: TurnSettings = BEGINNER, after_question: bool = False) -> float:
    learned = Patience()
    for pause_s in pauses:
        learned.learn(pause_s)
    return learned.seconds(chosen, after_question=after_question)


def test_where_sound_and_words_agree_the_wait_is_short_and_else_longer() -> None:
    sure, sound_only = waited(0.99, "complete"), waited(0.99, None)
    assert sure.seconds < 0.5
    assert sure.reason == "finished"
    assert sure.seconds <= sound_only.seconds < waited(0.2, None).seconds
    assert waited(None, None).seconds == 1.8
    assert waited(None, None).reason == "patience"


@pytest.mark.parametrize("reading", ["hold", "filler", "unfinished"])
def test_words_that_promise_more_outweigh_the_sound(reading: Reading) -> None:
    assert waited(0.99, reading).seconds > 1.8


def test_patience_falls_with_the_level_and_rises_after_a_question() -> None:
    by_level = [patience(chosen=replace(BEGINNER, level=level)) for level in ("A1", "B1", "C1")]
    assert by_level == [1.8, 1.5, 1.2]
    assert patience(after_question=True) > patience()
    assert patience(chosen=replace(BEGINNER, eagerness="low")) > patience() > 1.5
    assert patience(chosen=replace(BEGINNER, eagerness="high")) < 1.5
    assert patience(chosen=replace(BEGINNER, patience_s=3.0)) == 3.0


def test_patience_follows_the_learners_own_pauses_within_bounds() -> None:
    assert patience(*[0.4] * 20) < 1.8
    assert patience(*[1.5, 0.4] * 10) > patience(*[0.4] * 20)
    assert patience(*[0.1] * 50) > 1.0
    assert patience(*[4.0] * 50) < 3.0


def test_a_stack_chooses_the_patience_of_a_level_and_keeps_the_others() -> None:
    chosen = settings(IngressSettings, {"turn_taking": {"patience": {"A2": 2.5}, "interrupt_ms": 400}}).turn_taking
    assert patience(chosen=settings_for(chosen, "A2")) == 2.5
    assert patience(chosen=settings_for(chosen, "C1")) == 1.2
    assert settings_for(chosen, "A2").interrupt_ms == 400
    assert patience(chosen=settings_for(chosen, "A2", patience_s=0.9)) == 0.9


@pytest.mark.parametrize("wrong", [{"patience": {"A3": 2}}, {"patience": {"A2": 60}}, {"eagerness": "eager"}])
def test_wrong_settings_are_refused_by_name(wrong: dict[str, object]) -> None:
    with pytest.raises(StackError, match=f"turn_taking.{next(iter(wrong))}"):
        settings(IngressSettings, {"turn_taking": wrong})


TUTOR = "Que legal! Você mora em Salvador há muito tempo?"


@pytest.mark.parametrize(
    ("heard", "reason"),
    [
        ("Aham.", "backchannel"),
        ("Ah, sim.", "backchannel"),
        ("", "too_short"),
        ("Você mora em Salvador", "echo"),
        ("mora em salvador a muito tempo", "echo"),
        ("Não, espera.", None),
        ("Sim, mas eu quero", None),
        ("Salvador?", None),
        ("Eu gosto muito de Salvador", None),
    ],
)
def test_what_is_no_interruption(heard: str, reason: str | None) -> None:
    assert OverTutor().judge(heard, TUTOR) == reason


def test_after_two_echoes_an_interruption_takes_more_voice_until_a_real_one_comes() -> None:
    tutor = OverTutor()
    tutor.says(TUTOR, now_s=0.0)
    before = tutor.voice_needed_s(BEGINNER, now_s=5.0)
    assert before == 0.25
    for _ in range(2):
        tutor.judge("Você mora em Salvador", TUTOR)
    assert tutor.voice_needed_s(BEGINNER, now_s=5.0) > before
    tutor.judge("Não, espera.", TUTOR)
    assert tutor.voice_needed_s(BEGINNER, now_s=5.0) == before


def test_the_tutors_first_sounds_are_guarded_and_its_voice_raises_the_threshold() -> None:
    tutor = OverTutor()
    assert tutor.threshold(BEGINNER) == 0.5
    tutor.says(TUTOR, now_s=10.0)
    assert tutor.threshold(BEGINNER) > 0.5
    assert tutor.voice_needed_s(BEGINNER, now_s=10.2) > tutor.voice_needed_s(BEGINNER, now_s=11.0)
    tutor.says(None, now_s=12.0)
    assert tutor.audible(12.3) == TUTOR
    assert tutor.audible(13.0) is None


def test_a_realtime_client_chooses_over_the_stack() -> None:
    stack = TurnTakingSettings(patience={"B1": 2.2}, eagerness="high", threshold=0.6, interrupt_ms=400)
    own = TurnDetection(type="semantic_vad", eagerness="low").settings(stack, "B1")
    assert (own.eagerness, own.patience_by_level["B1"], own.threshold, own.interrupt_ms) == ("low", 2.2, 0.6, 400)
    assert TurnDetection(type="semantic_vad").settings(stack, "B1").eagerness == "high"
    fixed = TurnDetection(type="server_vad", threshold=0.3, silence_duration_ms=900).settings(stack, None)
    assert (fixed.mode, fixed.threshold, fixed.silence_duration_ms) == ("server_vad", 0.3, 900)
