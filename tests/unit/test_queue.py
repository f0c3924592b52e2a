"""Who gets a place in a full server, who waits for one and in which order. No Ray."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncGenerator, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

import httpx
import numpy as np
import pytest
from support.clients import Answer, HalfSent, ask, parse, post, refusal, talking
from support.site_without_ray import Site, site_of
from support.stages import House, Work, Writer
from support.waiting import wait_for

from serve_app.audio import wav
from serve_app.config.limits import Limits
from serve_app.config.user_config import IngressSettings
from serve_app.lesson.tutor_prompt import TutorRequest
from serve_app.protocols import TextDelta, Usage
from serve_app.routes.gate import Client
from serve_app.routes.places import Places

RECORDING = wav(np.full(16_000, 0.1, np.float32), 16_000)
KEYS = "greedy:" + "g" * 20 + ",ana:" + "a" * 20 + ",bia:" + "b" * 20


def key(name: str) -> dict[str, str]:
    return {"Authorization": "Bearer " + name[0] * 20}


@pytest.fixture
def site() -> Iterator[Site]:
    """One turn at a time, which ends when the test lets it."""
    with full_site(max_turns=1) as site:
        yield site


@dataclass
class HeldWriter(Writer):
    """Writes nothing until it is let go."""

    held: bool = True

    async def reply(self, request: TutorRequest) -> AsyncGenerator[TextDelta | Usage, None]:
        while self.held:  # noqa: ASYNC110 - it is let go from another thread
            await asyncio.sleep(0.01)
        async for item in super().reply(request):
            yield item


@contextmanager
def full_site(**limits: float) -> Iterator[Site]:
    house = House()
    house.llm = HeldWriter(Work("llm", house.log))
    with site_of(house, limits=limits) as site:
        yield site


def let_go(site: Site) -> None:
    assert isinstance(site.house.llm, HeldWriter)
    site.house.llm.held = False


def hold(site: Site) -> None:
    assert isinstance(site.house.llm, HeldWriter)
    site.house.llm.held = True


def waiting_for(site: Site, turns: int, waiting: int) -> None:
    wait_for(lambda: (site.lessons.turns, site.lessons.waiting) == (turns, waiting), 30, f"{waiting} to wait")


def asked(url: str, client: str = "", *, wait: bool = True) -> Answer:
    """A turn over SSE whose client waits."""
    with httpx.stream(
        "POST",
        f"{url}/api/stream-audio",
        params={"wait": "true"} if wait else {},
        files={"audio": ("gravacao", RECORDING)},
        headers=key(client) if client else {},
        timeout=60,
    ) as response:
        if response.status_code != 200:
            response.read()
            raise AssertionError(refusal(response))
        return Answer(list(parse(response.iter_lines())))


def places(turn: Answer) -> list[int]:
    return [event.data["place"] for event in turn.all("waiting")]


def test_over_sse_who_waits_is_told_the_place_and_then_answered(site: Site) -> None:
    with ThreadPoolExecutor() as pool:
        turns: list[Future[Answer]] = []
        for number in range(3):
            turns.append(pool.submit(asked, site.url))
            waiting_for(site, 1, number)
        assert site.info()["waiting"] == 2
        let_go(site)
        answers = [turn.result() for turn in turns]
    assert [places(turn) for turn in answers] == [[], [1], [2, 1]]
    assert [turn.last.name for turn in answers] == ["complete"] * 3
    assert answers[1].names[:2] == ["waiting", "status stt"]


def test_over_the_websocket_who_waits_is_told_the_place_and_then_answered(site: Site) -> None:
    with ExitStack() as opened:
        one, two, three = (opened.enter_context(talking(site.url)) for _ in range(3))
        for number, talk in enumerate((one, two, three)):
            talk.tell({"type": "settings", "wait": True})
            assert talk.next().data["wait"] is True
            talk.say(RECORDING)
            waiting_for(site, 1, number)
        assert three.next().data == {"place": 2}
        two.tell({"type": "cancel"})
        assert [two.next().name, two.next().name] == ["waiting", "cancelled"]
        assert three.next().data == {"place": 1}
        let_go(site)
        assert three.until("complete", "error").last.name == "complete"


def test_who_does_not_ask_to_wait_is_refused_also_before_those_who_wait(site: Site) -> None:
    with ThreadPoolExecutor() as pool:
        running = pool.submit(asked, site.url)
        waiting_for(site, 1, 0)
        waiting = pool.submit(asked, site.url)
        waiting_for(site, 1, 1)
        assert refusal(post(site.url, RECORDING)) == (503, "busy")
        with talking(site.url) as talk:
            talk.tell({"type": "settings", "wait": False})
            talk.next()
            assert talk.ask(RECORDING).last.data["code"] == "busy"
        let_go(site)
        assert running.result().last.name == waiting.result().last.name == "complete"


def test_the_queue_is_bounded() -> None:
    with full_site(max_turns=1, max_waiting=1) as site, ThreadPoolExecutor() as pool:
        turns = [pool.submit(asked, site.url)]
        waiting_for(site, 1, 0)
        turns.append(pool.submit(asked, site.url))
        waiting_for(site, 1, 1)
        with pytest.raises(AssertionError, match="busy"):
            asked(site.url)
        let_go(site)
        assert [turn.result().last.name for turn in turns] == ["complete"] * 2


def test_a_wrong_recording_is_refused_before_it_waits(site: Site) -> None:
    thread = threading.Thread(target=ask, args=(site.url, RECORDING))
    thread.start()
    waiting_for(site, 1, 0)
    answer = httpx.post(f"{site.url}/api/stream-audio?wait=true", files={"audio": ("x", b"no sound")}, timeout=30)
    assert refusal(answer) == (400, "bad_audio")
    answer = httpx.post(f"{site.url}/api/stream-audio?wait=perhaps", files={"audio": ("x", RECORDING)}, timeout=30)
    assert refusal(answer) == (422, "invalid_field")
    let_go(site)
    thread.join()
    assert site.lessons.waiting == 0


def test_who_hangs_up_leaves_the_queue(site: Site) -> None:
    with ThreadPoolExecutor() as pool, talking(site.url) as talk:
        running = pool.submit(asked, site.url)
        waiting_for(site, 1, 0)
        talk.tell({"type": "settings", "wait": True})
        talk.say(RECORDING)
        waiting_for(site, 1, 1)
        talk.vanish()
        waiting_for(site, 1, 0)
        let_go(site)
        assert running.result().last.name == "complete"


def test_those_who_wait_are_told_of_a_stop(site: Site) -> None:
    with ThreadPoolExecutor() as pool:
        running = pool.submit(asked, site.url)
        waiting_for(site, 1, 0)
        waiting = pool.submit(asked, site.url)
        waiting_for(site, 1, 1)
        site.stop()
        assert waiting.result().last.data["code"] == "stopping"
        let_go(site)
        assert running.result().last.name == "complete"


@contextmanager
def no_thread_free(site: Site) -> Iterator[None]:
    """Nothing that is decoded comes to its end while the block runs."""
    free = threading.Event()

    async def occupy() -> None:
        for _ in range(64):  # more than the loop has threads
            site.loop.run_in_executor(None, free.wait)

    site.run(occupy())
    try:
        yield
    finally:
        free.set()


def test_a_place_that_is_granted_while_the_recording_is_decoded_is_for_a_turn_that_counts(site: Site) -> None:
    with ThreadPoolExecutor() as pool:
        running = pool.submit(asked, site.url)
        waiting_for(site, 1, 0)
        wait_for(lambda: site.house.stt.work.made == 1, 30, "the first transcript")
        with no_thread_free(site):
            granted = pool.submit(asked, site.url)
            waiting_for(site, 1, 1)
            let_go(site)
            assert running.result().last.name == "complete"
            wait_for(lambda: site.lessons.waiting == 0, 30, "the place to be granted")
            hold(site)
        waiting_for(site, 1, 0)
        wait_for(lambda: site.house.stt.work.made == 2, 30, "the second transcript")
        assert site.lessons.turns == 1
        let_go(site)
        assert granted.result().last.name == "complete"


def test_while_the_last_turns_run_nobody_is_let_in_to_wait_or_to_upload(site: Site) -> None:
    with ThreadPoolExecutor() as pool:
        running = pool.submit(asked, site.url)
        waiting_for(site, 1, 0)
        with HalfSent(site.url, path="/api/stream-audio?wait=true") as waiting:
            wait_for(lambda: site.lessons.waiting == 1, 30, "the upload to begin")
            site.stop()
            with HalfSent(site.url, path="/api/stream-audio?wait=true") as later:
                answers = [waiting.answer(), later.answer()]
        let_go(site)
        assert running.result().last.name == "complete"
    assert [(status, body["code"]) for status, _, body in answers] == [(503, "stopping")] * 2


def test_who_waits_gets_a_place_as_soon_as_there_are_more(site: Site) -> None:
    with ThreadPoolExecutor() as pool:
        turns = [pool.submit(asked, site.url)]
        waiting_for(site, 1, 0)
        turns.append(pool.submit(asked, site.url))
        waiting_for(site, 1, 1)

        async def configure() -> None:
            site.lessons.configure(IngressSettings(limits={"max_turns": 2, "client_share": 1}))

        site.run(configure())
        waiting_for(site, 2, 0)
        let_go(site)
        assert [turn.result().last.name for turn in turns] == ["complete"] * 2


def test_a_greedy_client_has_half_of_the_places_and_goes_last_in_the_queue(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PARLE_API_KEYS", KEYS)
    with full_site(max_turns=2, max_waiting=4) as site, ThreadPoolExecutor(10) as pool:
        ended: list[str] = []

        def ask_as(client: str) -> Answer:
            turn = asked(site.url, client)
            ended.append(client)
            return turn

        greedy = [pool.submit(ask_as, "greedy")]
        waiting_for(site, 1, 0)
        greedy += [pool.submit(ask_as, "greedy") for _ in range(4)]
        waiting_for(site, 1, 4)  # one place is free, and is not for it
        with pytest.raises(AssertionError, match="busy"):
            asked(site.url, "greedy")
        polite = [pool.submit(ask_as, "ana")]
        waiting_for(site, 2, 4)
        polite.append(pool.submit(ask_as, "bia"))  # the queue is full: the greedy one makes room
        wait_for(lambda: any(turn.done() for turn in greedy), 30, "the greedy client to lose a place")
        waiting_for(site, 2, 4)
        let_go(site)
        turns = [turn.result() for turn in (*greedy, *polite)]
    assert places(turns[-1])[0] == 1, "before all that the greedy client sent earlier"
    [refused] = [turn for turn in turns if turn.last.name == "error"]
    assert refused.last.data["code"] == "busy"
    assert refused in turns[:5], "one of the greedy client's turns made room"
    assert 1 not in places(refused), "and it was not the first of them"
    assert [turn.last.name for turn in turns[-2:]] == ["complete"] * 2
    assert ended.index("bia") < len(ended) - 1


async def test_the_more_clients_speak_the_fewer_turns_one_of_them_has_and_all_the_same_number() -> None:
    places = Places(lambda: Limits(max_turns=8))
    greedy, other = Client(None, "192.0.2.1"), Client(None, "192.0.2.2")

    def taken(client: Client, stack: ExitStack) -> list[bool]:
        return [stack.enter_context(places.take(client, wait=True)).taken for _ in range(5)]

    with ExitStack() as alone:
        assert taken(greedy, alone) == [True] * 4 + [False]
    with ExitStack() as polite, ExitStack() as beside:
        speaking = [polite.enter_context(ExitStack()) for _ in range(2)]
        for number, stack in enumerate(speaking):
            stack.enter_context(places.take(Client(None, f"198.51.100.{number}")))
        waiting = [beside.enter_context(places.take(greedy, wait=True)) for _ in range(5)]
        assert [place.taken for place in waiting] == [True] * 2 + [False] * 3
        speaking[0].close()
        assert [place.taken for place in waiting] == [True] * 3 + [False] * 2, "nothing stands idle"
    with ExitStack() as both:
        first = [both.enter_context(places.take(greedy, wait=True)) for _ in range(4)]
        second = [both.enter_context(places.take(other, wait=True)) for _ in range(4)]
        assert [place.taken for place in (*first, *second)] == [True] * 4 + [True] * 3 + [False]
