"""When an item comes back: FSRS (https://github.com/open-spaced-repetition/py-fsrs), with its default weights."""

from __future__ import annotations

from datetime import UTC, datetime

from fsrs import Card, Rating, Scheduler, State

from serve_app.learner.model import Schedule

REST_S = 6 * 3600.0
"""What is said again sooner shows no memory: it was heard a moment ago, from the tutor."""

_SCHEDULER = Scheduler(learning_steps=(), relearning_steps=(), enable_fuzzing=False)
"""In days from the first review on: minutes are for flash cards, not for conversations."""


def first_seen(now: float) -> Schedule:
    """Of an item that is new: the learner did not know it."""
    return _reviewed(Card(card_id=1, due=_at(now)), Rating.Again, now)


def right(schedule: Schedule, now: float) -> Schedule:
    return _reviewed(_card(schedule), Rating.Good, now)


def wrong(schedule: Schedule, now: float) -> Schedule:
    return _reviewed(_card(schedule), Rating.Again, now)


def rested(schedule: Schedule, now: float) -> bool:
    """Whether it says something of memory that the item is right, or wrong, now."""
    return now - schedule.reviewed >= REST_S


def _reviewed(card: Card, rating: Rating, now: float) -> Schedule:
    card, _ = _SCHEDULER.review_card(card, rating, _at(now))
    assert card.stability is not None
    assert card.difficulty is not None
    return Schedule(card.state.value, card.stability, card.difficulty, card.due.timestamp(), now)


def _card(schedule: Schedule) -> Card:
    return Card(
        card_id=1,
        state=State(schedule.state),
        stability=schedule.stability,
        difficulty=schedule.difficulty,
        due=_at(schedule.due),
        last_review=_at(schedule.reviewed),
    )


def _at(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)
