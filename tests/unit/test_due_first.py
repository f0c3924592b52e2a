"""In which order pieces of speech are made when several replies want the voice."""

from __future__ import annotations

import asyncio

from serve_app.replicas.due_first import LONGEST_SLACK_S, DueFirst


async def made(gate: DueFirst, pieces: dict[str, float], *, leave: str = "") -> list[str]:
    """The order in which pieces (name: slack) come that arrive while another one is made."""
    done: list[str] = []

    async def piece(name: str, slack_s: float) -> None:
        async with gate.turn(slack_s):
            done.append(name)
            await asyncio.sleep(0)

    async with gate.turn(0):
        tasks: dict[str, asyncio.Task[None]] = {}
        for name, slack_s in pieces.items():
            tasks[name] = asyncio.create_task(piece(name, slack_s))
            await asyncio.sleep(0)
        if leave:
            tasks[leave].cancel()
            await asyncio.sleep(0)
    await asyncio.wait(tasks.values())
    return done


def test_the_piece_of_whoever_has_least_left_to_hear_comes_first() -> None:
    assert asyncio.run(made(DueFirst(), {"ahead": 3.0, "soon": 0.5, "first": 0.0})) == ["first", "soon", "ahead"]


def test_of_those_who_have_nothing_left_the_one_that_waits_longest_comes_first() -> None:
    assert asyncio.run(made(DueFirst(), {"one": 0.0, "two": 0.0, "three": 0.0})) == ["one", "two", "three"]


def test_speech_that_is_held_back_is_made_in_the_end() -> None:
    held_back = {"held back": float("inf"), "later": LONGEST_SLACK_S + 60}
    assert asyncio.run(made(DueFirst(), held_back)) == ["held back", "later"]


def test_as_they_came_where_the_stack_says_so() -> None:
    gate = DueFirst()
    gate.by_due = False
    assert asyncio.run(made(gate, {"ahead": 3.0, "first": 0.0})) == ["ahead", "first"]


def test_a_piece_that_nobody_wants_any_more_holds_up_nobody() -> None:
    async def with_one_that_leaves() -> list[str]:
        gate = DueFirst()
        first = await made(gate, {"gone": 0.0, "stays": 1.0}, leave="gone")
        return [*first, *await made(gate, {"next": 0.0})]

    assert asyncio.run(with_one_that_leaves()) == ["stays", "next"]


def test_one_that_leaves_in_the_moment_of_its_turn_passes_it_on() -> None:
    async def leaving() -> bool:
        gate = DueFirst()
        async with gate.turn(0):
            one = asyncio.create_task(made(gate, {}))
            await asyncio.sleep(0)
        one.cancel()
        await asyncio.wait([one])
        async with asyncio.timeout(30), gate.turn(0):
            return True

    assert asyncio.run(leaving())
