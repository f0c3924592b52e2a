"""What a learner changes of what is kept of them."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from serve_app.errors import InvalidField, did_you_mean
from serve_app.learner import reviews
from serve_app.learner.facts import LONGEST
from serve_app.learner.learning import new_word
from serve_app.learner.model import MOST_ITEMS, Item, Learner
from serve_app.teaching.lemmas import lemma_of
from serve_app.teaching.word_answer import fold

MOST_CHANGES = 100
"""Of one request."""
FIELDS = ("facts", "save", "forget")
EXAMPLE = 'such as {"facts": {"ID": "Você mora em Paris"}, "save": ["janela"], "forget": ["praia"]}'


def edited(changes: Any, now: float) -> Callable[[Learner], Learner]:
    """What a client's JSON object asks for: `facts` to write anew, or delete (null), by their ids; words, or
    corrections, to `save`; words and items to `forget`.

    Raises:
        InvalidField: it asks for something else, at once or, where it names what is not there, when applied.
    """
    if not isinstance(changes, dict) or not changes:
        raise InvalidField(f"Send a JSON object, {EXAMPLE}.")
    for name in changes:
        if name not in FIELDS:
            raise InvalidField(did_you_mean("field", name, FIELDS))
    facts, save, forget = changes.get("facts", {}), changes.get("save", []), changes.get("forget", [])
    if not isinstance(facts, dict) or not isinstance(save, list) or not isinstance(forget, list):
        raise InvalidField(f"facts is an object, save and forget are lists, {EXAMPLE}.")
    if len(facts) + len(save) + len(forget) > MOST_CHANGES:
        raise InvalidField(f"At most {MOST_CHANGES} changes at once.")
    texts = {name: None if text is None else _line("facts", text) for name, text in facts.items()}
    items = [_saved(one, now) for one in save]
    names = [_line("forget", one) for one in forget]

    def apply(learner: Learner) -> Learner:
        for name, text in texts.items():
            learner = _with_fact(learner, name, text)
        for item in items:
            learner = _with_item(learner, item)
        for name in names:
            learner = _without(learner, name)
        return learner

    return apply


def _with_fact(learner: Learner, name: str, text: str | None) -> Learner:
    ids = [fact.id for fact in learner.facts]
    if name not in ids:
        raise InvalidField(did_you_mean("fact", name, ids) if ids else "There is no fact to change.")
    facts = (fact if fact.id != name else replace(fact, text=text or "", about="", value="") for fact in learner.facts)
    return replace(learner, facts=tuple(fact for fact in facts if fact.text))


def _with_item(learner: Learner, item: Item) -> Learner:
    """With the item, marked as saved; one that is there keeps its schedule."""
    same = (one for one in learner.items.values() if one.key == item.key or (item.better and one.better == item.better))
    known = next(same, None)
    if known is None and len(learner.items) >= MOST_ITEMS:
        raise InvalidField(f"At most {MOST_ITEMS} words and corrections are kept: forget one first.")
    kept = replace(known or item, saved=True)
    return replace(learner, items={**learner.items, kept.key: kept})


def _without(learner: Learner, name: str) -> Learner:
    folded = fold(name)
    keys = [key for key, one in learner.items.items() if name == key or folded in (fold(one.use), fold(one.said))]
    words = [word for word in learner.words if folded == fold(word)]
    if not keys and not words:
        raise InvalidField(did_you_mean("word", name, [*learner.words, *learner.items]))
    items = {key: one for key, one in learner.items.items() if key not in keys}
    return replace(learner, items=items, words={word: use for word, use in learner.words.items() if word not in words})


def _saved(asked: Any, now: float) -> Item:
    if isinstance(asked, str):
        word = _line("save", asked).lower()
        return new_word(lemma_of(word) or word, now, saved=True)
    if not isinstance(asked, dict) or set(asked) != {"said", "better"}:
        raise InvalidField('save is a list of words and corrections: "janela", {"said": "eu vai", "better": "eu vou"}.')
    said, better = _line("said", asked["said"]), _line("better", asked["better"])
    key = f"saved:{fold(better)}"
    return Item(key, "error", better.lower(), reviews.first_seen(now), now, now, "", said, better, saved=True)


def _line(name: str, text: Any) -> str:
    """A client's text as one short line.

    Raises:
        InvalidField: it is none.
    """
    if not isinstance(text, str):
        raise InvalidField(f"{name}: every entry is text.")
    seen = "".join(" " if unicodedata.category(sign).startswith(("C", "Z")) else sign for sign in text)
    line = " ".join(unicodedata.normalize("NFC", seen).split())
    if not re.search(r"\w", line) or len(line) > LONGEST:
        raise InvalidField(f"{name}: a text has 1 to {LONGEST} characters.")
    return line
