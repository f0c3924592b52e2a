"""The summary of a lesson: which turns count, what went well, what to practise, new words, and how it is said."""

from __future__ import annotations

from typing import Any

import pytest
from support.lesson import Lesson
from support.stages import House

from serve_app.errors import StoreUnavailable
from serve_app.lesson.events import Event, Summarised
from serve_app.lesson.kept import KeptConversation, KeptTurn
from serve_app.lesson.summary import Summary, of_lesson, summary
from serve_app.protocols import Word
from serve_app.scenarios.library import shipped
from serve_app.store.memory import MemoryStore
from serve_app.teaching.rare_words import rare_words


def turn(text: str, at_s: float = 0.0, **fields: Any) -> KeptTurn:
    fields = {"state": "complete", "reply": "Que bom!", "level": "A2", "ended": 1000.0 + at_s + 5, **fields}
    return KeptTurn("t", 1000.0 + at_s, text, **fields)


def wrong(said: str, better: str, rule: str, shown: bool = True) -> dict[str, Any]:
    return {"said": said, "better": better, "rule": rule, "message": f"Melhor: {better}.", "shown": shown}


def summed(*turns: KeptTurn, level: str = "A2") -> Summary:
    return summary(shipped(), of_lesson(turns), level)


def test_three_kinds_of_errors_are_practised_the_most_frequent_and_the_latest_first() -> None:
    found = summed(
        turn("Eu tem um gato.", correction=wrong("tem", "tenho", "person")),
        turn("O casa é bom.", correction=wrong("O", "A", "gender")),
        turn("Eu gosto praia.", correction=wrong("gosto", "gosto de", "preposition")),
        turn("Três pão.", correction=wrong("pão", "pães", "plural")),
        turn("Eu vai lá.", correction=wrong("vai", "vou", "person")),
        turn("Ontem eu come.", correction=wrong("come", "comi", "tense", shown=False)),
    )
    assert [(one["better"], one["times"]) for one in found.practise] == [("vou", 2), ("pães", 1), ("gosto de", 1)]
    assert found.practise[0]["message"] == "Melhor: vou."


def test_a_lesson_without_errors_says_so_and_long_pauses_are_no_part_of_it() -> None:
    found = summed(turn("Eu moro aqui."), turn("Eu trabalho muito.", 60), turn("Eu gosto de ler livros.", 5000))
    assert [praise.kind for praise in found.went_well] == ["no_errors", "talked"]
    assert (found.turns, found.practise) == (3, ())
    assert found.minutes == round((5 + 55 + 5 + 5) / 60, 1)


def test_words_that_were_misheard_or_wrong_are_not_new_ones() -> None:
    heard = (Word("manteiga", 0, 1, 0.9), Word("bagagem", 1, 2, 0.2))
    found = summed(
        turn("Eu quero manteiga e bagagem.", words=heard),
        turn("Uma fatias por favor.", correction=wrong("fatias", "fatia", "plural")),
    )
    assert found.new_words == ("manteiga",)


def test_a_failed_turn_and_those_before_the_last_summary_do_not_count() -> None:
    before = [turn("Eu moro aqui."), turn("", kind="finish", reply="Até a próxima!")]
    found = summed(*before, turn("Eu leio.", state="failed"), turn("Eu corro.", state="interrupted"))
    assert found.turns == 1


def test_only_a_summary_that_was_heard_to_its_end_ends_a_lesson() -> None:
    assert summed(turn("Eu moro aqui."), turn("", kind="finish", reply="Muito", state="interrupted")).turns == 1


@pytest.mark.parametrize("level", ["A1", "B1", "C1"])
def test_it_is_said_in_two_to_four_short_sentences_of_the_level(level: str) -> None:
    found = summed(turn("Eu tem um gato.", correction=wrong("tem", "tenho", "person")), level=level)
    said = found.spoken(level)
    assert 'a gente diz "tenho"' in said
    assert said.startswith("Muito bem!" if level == "A1" else "Foi uma boa conversa.")
    assert len(said.split()) <= 25


@pytest.mark.parametrize(
    ("text", "level", "words"),
    [
        ("Ontem eu comprei manteiga com a Teresa.", "A2", ["manteiga"]),
        ("Ontem eu comprei manteiga com a Teresa.", "C1", []),
        ("Gostaríamos de falar com as vizinhas.", "B1", []),
        ("As bagagens foram extraviadas.", "B1", ["bagagens", "extraviadas"]),
        ("Xyzzy plugh.", "A1", []),
        ("Ele é muito desgastante.", "B2", ["desgastante"]),
    ],
)
def test_rare_words_are_those_above_the_level_in_any_of_their_forms(text: str, level: str, words: list[str]) -> None:
    assert rare_words(text, level) == words


class AwayStore(MemoryStore):
    """Remembers, but cannot be read, as when its database is away."""

    async def read(self, conversation_id: str) -> KeptConversation | None:
        raise StoreUnavailable


def summary_of(events: list[Event]) -> dict[str, Any]:
    return next(event.data() for event in events if isinstance(event, Summarised))


async def test_a_store_that_is_away_costs_the_corrections_and_not_the_turn() -> None:
    house = House()
    house.stt.text = "Eu quer dois pães."
    lesson = Lesson(house, correction="recast", store=AwayStore())
    await lesson.take()
    events = await lesson.take(kind="finish")
    assert events[-1].name == "complete"
    assert (summary_of(events)["turns"], summary_of(events)["practise"]) == (1, [])
