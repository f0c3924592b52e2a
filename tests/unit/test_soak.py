"""What `make soak` looks for: each check finds what is wrong and passes what is right; a seed says who is hit."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise, product
from pathlib import Path
from typing import Any

import psutil
import pytest
from support.site_without_ray import Site, site_of
from support.waiting import wait_for

from bench.soak_checks import Known, Turn, recoveries, wrong_conversation, wrong_turn
from bench.soak_faults import STOP_S, TARGETS, Fault, Striker, Struck, found, plan
from bench.soak_levels import MORE_DESCRIPTORS, Level, growth
from bench.soak_run import Soak
from bench.soak_table import figures, table
from bench.soak_talkers import SAID, TALKERS, Talker, recordings, talker_of

KNOWN = Known(
    [
        "Eu acordo às seis horas e tomo banho.",
        "Meu irmão gosta de jogar futebol no parque.",
        "O ônibus chegou atrasado por causa do trânsito.",
        "Preciso comprar um presente para a minha mãe.",
    ],
    [0, 0, 1, 1],
)
LIMIT_S = 100.0
REPLY = "Que legal!"

Sent = tuple[float, str, dict[str, Any]]


def transcript(text: str = KNOWN.texts[0], session: str = "mine") -> Sent:
    return 101.0, "transcript", {"transcript": text, "session_id": session}


def complete(at: float = 104.0, text: str = KNOWN.texts[0]) -> Sent:
    return at, "complete", {"transcript": text, "response": REPLY}


def answer(text: str = KNOWN.texts[0]) -> list[Sent]:
    return [transcript(text), (102.0, "response", {"response": REPLY}), (103.0, "audio", {}), complete(text=text)]


ERROR = (104.0, "error", {"code": "stage_lost"})


def turn(events: list[Sent], *, recording: int = 0, number: int = 0, closed: str = "") -> Turn:
    ended = events[-1][0] if events else 101.0
    return Turn(KNOWN.talkers[recording], "sse", recording, f"turn{number}", 100.0, events, ended, closed)


@pytest.mark.parametrize(
    "right",
    [
        turn(answer()),
        turn(answer("Eu acordo as seis horas, eu tomo banho!")),
        turn([transcript(), ERROR]),
        turn([ERROR]),
        turn([transcript()], closed="closed 1006"),
        turn([], closed="refused 503 busy"),
        turn([(90.0 + LIMIT_S, "waiting", {"place": 1}), complete(120.0 + LIMIT_S)][:1], closed="closed 1012"),
        turn([*answer(), (105.0, "stopping", {"in_s": 20})]),
    ],
    ids=lambda one: one.outcome,
)
def test_one_end_or_a_closed_connection_is_right(right: Turn) -> None:
    assert wrong_turn(right, KNOWN, "mine", LIMIT_S) == []


@pytest.mark.parametrize(
    ("events", "why"),
    [
        ([*answer(), complete()], "2 ends: complete, complete"),
        ([*answer(), ERROR], "2 ends: complete, error"),
        ([*answer(), (105.0, "audio", {})], "audio after its end"),
        ([transcript(), (101.0 + LIMIT_S, "error", {"code": "turn_timeout"})], "its end came after 101 s"),
        ([transcript(KNOWN.texts[2]), ERROR], "the words of talker 1"),
        ([transcript(f"{KNOWN.texts[0]} {KNOWN.texts[2]}"), ERROR], "heard 'Eu acordo às seis horas e tomo banho. O ô"),
        ([transcript(session="theirs"), ERROR], "another's session: theirs"),
        ([*answer()[:-1], complete(text=KNOWN.texts[2])], "complete has another transcript"),
        ([transcript(), complete()], "complete has another reply"),
        ([transcript(), (102.0, "response", {"response": REPLY}), complete()], "complete without speech"),
        ([transcript(), (104.0, "error", {"code": "internal"})], "an error without a name"),
    ],
)
def test_a_turn_that_breaks_a_promise_is_found(events: list[Sent], why: str) -> None:
    [first, *_] = wrong_turn(turn(events), KNOWN, "mine", LIMIT_S)
    assert first.startswith(why)


def test_a_turn_without_an_end_and_a_connection_that_closes_late_are_found() -> None:
    silent, late = turn([transcript()]), turn([transcript()], closed="closed 1006")
    silent.gave_up, late.ended = True, 101.0 + LIMIT_S
    assert wrong_turn(silent, KNOWN, "mine", LIMIT_S) == ["no end within 100 s"]
    assert wrong_turn(late, KNOWN, "mine", LIMIT_S) == ["its end came after 101 s, the limit is 100 s"]


def kept(number: int, text: str, reply: str = REPLY) -> dict[str, Any]:
    return {"turn_id": f"turn{number}", "transcript": text, "reply": reply}


TURNS = [
    turn(answer(), number=0),
    turn([], recording=1, number=1, closed="closed 1006"),
    turn([transcript()], number=2, closed="closed 1006"),
    turn([transcript(KNOWN.texts[1]), ERROR], recording=1, number=3),
]
WHOLE = [kept(0, KNOWN.texts[0]), kept(1, KNOWN.texts[1], ""), kept(2, KNOWN.texts[0], ""), kept(3, KNOWN.texts[1], "")]


@pytest.mark.parametrize("there", [WHOLE, [WHOLE[0], WHOLE[3]]], ids=["all", "without those cut off"])
def test_a_conversation_that_holds_what_was_told_is_right(there: list[dict[str, Any]]) -> None:
    assert wrong_conversation(TURNS, there, KNOWN) == []


@pytest.mark.parametrize(
    ("there", "why"),
    [
        (WHOLE[1:], "lacks turn0 (complete)"),
        (WHOLE[:3], "lacks turn3 (error stage_lost)"),
        ([*WHOLE, kept(9, KNOWN.texts[2])], f"holds what this talker did not say: ['{KNOWN.texts[2]}']"),
        ([WHOLE[3], WHOLE[0]], "holds turns in another order, or twice: [3, 0]"),
        ([WHOLE[0], WHOLE[0], WHOLE[3]], "holds turns in another order, or twice: [0, 0, 3]"),
        ([kept(0, KNOWN.texts[1]), WHOLE[3]], f"has {KNOWN.texts[1]!r} for {KNOWN.texts[0]!r} in turn0"),
        ([WHOLE[0], kept(1, KNOWN.texts[2]), WHOLE[3]], f"holds the words of talker 1: {KNOWN.texts[2]!r}"),
        ([kept(0, KNOWN.texts[0], "Oi!"), WHOLE[3]], f"has the reply 'Oi!' of turn0, not {REPLY!r}"),
    ],
)
def test_a_conversation_that_is_not_as_it_was_is_found(there: list[dict[str, Any]], why: str) -> None:
    assert wrong_conversation(TURNS, there, KNOWN) == [why]


def done(at: float, talker: int) -> Turn:
    return Turn(talker, "sse", 2 * talker, "x", at - 5, [complete(at)], at)


def test_the_next_turn_after_a_fault_is_timed_from_the_last_one_before_it() -> None:
    turns = [done(10, 0), done(40, 0), done(95, 0), done(31, 1)]
    first, second, third, never = recoveries(turns, [(20, 20), (30, 60)], talkers=2)
    assert (first.seconds, first.undisturbed_s, first.last) == (20, 0, False), "answered while the other process stood"
    assert (second.seconds, second.last) == (11, False)
    assert (third.seconds, third.undisturbed_s, third.last) == (35, 35, True)
    assert (never.seconds, never.undisturbed_s, never.last) == (float("inf"), float("inf"), True)


def test_a_plan_is_the_same_for_a_seed_and_hits_everything_both_ways() -> None:
    faults = plan(7, 50, 1000, TARGETS)
    assert faults == plan(7, 50, 1000, TARGETS) != plan(8, 50, 1000, TARGETS)
    assert {(one.target, one.stop_s is None) for one in faults} == set(product(TARGETS, (False, True)))
    assert len(faults) == 50
    assert all(earlier.at_s < later.at_s for earlier, later in pairwise(faults))
    assert faults[-1].at_s <= 1000
    assert all(STOP_S[0] <= one.stop_s <= STOP_S[1] for one in faults if one.stop_s is not None)


@pytest.fixture
def family() -> Iterator[psutil.Process]:
    """A process below which one has the title of the language model's replica."""
    name = "ray::ServeReplica:parle:TutorLLM"
    code = f"import subprocess; subprocess.run(['sleep', '60'])  # {name}"
    script = f"import subprocess; subprocess.run(['{name}', '-c', {code!r}], executable='{sys.executable}')"
    process = psutil.Process(subprocess.Popen([sys.executable, "-c", script]).pid)
    wait_for(lambda: [one.name() for one in found(process, "engine")] == ["sleep"], 30, "the processes")
    yield process
    for one in [process, *process.children(recursive=True)]:
        one.kill()


def struck(striker: Striker, now: float) -> psutil.Process:
    hit = striker.tick(now)
    assert hit is not None
    return psutil.Process(hit.pid)


def test_a_replica_is_stopped_for_its_time_and_the_process_it_has_started_is_killed(family: psutil.Process) -> None:
    striker = Striker(family, [Fault(1, "llm", 20), Fault(2, "engine", None), Fault(3, "tts", None)], 100)
    assert striker.tick(100.5) is None
    replica = struck(striker, 101)
    wait_for(lambda: replica.status() == psutil.STATUS_STOPPED, 30, "the signal to be delivered")
    engine = struck(striker, 102)
    assert engine.ppid() == replica.pid
    striker.tick(121.5)
    wait_for(lambda: replica.status() != psutil.STATUS_STOPPED, 30, "the process to go on")
    striker.tick(300)
    assert striker.done
    assert [(one.target, one.stop_s) for one in striker.missed] == [("tts", None)], "there is no such process"
    assert [(one.at, one.over) for one in striker.struck] == [(101, 121.5), (102, 102)]


def test_processes_that_have_grown_and_those_left_behind_are_found() -> None:
    def level(name: str, descriptors: int = 50) -> Level:
        return Level(name, descriptors, 10, 200.0)

    before = {(1, 0.0): level("raylet"), (2, 0.0): level("tts"), (3, 0.0): level("ingress")}
    after = {(1, 0.0): level("raylet", 51 + MORE_DESCRIPTORS), (4, 0.0): level("tts", 900), (3, 0.0): level("ingress")}
    assert growth(before, before) == []
    assert growth(before, after) == ["raylet (1) has 33 more descriptors; the bound is 32"]
    monitors = [{(6, 0.0): level("log_monitor.py", number)} for number in (37, 37 + 200, 37 + 201)]
    assert growth(monitors[0], monitors[1]) == []
    assert growth(monitors[0], monitors[2]) == ["log_monitor.py (6) has 201 more descriptors; the bound is 200"]
    assert growth(before, {**after, (5, 0.0): level("ingress")})[1:] == ["2 processes ingress, before 1"]


def test_every_talker_has_recordings_of_its_own() -> None:
    audio = recordings()
    assert len(set(audio)) == len(SAID) == 2 * TALKERS
    assert {talker_of(number) for number in range(len(audio))} == set(range(TALKERS))


@pytest.fixture
def site() -> Iterator[Site]:
    with site_of() as running:
        running.house.llm.word_s = 0.03
        yield running


@pytest.mark.parametrize("number", [0, 1], ids=["sse", "websocket"])
def test_a_talker_whose_connection_breaks_off_says_the_next_one_in_the_same_conversation(
    site: Site, number: int
) -> None:
    talker = Talker(number, site.url, "key", recordings(), time.monotonic, LIMIT_S)
    with ThreadPoolExecutor(1) as pool, site.house.slow_replies():
        running = pool.submit(talker.once)
        wait_for(lambda: bool(talker.turns and talker.turns[0].transcript), 30, "the transcript")
        site.abort()
        cut_off = running.result()
    answered = talker.once()
    talker.hang_up()
    assert cut_off.outcome.startswith("closed")
    assert answered.outcome == "complete"
    assert answered.recording == cut_off.recording + 1
    known = Known([site.house.stt.text] * len(SAID), [talker_of(number) for number in range(len(SAID))])
    assert [wrong_turn(turn, known, talker.session, LIMIT_S) for turn in talker.turns] == [[], []]
    site.wait_until_idle()
    there = talker.conversation()
    assert [one["turn_id"] for one in there] == [turn.turn_id for turn in talker.turns]
    assert wrong_conversation(talker.turns, there, known) == []


@pytest.mark.parametrize("number", [0, 1], ids=["sse", "websocket"])
def test_a_talker_leaves_a_turn_that_does_not_end_and_says_so(site: Site, number: int) -> None:
    site.house.llm.word_s = 0.3
    turn = Talker(number, site.url, "key", recordings(), time.monotonic, 0.5).once()
    assert turn.outcome == "no end"


def test_a_late_answer_after_a_fault_is_wrong_and_is_in_the_table() -> None:
    me = psutil.Process()
    soak = Soak("http://127.0.0.1:1", me, Path(), [], known=KNOWN, loaded_s=10.0, limit_s=LIMIT_S)
    talkers = [Talker(number, soak.url, "", [], soak.clock, LIMIT_S, session="mine") for number in range(TALKERS)]
    for talker in talkers:
        talker.turns = [Turn(talker.number, talker.way, 0, "x", 100.0, answer(), 104.0)]
    soak.talkers = talkers[:1]
    soak.striker = Striker(me, [], 0)
    soak.striker.struck.append(Struck(Fault(70, "tts", None), 70, 70, 1, "killed"))
    soak.judge(whole=False)
    assert soak.wrong == ["70 s, tts killed: talker 0 was answered 34 s after it; allowed are 25 s"]
    shown = figures(soak)
    assert "| tts killed | 1 | 34.0 | 34.0 | 34.0 |" in table(shown).splitlines()
    assert json.loads(json.dumps(shown))["turns"] == {"complete": 1}
    soak.wrong, soak.loaded, soak.loads = [], 2.0, [(60.0, 9.0), (80.0, 4.0), (120.0, 9.0)]
    soak.judge(whole=False)
    assert soak.wrong == [], "the machine had twice the load then"
    assert "The machine's load average was 9.0 in the median" in table(figures(soak))
