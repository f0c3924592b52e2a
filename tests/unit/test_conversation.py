"""Conversations as the next turn needs them: `serve_app.lesson.conversation`."""

from __future__ import annotations

import pytest

from serve_app.lesson.conversation import KEPT_UTTERANCES, Conversation, Exchange


def lesson(session_id: str, exchanges: int) -> Conversation:
    conversation = Conversation(session_id)
    for number in range(exchanges):
        conversation = conversation.with_exchange(Exchange(f"fala {number}", f"resposta {number}", "A2"))
    return conversation


def test_an_exchange_is_added_at_the_end_and_sets_the_level() -> None:
    before = lesson("a", 2)
    after = before.with_exchange(Exchange("fala", "resposta", "B2"))
    assert after.exchanges == (*before.exchanges, Exchange("fala", "resposta", "B2"))
    assert after.utterances == ("fala 0", "fala 1", "fala")
    assert (before.level, after.level) == ("A2", "B2")
    assert len(before.exchanges) == 2


@pytest.mark.parametrize(("exchanges", "left"), [(1, 0), (2, 1), (3, 1), (9, 4), (10, 5)])
def test_trimming_drops_the_older_half_at_once(exchanges: int, left: int) -> None:
    whole = lesson("a", exchanges)
    assert whole.trimmed().exchanges == whole.exchanges[exchanges - left :]


def test_the_utterances_the_level_rests_on_outlive_trimming_but_are_bounded() -> None:
    conversation = lesson("a", KEPT_UTTERANCES + 5)
    assert conversation.trimmed().utterances == conversation.utterances
    assert len(conversation.utterances) == KEPT_UTTERANCES
    assert conversation.utterances[-1] == f"fala {KEPT_UTTERANCES + 4}"
