"""POST /api/pronunciation over stages without models, and the rules behind a word's score."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import Any

import httpx
import numpy as np
import pytest
from support import recorded
from support.site_without_ray import Site, site_of
from support.stages import House

from serve_app.audio import wav
from serve_app.engines.stt.pronunciation import Text, TimedWord, other_texts, scored, words_of
from serve_app.engines.stt.sound_alikes import sound_alikes
from serve_app.errors import StageFailed

SPEECH = wav(np.full(16_000, 0.1, np.float32), 16_000)
SENTENCE = "Eu comi pão."


@pytest.fixture
def site() -> Iterator[Site]:
    with site_of(routes=["pronunciation"]) as one:
        yield one


def ask(
    site: Site, audio: bytes | None = SPEECH, headers: dict[str, str] | None = None, **fields: str
) -> httpx.Response:
    files = {} if audio is None else {"audio": ("said.wav", audio)}
    return httpx.post(f"{site.url}/api/pronunciation", files=files, data=fields, headers=headers, timeout=30)


def test_every_word_of_the_sentence_has_a_score_a_time_and_a_verdict(site: Site) -> None:
    answer = ask(site, text="  Eu comi\n pão. ")
    assert answer.status_code == 200
    assert answer.json()["text"] == SENTENCE
    assert answer.json()["words"][1] == {
        **{"word": "comi", "start": 1 / 3, "end": 2 / 3, "score": 0.1, "verdict": "unclear", "sounds_like": "com"},
    }
    assert [word["verdict"] for word in answer.json()["words"]] == ["clear", "unclear", "clear"]
    assert site.house.log == [f"stt scores {SENTENCE}"]


@pytest.mark.parametrize(
    ("fields", "status", "code"),
    [
        ({}, 422, "invalid_field"),
        ({"text": " ?! "}, 422, "invalid_field"),
        ({"text": "a " * 31}, 422, "invalid_field"),
        ({"text": "a" * 241}, 422, "invalid_field"),
        ({"text": SENTENCE, "tekst": "x"}, 422, "invalid_field"),
        ({"text": SENTENCE, "audio": b""}, 400, "no_audio"),
        ({"text": SENTENCE, "audio": None}, 400, "no_audio"),
        ({"text": SENTENCE, "audio": b"no sound at all"}, 400, "bad_audio"),
    ],
)
def test_what_cannot_be_scored_is_refused_before_the_stage(
    site: Site, fields: dict[str, Any], status: int, code: str
) -> None:
    answer = ask(site, **fields)
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert site.house.log == []
    site.wait_until_idle()


def test_where_nobody_spoke_there_is_no_score() -> None:
    house = House()
    house.stt.text = ""
    with site_of(house, routes=["pronunciation"]) as site:
        answer = ask(site, text=SENTENCE)
    assert (answer.status_code, answer.json()["code"]) == (400, "no_speech")


def test_a_stage_that_fails_or_hangs_is_named() -> None:
    house = House()
    house.stt.work.fails_with = StageFailed("The stt stage was lost.", code="stage_lost", stage="stt", status=503)
    with site_of(house, routes=["pronunciation"]) as site:
        answer = ask(site, text=SENTENCE)
        assert (answer.status_code, answer.json()["code"]) == (503, "stage_lost")
        site.wait_until_idle()
    slow = House()
    slow.stt.takes_s = 60
    with site_of(slow, routes=["pronunciation"], limits={"stt_s": 0.1}) as site:
        answer = ask(site, text=SENTENCE)
        assert (answer.status_code, answer.json()["code"]) == (504, "stage_timeout")
        site.wait_until_idle()


def test_it_is_measured_as_a_turn_however_it_ends(caplog: pytest.LogCaptureFixture) -> None:
    house = House()
    with caplog.at_level(logging.INFO, "ray.serve"), site_of(house, routes=["pronunciation"]) as site:
        assert ask(site, text=SENTENCE).status_code == 200
        house.stt.text = ""
        assert ask(site, text=SENTENCE).status_code == 400
        house.stt.work.fails_with = StageFailed("The stt stage was lost.", code="stage_lost", stage="stt")
        assert ask(site, text=SENTENCE).status_code == 500
        site.wait_until_idle()
    turns = [record.__dict__["turn"] for record in caplog.records if "turn" in record.__dict__]
    assert [(turn["route"], turn["stage"], turn["outcome"], turn.get("code")) for turn in turns] == [
        ("pronunciation", "stt", "complete", None),
        ("pronunciation", "stt", "error", "no_speech"),
        ("pronunciation", "stt", "error", "stage_lost"),
    ]
    assert {turn["calls"][0]["audio_s"] for turn in turns} == {1.0}
    assert SENTENCE not in caplog.text


def test_the_error_of_a_stage_is_not_counted_as_a_refusal(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = recorded.keep(monkeypatch)
    house = House()
    house.stt.work.fails_with = StageFailed("The stt stage was lost.", code="stage_lost", stage="stt")
    with site_of(house, routes=["pronunciation"]) as site:
        assert ask(site, text=SENTENCE).status_code == 500
        site.wait_until_idle()
    assert seen.of("parle_errors_total", route="pronunciation") == [1]
    assert seen.one("parle_errors_total", route="pronunciation", stage="stt", code="stage_lost") == 1


def test_it_wants_the_servers_key_and_counts_as_one_of_its_turns(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PARLE_API_KEYS", "ana:" + "k" * 40)
    key = {"Authorization": "Bearer " + "k" * 40}
    with site_of(routes=["pronunciation"], limits={"client_turns_per_minute": 1}) as site:
        assert ask(site, text=SENTENCE).status_code == 401
        assert ask(site, text=SENTENCE, headers=key).status_code == 200
        refused = ask(site, text=SENTENCE, headers=key)
        assert (refused.status_code, refused.json()["code"]) == (429, "too_many")


def test_a_stack_without_the_route_has_no_such_address() -> None:
    with site_of(routes=["sse"]) as site:
        assert ask(site, text=SENTENCE).json()["code"] == "not_found"


@pytest.mark.parametrize(
    ("right", "said"),
    [
        *[("pão", "pau"), ("mão", "mau"), ("mundo", "mudo"), ("avô", "avó"), ("avó", "avô"), ("jogo", "jógo")],
        *[("carro", "caro"), ("caro", "carro"), ("filho", "filo"), ("falo", "falho"), ("vinho", "vino")],
        *[("doce", "doze"), ("chá", "já"), ("menino", "menina"), ("vinho", "binho"), ("bola", "mola")],
        *[("está", "esta"), ("país", "pais"), ("cadeira", "cadera"), ("sou", "só")],
    ],
)
def test_what_learners_confuse_is_among_the_sound_alikes(right: str, said: str) -> None:
    assert said in sound_alikes(right)
    assert right not in sound_alikes(right)


def test_the_same_sound_in_another_spelling_is_no_rival() -> None:
    assert "éu" not in sound_alikes("eu")
    assert "lavéi" not in sound_alikes("lavei")


def test_a_long_sentence_is_compared_with_a_bounded_number_of_texts() -> None:
    words = words_of("Eu trabalho em um restaurante italiano. " * 5)
    assert len(words) < len(other_texts(words, "pt")) <= 120
    assert {text.place for text in other_texts(words, "pt")} == set(range(len(words)))
    assert {text.said for text in other_texts(words, "de")} == {""}


def read(*words: float) -> list[np.ndarray]:
    return [np.array([word]) for word in words]


def test_a_word_that_another_fits_better_scores_low_and_names_it() -> None:
    words, times = ["Eu", "comi", "pão."], [TimedWord(i, i + 1) for i in range(3)]
    others = [Text(2, "", ("Eu", "comi")), Text(2, "pau", ("Eu", "comi", "pau.")), Text(0, "", ("comi",))]
    silent = [read(-1, -1, -1), read(-1, -1), read(-1, -1, -9), read(-1)]
    expected = scored(words, times, [*others, Text(1, "", ("Eu", "pão."))],
                      [read(-1, -1, -1), read(-1, -1), read(-1, -1, -1), read(-9), read(-1, -9)],
                      [*silent, read(-1, -9)])  # fmt: skip
    assert (expected[2].verdict, expected[2].sounds_like) == ("unclear", "pau")  # as likely, though nobody expects it
    assert expected[2].score < expected[0].score


def test_a_word_that_was_left_out_is_missing() -> None:
    words, times = ["Eu", "comi"], [TimedWord(0, 1), TimedWord(1, 1)]
    others = [Text(0, "", ("comi",)), Text(1, "", ("Eu",)), Text(1, "come", ("Eu", "come"))]
    [first, last] = scored(
        words, times, others, [read(-1, -12), read(-20), read(-1), read(-1, -12)], [read(-2, -2)] * 4
    )
    assert (first.verdict, last.verdict, last.sounds_like) == ("clear", "missing", None)
