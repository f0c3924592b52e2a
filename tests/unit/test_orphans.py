"""Work for a caller that has died ends; that for one that lives, or is not known, goes on."""

from __future__ import annotations

import asyncio
import subprocess
from collections.abc import Iterator

import pytest

from serve_app.process_names import has_died, name_of, new_name
from serve_app.replicas import orphans
from serve_app.replicas.orphans import ended_with


@pytest.fixture
def other() -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen(["sleep", "600"]) as process:
        yield process
        process.kill()


async def test_the_death_of_the_caller_cancels_the_work(
    other: subprocess.Popen[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(orphans, "LOOK_S", 0.01)
    began = asyncio.Event()

    async def work() -> None:
        async with ended_with(name_of(other.pid)):
            began.set()
            await asyncio.Event().wait()

    working = asyncio.create_task(work())
    await began.wait()
    await asyncio.sleep(0.05)
    assert not working.done()
    other.kill()
    other.wait()
    async with asyncio.timeout(30):
        await asyncio.wait([working])
    assert working.cancelled()


@pytest.mark.parametrize("caller", ["", "another-machine/1 1 1.00", new_name()], ids=["none", "far", "own"])
async def test_work_for_who_lives_or_is_not_known_is_done_and_nobody_looks_any_more(caller: str) -> None:
    async with ended_with(caller):
        await asyncio.sleep(0.01)
    await asyncio.sleep(0)
    assert not any(task.get_name() == "caller" for task in asyncio.all_tasks())


def test_a_process_is_known_by_its_number_and_when_it_began(other: subprocess.Popen[bytes]) -> None:
    name = name_of(other.pid)
    assert not has_died(name)
    machine, number, began = name.split(" ")
    assert has_died(f"{machine} {number} {float(began) - 1:.2f}")
    other.kill()
    other.wait()
    assert has_died(name)
