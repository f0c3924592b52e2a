"""A turn and what is known of its learner: what the planner, an LLM and the client are told of it."""

from __future__ import annotations

import time
import uuid
from collections.abc import Sequence

from serve_app.learner.learning import HEARD, Heard, News
from serve_app.learner.memory import Recollection
from serve_app.lesson.events import Remembered
from serve_app.protocols import Word
from serve_app.sentences import whole_sentences
from serve_app.teaching.error_rules import Correction
from serve_app.teaching.how_to_say import asked_for
from serve_app.teaching.memory import NOTHING, Due, Memory
from serve_app.teaching.recall import from_before

OFFERED = 5
"""Due items that a reply chooses from."""


class Recalling:
    """One turn's share of the memory; of a turn without a learner nothing is known and nothing kept."""

    def __init__(self, recollection: Recollection | None) -> None:
        self.recollection = recollection
        self._news: News | None = None

    async def learn(self, text: str, words: Sequence[Word], errors: Sequence[Correction], *, acted: bool) -> None:
        """What was said, once it is known."""
        if self.recollection is None:
            return
        doubtful = frozenset(word.text.strip(" .,!?…;:").lower() for word in words if word.probability < HEARD)
        asked = asked_for(text)
        heard = Heard(
            uuid.uuid4().hex, time.time(), text, tuple(errors), doubtful, None, (asked,) if asked else (), acted
        )
        self._news = await self.recollection.learn(heard)

    async def opening(self, text: str, level: str, *, goes_on: bool) -> str:
        """The opening of a lesson: with `goes_on`, its question goes on from earlier conversations."""
        if self.recollection is None or await self.recollection.remember() is None:
            return text
        self._news = News()
        question = from_before(self.for_plan(), level) if goes_on else ""
        return f"{whole_sentences(text)[0].strip()} {question}" if question else text

    def for_plan(self) -> Memory:
        """What the reply may bring back: what was due before the utterance, and is not in it."""
        if self.recollection is None or self._news is None or self.recollection.before is None:
            return NOTHING
        due = self.recollection.before.due(time.time())
        recalled = tuple(item.use for item in due if item.use in self._news.recalled)
        left = [item for item in due if item.use not in (*self._news.recalled, *self._news.lapsed)]
        return Memory(
            tuple(Due(item.use, item.said, item.better, item.sentence) for item in left[:OFFERED]),
            recalled,
            tuple((fact.about, fact.value) for fact in self.recollection.before.facts if fact.about),
        )

    def event(self) -> Remembered | None:
        """For the client; None where nothing is known of the learner."""
        if self.recollection is None or self._news is None or self.recollection.after is None:
            return None
        return Remembered(len(self.recollection.after.due(time.time())), self._news)
