"""The turns of one open connection: one at a time, each in place of the one that runs."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Coroutine, Mapping
from contextlib import ExitStack, aclosing
from dataclasses import replace
from typing import Any

from serve_app.lesson.events import Event, Waiting
from serve_app.routes.asked import Asked
from serve_app.routes.choice import Choice
from serve_app.routes.gate import Client
from serve_app.routes.lessons import Lessons, turn_id_of


class Dialogue:
    """`route` is for metrics and logs; `headers` are of the request that opened the connection."""

    def __init__(self, lessons: Lessons, client: Client, route: str, headers: Mapping[str, str]) -> None:
        self._lessons = lessons
        self._client = client
        self._route = route
        self._headers = headers
        self._turn: asyncio.Task[None] | None = None
        self._turns = 0

    @property
    def running(self) -> bool:
        return self._turn is not None and not self._turn.done()

    async def begin(self, turn: Coroutine[Any, Any, None]) -> None:
        """Run it in a task, once the turn that runs is stopped."""
        await self.stop()
        self._turn = asyncio.create_task(turn)

    async def stop(self) -> bool:
        """Cancel the running turn with all its work; returns whether there was one."""
        turn, self._turn = self._turn, None
        if turn is None or turn.done():
            return False
        turn.cancel()
        await asyncio.wait([turn])
        return True

    async def events(
        self, asked: Asked, choice: Choice, *, wait: bool = False, silent: bool = False, heard_reply: str | None = None
    ) -> AsyncGenerator[Event, None]:
        """One turn from its place to Complete or Failed; with `wait` it queues where the server is full.

        `silent`: written, not spoken. `heard_reply`: what was heard of the reply before, where that was not all.

        Raises:
            ParleError: it was refused before it began.
        """
        with ExitStack() as slot:
            with self._lessons.refusals(self._route):
                slot.enter_context(self._lessons.shares.turn(self._client))
                place = slot.enter_context(self._lessons.place(self._client, wait=wait))
                async with aclosing(place.numbers()) as numbers:
                    async for number in numbers:
                        yield Waiting(number)
                slot.enter_context(self._lessons.turn())
                self._turns += 1
                turn_id = turn_id_of(self._headers, self._turns)
                utterance = await self._lessons.utterance(
                    asked, choice, "eager", route=self._route, turn_id=turn_id, owner=self._client.owner
                )
            utterance = replace(utterance, silent=silent, heard_reply=heard_reply)
            async with aclosing(self._lessons.events(utterance)) as events:
                async for event in events:
                    yield event
