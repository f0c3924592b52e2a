"""What one utterance changes of what is kept of a learner. No clock, no store: the same turns make the same learner."""

from __future__ import annotations

import itertools
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from serve_app.learner import reviews
from serve_app.learner.facts import facts_in
from serve_app.learner.model import (
    KNOWN_TURNS,
    MOST_FACTS,
    MOST_ITEMS,
    MOST_LEVELS,
    MOST_WORDS,
    Fact,
    Item,
    Learner,
    LevelAt,
    WordUse,
)
from serve_app.teaching.error_rules import Correction, mended
from serve_app.teaching.lemmas import lemma_of, words_of, zipf
from serve_app.teaching.second_person import sentences
from serve_app.teaching.word_answer import fold

LONGEST = 160
"""Characters of a sentence that is kept."""
COMMON = 6.2
"""Zipf frequency from which a word alone shows nothing: "são" is kept as "eles são"."""
HEARD = 0.5
"""Lowest probability of a word that was heard well."""

_WORD = re.compile(r"[^\W\d_]+(?:-[^\W\d_]+)*")


@dataclass(frozen=True, slots=True)
class Heard:
    """What one turn tells of its learner. `errors` are in `text`; `asked`: (what was asked for, the word it is)."""

    turn_id: str
    """Of this turn only, unlike that of a request, which a client may send twice."""
    at: float
    text: str
    errors: tuple[Correction, ...] = ()
    doubtful: frozenset[str] = frozenset()
    """Words in lower case that were heard badly."""
    level: str | None = None
    asked: tuple[tuple[str, str], ...] = ()
    acted: bool = False
    """It was said in a role: no fact is told in one."""


@dataclass(frozen=True, slots=True)
class News:
    """The items that were right, wrong again, and new: their `use`."""

    recalled: tuple[str, ...] = ()
    lapsed: tuple[str, ...] = ()
    new: tuple[str, ...] = ()


@dataclass(slots=True)
class _Changes:
    items: dict[str, Item]
    recalled: list[str] = field(default_factory=list)
    lapsed: list[str] = field(default_factory=list)
    new: list[str] = field(default_factory=list)


def learned(learner: Learner | None, heard: Heard) -> tuple[Learner, News]:
    """The learner after the turn, and what that changed. A turn that is known already changes nothing.

    None is a learner that nothing is known of.
    """
    learner = learner or Learner(heard.at, heard.at)
    if heard.turn_id in learner.turns:
        return learner, News()
    changes = _Changes(dict(learner.items))
    wrong = {key_of(heard.text, error): error for error in heard.errors}
    _recall(heard, wrong, changes)
    for key, error in wrong.items():
        _note_error(key, error, heard, changes)
    for said, word in heard.asked:
        _note_asked(said, word, heard.at, changes)
    after = replace(
        learner,
        seen=max(learner.seen, heard.at),
        words=_words(learner.words, heard),
        items=_most_recent(changes.items),
        facts=learner.facts if heard.acted else with_facts(learner.facts, heard),
        levels=_levels(learner.levels, heard),
        turns=(*learner.turns, heard.turn_id)[-KNOWN_TURNS:],
    )
    return after, News(tuple(changes.recalled), tuple(changes.lapsed), tuple(changes.new))


def key_of(text: str, error: Correction) -> str:
    """What an error is known by: its rule, and the word that would be right."""
    return f"{error.rule}:{fold(use_of(text, error).split()[-1])}"


def use_of(text: str, error: Correction) -> str:
    """What the learner would say: the right words, with the one before where they are too common to be noticed."""
    right = " ".join(error.better.lower().split())
    if " " in right or (len(right) > 2 and zipf(right) < COMMON):
        return right
    before = _WORD.findall(text[: error.span[0]])
    return f"{before[-1].lower()} {right}" if before else right


def new_word(word: str, at: float, *, said: str = "", saved: bool = False) -> Item:
    return Item(f"word:{fold(word)}", "word", word, reviews.first_seen(at), at, at, said=said, saved=saved)


def _recall(heard: Heard, wrong: Mapping[str, Correction], changes: _Changes) -> None:
    """The items that are in the utterance, outside of its errors."""
    plain = heard.text
    for error in heard.errors:
        plain = plain[: error.span[0]] + " " * (error.span[1] - error.span[0]) + plain[error.span[1] :]
    words = [word.lower() for word in _WORD.findall(plain)]
    for key, item in changes.items.items():
        if key in wrong or not _is_said(item, words, heard.doubtful):
            continue
        item = replace(item, last=heard.at, right=item.right + 1)
        if reviews.rested(item.schedule, heard.at):
            item = replace(item, schedule=reviews.right(item.schedule, heard.at))
            changes.recalled.append(item.use)
        changes.items[key] = item


def _is_said(item: Item, words: Sequence[str], doubtful: frozenset[str]) -> bool:
    use = item.use.lower().split()
    if doubtful.intersection(use):
        return False
    if item.kind == "word" and len(use) == 1:
        return any(word == use[0] or lemma_of(word) == use[0] for word in words if word not in doubtful)
    found = any(list(words[at : at + len(use)]) == use for at in range(len(words) - len(use) + 1))
    if found or item.rule != "gender" or len(use) != 2:
        return found
    # "da viagem" is right in "uma viagem", too.
    ending = use[0].rstrip("s")[-1:]
    pairs = itertools.pairwise(words)
    return any(noun == use[1] and before in _GENDERED and before.rstrip("s")[-1:] == ending for before, noun in pairs)


_GENDERED = frozenset(
    re.findall(
        r"\w+",
        "o a os as do da dos das no na nos nas ao pelo pela uma numa meu minha seu sua nosso nossa esse essa este esta"
        " aquele aquela muito muita",
    )
)


def _note_error(key: str, error: Correction, heard: Heard, changes: _Changes) -> None:
    use = use_of(heard.text, error)
    if (known := changes.items.get(key)) is None:
        sentence = _sentence_with(heard.text, error)
        item = Item(key, "error", use, reviews.first_seen(heard.at), heard.at, heard.at, error.rule, error.said)
        item = replace(item, better=error.better, message=error.message, sentence=sentence, wrong=1)
        changes.items[key] = item
        changes.new.append(use)
        return
    item = replace(known, last=heard.at, wrong=known.wrong + 1, said=error.said)
    if reviews.rested(known.schedule, heard.at):
        item = replace(item, schedule=reviews.wrong(known.schedule, heard.at))
        changes.lapsed.append(known.use)
    changes.items[key] = item


def _note_asked(said: str, word: str, at: float, changes: _Changes) -> None:
    item = new_word(word, at, said=said[:LONGEST])
    if (known := changes.items.get(item.key)) is None:
        changes.items[item.key] = item
        changes.new.append(word)
    elif reviews.rested(known.schedule, at):  # who asks for it again has forgotten it
        changes.items[item.key] = replace(known, last=at, schedule=reviews.wrong(known.schedule, at))
        changes.lapsed.append(word)


def _sentence_with(text: str, error: Correction) -> str:
    """The sentence of the error, with that put right; "" where it is too long to be kept."""
    pairs = zip(sentences(text), sentences(mended(text, [error])), strict=False)
    right = next((right for spoken, right in pairs if right != spoken), "")
    return right if len(right) <= LONGEST else ""


def _words(known: Mapping[str, WordUse], heard: Heard) -> Mapping[str, WordUse]:
    words = dict(known)
    for start, word in words_of(heard.text):
        if word.lower() in heard.doubtful or (lemma := lemma_of(word)) is None:
            continue
        wrong = any(error.span[0] <= start < error.span[1] for error in heard.errors)
        before = words.pop(lemma, None) or WordUse(heard.at, heard.at, 0, 0)
        words[lemma] = WordUse(before.first, heard.at, before.times + 1, before.right + (not wrong))
    return dict(list(words.items())[-MOST_WORDS:])


def _most_recent(items: dict[str, Item]) -> dict[str, Item]:
    """Not more than are kept: those go that are known best."""
    if len(items) <= MOST_ITEMS:
        return items
    kept = sorted(items.values(), key=lambda item: (item.saved, -item.schedule.stability))[-MOST_ITEMS:]
    return {item.key: item for item in items.values() if item in kept}


def with_facts(facts: tuple[Fact, ...], heard: Heard) -> tuple[Fact, ...]:
    """What the learner told: a fact takes the place of an earlier one about the same."""
    by_about = {fact.about or fact.id: fact for fact in facts}
    for about, text, value in facts_in(heard.text, heard.doubtful):
        before = by_about.get(about)
        if before is None or before.text != text:
            by_about[about] = Fact(before.id if before else f"{heard.turn_id}.{about}", text, about, value, heard.at)
    return tuple(by_about.values())[-MOST_FACTS:]


def _levels(levels: tuple[LevelAt, ...], heard: Heard) -> tuple[LevelAt, ...]:
    if heard.level is None or (levels and levels[-1].level == heard.level):
        return levels
    return (*levels, LevelAt(heard.at, heard.level))[-MOST_LEVELS:]
