"""A lesson summed up, by rules from the turns that were kept: what went well, what to practise, new words.

What the tutor says of it is in Portuguese of the learner's level: two or three sentences.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from serve_app.lesson.conversation import Conversation
from serve_app.lesson.events import Summarised
from serve_app.lesson.kept import KeptTurn
from serve_app.lesson.stage_protocols import Utterance
from serve_app.lesson.staging import Unasked
from serve_app.scenarios.library import Library
from serve_app.scenarios.scenario import Scenario
from serve_app.teaching.rare_words import rare_words

MOST = 3
"""Things that went well, and things to practise."""
MOST_WORDS = 8
LONGEST_PAUSE_S = 300.0
"""A longer silence between two turns is no part of the lesson."""
SURE_HEARING = 0.5
LONG = {"A": 7, "B": 12, "C": 20}
"""Words of a sentence that is long for the band."""
NO_LESSON = "Ainda não conversamos nesta aula. Quando quiser, é só falar comigo!"

_WORD = re.compile(r"\w+")


@dataclass(frozen=True, slots=True)
class Praise:
    """One thing that went well: what kind of thing, to be shown in any language by its figures, and in Portuguese."""

    kind: str
    text: str
    figures: dict[str, Any] = field(default_factory=dict)

    def data(self) -> dict[str, Any]:
        return {"kind": self.kind, "text": self.text, **self.figures}


@dataclass(frozen=True, slots=True)
class Summary:
    """See the event `summary` in docs/wire.md."""

    went_well: tuple[Praise, ...] = ()
    practise: tuple[dict[str, Any], ...] = ()
    new_words: tuple[str, ...] = ()
    minutes: float = 0.0
    turns: int = 0
    level: str | None = None
    scenario: dict[str, Any] | None = None

    def data(self, spoken: str) -> dict[str, Any]:
        return {
            "went_well": [praise.data() for praise in self.went_well],
            "practise": list(self.practise),
            "new_words": list(self.new_words),
            "minutes": self.minutes,
            "turns": self.turns,
            "level": self.level,
            "scenario": self.scenario,
            "message": spoken,
        }

    def spoken(self, level: str) -> str:
        """What the tutor says of it."""
        if not self.turns:
            return NO_LESSON
        band = level[0]
        praise = self.went_well[0].text
        said = [f"Muito bem! {praise}" if band == "A" else f"Foi uma boa conversa. {praise}"]
        if self.practise:
            better = self.practise[0]["better"]
            said.append(
                {"A": f'Lembre: a gente diz "{better}".'}.get(
                    band, f'Para a próxima vez, lembre que a gente diz "{better}".'
                )
            )
        elif self.new_words:
            said.append(f'Você usou a palavra "{self.new_words[0]}", muito bom.')
        said.append("Até a próxima!" if band == "A" else "Até a próxima conversa!")
        return " ".join(said)


def summed_up(
    library: Library, turns: Sequence[KeptTurn], conversation: Conversation, utterance: Utterance, level: str
) -> Unasked:
    """The lesson's summary as the tutor's words; the conversation may go on after it."""
    lesson = of_lesson(turns)
    found = summary(library, lesson, level)
    text = found.spoken(level)
    return Unasked(text, conversation.scenario, (Summarised(found.data(text)),))


def of_lesson(turns: Sequence[KeptTurn]) -> list[KeptTurn]:
    """The turns since the last summary, if there was one."""
    last = max(
        (number for number, turn in enumerate(turns) if turn.kind == "finish" and turn.state == "complete"), default=-1
    )
    return [turn for turn in turns[last + 1 :] if turn.state != "failed"]


def summary(library: Library, lesson: Sequence[KeptTurn], level: str) -> Summary:
    """`level` is the learner's now."""
    said = [turn for turn in lesson if turn.kind == "turn" and turn.transcript]
    if not said:
        return Summary(level=level)
    words = _new_words(said, level)
    scene = next((turn.scenario for turn in reversed(lesson) if turn.scenario), None)
    scenario = library.find(scene["id"]) if scene else None
    state = None
    if scene is not None and scenario is not None and scenario.kind == "role-play":
        state = {"id": scenario.id, "done": list(scene["done"]), "goal": scene["goal"]}
    return Summary(
        tuple(_went_well(said, scenario, state, words, level))[:MOST],
        tuple(_practise(said)),
        tuple(words[:MOST_WORDS]),
        _minutes(lesson),
        len(said),
        level,
        state,
    )


def _went_well(
    said: Sequence[KeptTurn], scenario: Scenario | None, state: dict[str, Any] | None, words: list[str], level: str
) -> list[Praise]:
    found = []
    if scenario is not None and state is not None and state["done"]:
        done, steps = len(state["done"]), len(scenario.steps)
        if state["goal"]:
            found.append(Praise("goal", f'Você chegou ao fim da cena "{scenario.title}".', {"scenario": scenario.id}))
        else:
            text = f'Na cena "{scenario.title}" você fez {_of(done, steps, "passo")}.'
            found.append(Praise("steps", text, {"done": done, "steps": steps}))
    right = sum(turn.correction is None for turn in said)
    if right == len(said) > 1:
        found.append(Praise("no_errors", "Não ouvi nenhum erro nas suas frases.", {"right": right, "of": len(said)}))
    elif right * 2 >= len(said) > 1:
        text = f"Não ouvi nenhum erro em {_of(right, len(said), 'fala')}."
        found.append(Praise("few_errors", text, {"right": right, "of": len(said)}))
    longest = max((len(_WORD.findall(turn.transcript)) for turn in said), default=0)
    if longest >= LONG[level[0]]:
        found.append(Praise("long", f"Você disse {longest} palavras de uma vez.", {"words": longest}))
    if words:
        text = f"Você usou palavras menos comuns, como {_and([f'“{word}”' for word in words[:3]])}."
        found.append(Praise("words", text, {"words": len(words)}))
    count = f"{len(said)} vezes" if len(said) > 1 else "uma vez"
    found.append(Praise("talked", f"Você falou português {count}.", {"turns": len(said)}))
    return found


def _practise(said: Sequence[KeptTurn]) -> list[dict[str, Any]]:
    """The errors, those of a kind together: first what was wrong most often, then what was wrong last.

    One place for what is due by spaced repetition, once a learner's errors are remembered beyond the lesson.
    """
    by_rule: dict[str, list[dict[str, Any]]] = {}
    latest: dict[str, int] = {}
    for number, turn in enumerate(said):
        if turn.correction is not None and turn.correction.get("shown", True):
            by_rule.setdefault(turn.correction["rule"], []).append(turn.correction)
            latest[turn.correction["rule"]] = number
    latest_first = sorted(by_rule.values(), key=lambda errors: latest[errors[-1]["rule"]], reverse=True)
    most_first = sorted(latest_first, key=len, reverse=True)
    return [
        {
            "said": errors[-1]["said"],
            "better": errors[-1]["better"],
            "message": errors[-1]["message"],
            "rule": errors[-1]["rule"],
            "times": len(errors),
        }
        for errors in most_first[:MOST]
    ]


def _new_words(said: Sequence[KeptTurn], level: str) -> list[str]:
    """Those above the level that were heard well and not wrong."""
    found: dict[str, None] = {}
    for turn in said:
        doubtful = {_bare(word.text) for word in turn.words if word.probability < SURE_HEARING}
        wrong = set(_WORD.findall(turn.correction["said"].lower())) if turn.correction else set()
        found |= dict.fromkeys(word for word in rare_words(turn.transcript, level) if word not in doubtful | wrong)
    return list(found)


def _minutes(lesson: Sequence[KeptTurn]) -> float:
    """From the first turn to the end of the last, without long pauses."""
    seconds, until = 0.0, None
    for turn in lesson:
        ended = max(turn.began, turn.ended or turn.began)
        if until is not None and 0 < turn.began - until <= LONGEST_PAUSE_S:
            seconds += turn.began - until
        seconds += ended - turn.began
        until = ended
    return round(seconds / 60, 1)


def _of(count: int, of: int, what: str) -> str:
    """ "3 de 4 passos" """
    return f"{count} de {of} {what}s"


def _and(words: list[str]) -> str:
    return " e ".join(filter(None, (", ".join(words[:-1]), words[-1])))


def _bare(word: str) -> str:
    return word.strip(" .!?…,;:\"'").lower()
