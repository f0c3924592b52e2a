"""One greedy client and ten polite ones, over stages that serve one at a time, as a small machine does. No Ray."""

from __future__ import annotations

import asyncio
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import httpx
import numpy as np
import pytest
from support.site_without_ray import Site, site_of
from support.stages import Ears, House, Work

from serve_app.audio import wav
from serve_app.protocols import Audio, Transcript

RECORDING = wav(np.full(8_000, 0.1, np.float32), 16_000)
POLITE, GREEDY, TURNS = 10, 8, 4
CLIENTS = [f"client{number}" for number in range(POLITE + 1)]


@dataclass
class OneEar(Ears):
    """Hears one recording after the other."""

    turn: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def transcribe(self, audio: Audio, said_before: str = "") -> Transcript:
        async with self.turn:
            return await super().transcribe(audio, said_before)


def answered_after(site: Site, client: str) -> float:
    """Seconds from one recording to the end of its answer; infinite where it was refused."""
    began = time.perf_counter()
    answer = httpx.post(
        f"{site.url}/api/stream-audio?wait=true",
        files={"audio": ("gravacao", RECORDING)},
        headers={"Authorization": f"Bearer {client * 3}"},
        timeout=60,
    )
    return time.perf_counter() - began if "event: complete" in answer.text else float("inf")


def polite_turns(site: Site, client: str) -> list[float]:
    taken = []
    for _ in range(TURNS):
        taken.append(answered_after(site, client))
        time.sleep(0.1)
    return taken


def waits_of_the_polite(site: Site) -> list[float]:
    with ThreadPoolExecutor(POLITE) as pool:
        return [one for taken in pool.map(lambda client: polite_turns(site, client), CLIENTS[1:]) for one in taken]


def test_beside_a_greedy_client_the_polite_ones_get_their_turns(monkeypatch: pytest.MonkeyPatch) -> None:
    """In the order of arrival it would get as many turns as they, since it always has as many requests waiting."""
    monkeypatch.setenv("PARLE_API_KEYS", ",".join(f"{client}:{client * 3}" for client in CLIENTS))
    house = House()
    house.stt = OneEar(Work("stt", house.log), takes_s=0.06)
    over = threading.Event()
    got: list[float] = []

    def greedy(site: Site) -> None:
        while not over.is_set():
            taken = answered_after(site, CLIENTS[0])
            if not over.is_set() and taken < float("inf"):
                got.append(taken)

    with site_of(house, limits={"max_turns": 4}) as site, ThreadPoolExecutor(GREEDY) as pool:
        for _ in range(GREEDY):
            pool.submit(greedy, site)
        polite = waits_of_the_polite(site)
        over.set()
    assert max(polite) < float("inf"), "none of them is refused"
    assert 0 < len(got) <= 0.6 * len(polite), f"{len(got)} of the greedy one, {len(polite)} of the others"
