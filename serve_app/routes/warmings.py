"""Warms the LLM's prompt cache with a shortened conversation while the learner listens; one task a conversation."""

from __future__ import annotations

import asyncio
import logging
from functools import partial

from serve_app.errors import ParleError
from serve_app.lesson.conversation import Conversation
from serve_app.lesson.stage_limits import answer_within
from serve_app.lesson.stage_protocols import StageQueries
from serve_app.lesson.staging import staged
from serve_app.scenarios.library import Library

logger = logging.getLogger("ray.serve")


class Warmings:
    """The warmings that run now."""

    def __init__(self, queries: StageQueries) -> None:
        self._queries = queries
        self._tasks: dict[str, asyncio.Task[None]] = {}

    def start(self, conversation: Conversation, scenarios: Library, within_s: float) -> None:
        session_id = conversation.session_id
        self.stop(session_id)
        task = asyncio.create_task(self._warm(conversation, scenarios, within_s), name=f"warm-{session_id}")
        self._tasks[session_id] = task
        task.add_done_callback(partial(self._forget, session_id))

    def stop(self, session_id: str) -> None:
        """The next turn begins: what was read so far stays cached, and the turn reads the rest itself."""
        if task := self._tasks.pop(session_id, None):
            task.cancel()

    async def _warm(self, conversation: Conversation, scenarios: Library, within_s: float) -> None:
        history, _ = staged(scenarios, conversation.scenario, conversation.exchanges)
        try:
            await answer_within(within_s, self._queries.warm(conversation.session_id, history), "llm")
        except ParleError as error:
            logger.warning("a conversation's prompt cache was not warmed: %s", error.message)

    def _forget(self, session_id: str, task: asyncio.Task[None]) -> None:
        if self._tasks.get(session_id) is task:
            del self._tasks[session_id]
