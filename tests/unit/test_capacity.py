"""The simulation of capacity: processor sharing and the graph, against what can be worked out by hand."""

from __future__ import annotations

import itertools
import math
import random

import pytest
import simpy

from bench.cards import PUBLISHED, capacity, p95, published, times_of
from bench.measured_cards import Sharing, measured
from bench.measured_cards import times_of as times_of_measured
from bench.service_times import Llm, Reply, ServiceTimes, Stage
from bench.sharing import Shared
from bench.simulation import Ears, simulate

DELTAS = ["Que", " bom", "!", " Você", " gosta", " de", " futebol", "?"]


def machine(**changes: object) -> ServiceTimes:
    times = ServiceTimes(
        name="by hand",
        capacity=2.0,
        stt=Stage(fixed_s=0.5, each_s=0.1, threads=2.0),
        llm=Llm(slots=2, batch_tokens=32, prefill=Stage(each_s=0.01, threads=2.0), step_s=[0.05, 0.06]),
        tts=Stage(fixed_s=0.1, each_s=0.02, threads=2.0),
        speech_s_per_character=0.06,
        replies=[Reply(audio_s=3.0, new_tokens=20, deltas=DELTAS)],
    )
    return times.model_copy(update=changes)


def ends(
    capacity: float, jobs: list[tuple[float, float, float]], slowdown: dict[str, dict[str, float]] | None = None
) -> list[float]:
    """When each of (start, seconds, threads) is done; their stages are a, b, c ..."""
    env = simpy.Environment()
    shared = Shared(env, capacity, slowdown)
    done: dict[int, float] = {}

    def job(number: int, start: float, seconds: float, threads: float):
        yield env.timeout(start)
        yield shared.work(seconds, threads, "abcdefgh"[number])
        done[number] = env.now

    for number, of in enumerate(jobs):
        env.process(job(number, *of))
    env.run()
    return [done[number] for number in range(len(jobs))]


def test_jobs_that_fit_the_cores_do_not_slow_each_other():
    assert ends(2, [(0, 1.0, 1), (0, 3.0, 1)]) == pytest.approx([1.0, 3.0])


def test_two_jobs_of_two_threads_each_run_at_half_speed_until_one_is_done():
    # Together until 2 s (1 s of work each), then the second alone: 2 s more of work.
    assert ends(2, [(0, 1.0, 2), (0, 3.0, 2)]) == pytest.approx([2.0, 4.0])


def test_a_job_that_comes_later_slows_from_then_on():
    # 1 s alone, then both at half speed: 1 s left takes 2 s, the other has 1 s of 2 done at 3 s.
    assert ends(1, [(0, 2.0, 1), (1, 2.0, 1)]) == pytest.approx([3.0, 4.0])


def test_what_one_stage_loses_beside_another_comes_on_top():
    assert ends(2, [(0, 1.0, 1), (0, 9.0, 1)], slowdown={"a": {"b": 1.5}}) == pytest.approx([1.5, 9.0])


def test_processor_sharing_has_the_mean_of_m_m_1_ps():
    """E[T] = 1 / (mu - lambda), for processor sharing as for FIFO: 1 / (1 - 0.5) = 2."""
    env, draw, spent = simpy.Environment(), random.Random(1), []
    shared = Shared(env, 1)

    def job():
        began = env.now
        yield shared.work(draw.expovariate(1.0), 1, "a")
        spent.append(env.now - began)

    def arrivals():
        for _ in range(40_000):
            yield env.timeout(draw.expovariate(0.5))
            env.process(job())

    env.process(arrivals())
    env.run()
    assert sum(spent) / len(spent) == pytest.approx(2.0, rel=0.05)


def test_one_talker_waits_as_long_as_the_stages_take():
    """First audio = transcription + prompt + three tokens ("Que bom!") + the first piece on shared cores."""
    times = machine()
    turn = simulate(times, 1, seconds=60).turns[0]
    heard = times.stt.seconds(3.0) + times.llm.prefill.seconds(20) + 2 * times.llm.step(1)
    spoken = times.tts.seconds(len("Que bom!"))
    # Beside the LLM's thread, speech of two threads has two thirds of two cores at worst.
    assert heard + spoken <= turn.first_audio_s <= heard + 1.5 * spoken + 1e-6


def test_one_talker_waits_in_no_queue():
    for turn in simulate(machine(), 1, seconds=120).turns:
        assert turn.waited_s == pytest.approx({"stt": 0.0, "llm": 0.0, "tts": 0.0})


def test_first_audio_grows_with_the_talkers():
    means = []
    for talkers in (1, 2, 4, 8):
        turns = simulate(machine(), talkers, seconds=2000).turns
        means.append(sum(turn.first_audio_s for turn in turns) / len(turns))
    assert means == sorted(means)
    assert means[-1] > 1.5 * means[0]


def test_no_more_core_seconds_are_held_than_there_are():
    world = simulate(machine(), 8, seconds=500)
    assert 0.5 * 2 * 500 < sum(world.shared.busy_s.values()) <= 2 * 500 + 1e-6


def test_work_is_conserved():
    """What the cores gave speech recognition is what its turns needed (those at the end may be cut)."""
    times = machine()
    world = simulate(times, 4, seconds=1000)
    needed = len(world.turns) * times.stt.seconds(3.0) * times.stt.threads
    assert needed <= world.shared.busy_s["stt"] + 1e-6 <= needed + 5 * times.stt.seconds(3.0) * 2


def test_littles_law_holds_of_the_closed_loop():
    """N = X (R + Z): talkers = turns a second x (cycle of a turn, as its own times add up)."""
    seconds, talkers = 4000, 4
    world = simulate(machine(), talkers, seconds=seconds)
    cycles: dict[int, list[float]] = {}
    for turn in world.turns:
        cycles.setdefault(turn.talker, []).append(turn.began)
    cycle = [later - began for of in cycles.values() for began, later in itertools.pairwise(of)]
    assert len(world.turns) / seconds * (sum(cycle) / len(cycle)) == pytest.approx(talkers, rel=0.02)


def test_a_second_reply_waits_for_a_slot_where_there_is_one():
    one = machine(llm=machine().llm.model_copy(update={"slots": 1}), stt=Stage(each_s=0.001))
    turns = simulate(one, 6, seconds=500).turns
    assert max(turn.waited_s["llm"] for turn in turns) > 0


def test_every_published_figure_has_its_source_and_date():
    data = published()
    for name, anchor in data["anchors"].items():
        assert anchor["url"].startswith("http"), name
        assert anchor["date"], name
    for name, card in data["cards"].items():
        assert card["bandwidth_url"].startswith("http"), name
        assert card["price_url"].startswith("http"), name
        assert card["price_date"], name
    assert PUBLISHED.exists()


def test_a_card_of_more_bandwidth_serves_no_fewer_talkers():
    replies, data = machine().replies, published()
    of = {card: times_of(data, card, "modal", replies, 0.06) for card in ("L4", "RTX 4090")}
    least, most = (capacity(times, seconds=200)["talkers"] for times in of.values())
    assert least <= most
    assert most > 0


def test_a_stage_that_batches_takes_what_its_table_says():
    # Two at once take 1.5 times as long each: 1 s of work until 1.5 s, and then the second alone for .5 s more.
    env = simpy.Environment()
    shared = Shared(env, math.inf, together={"voice": [1.0, 1.5]})
    done: list[float] = []

    def job(seconds: float):
        yield shared.work(seconds, 1, "voice_first")
        done.append(env.now)

    env.process(job(1.0))
    env.process(job(1.5))
    env.run()
    assert done == pytest.approx([1.5, 2.0])


def test_what_queued_during_a_transcription_is_heard_in_one_call():
    """Of three recordings at once the first is heard alone, and the two that waited together."""
    times = machine(capacity=math.inf, stt_batch=[1.0, 1.2, 1.4, 1.6])
    env = simpy.Environment()
    ears = Ears(env, times, Shared(env, math.inf), workers=1)
    done: list[float] = []

    def talker(start: float):
        yield env.timeout(start)
        begun, heard = ears.hear(5.0)
        yield begun & heard
        done.append(env.now)

    for start in (0.0, 0.1, 0.2):
        env.process(talker(start))
    env.run()
    assert done == pytest.approx([1.0, 2.2, 2.2])


@pytest.mark.parametrize("stack", ["modal", "local"])
def test_one_talker_on_a_measured_card_waits_for_its_stages_alone(stack: str):
    data = measured()
    times = times_of_measured(data, stack, "time-slicing", machine().replies, 0.06)
    turn = simulate(times, 1, seconds=60).turns[0]
    voice = times.tts_first_s if times.tts_first_s is not None else times.tts.fixed_s
    alone = times.stt.seconds(3.0) + times.llm.prefill.seconds(20) + 2 * times.llm.step(1) + voice
    slowest = max(data["slowdown"]["time-slicing"][stack].get("tts_first", {"llm": 2.0}).values())
    # The opening is spoken while the rest of its sentence, five more tokens, is written.
    assert alone <= turn.first_audio_s <= alone + slowest * 6 * times.llm.step(1)


def test_of_six_learners_the_last_waits_least_with_mps_and_a_batched_voice():
    replies = [Reply(audio_s=2 + of, new_tokens=30, deltas=DELTAS * of) for of in (2, 3, 4, 5)]

    def waits(sharing: Sharing, batched: bool) -> float:
        times = times_of_measured(measured(), "modal", sharing, replies, 0.07, batched=batched)
        return p95(simulate(times, 6, seconds=300))

    assert waits("mps", True) < waits("mps", False) < waits("time-slicing", False)


def test_a_measured_card_of_less_bandwidth_writes_more_slowly():
    own = times_of_measured(measured(), "modal", "mps", machine().replies, 0.06)
    small = times_of_measured(measured(), "modal", "mps", machine().replies, 0.06, bandwidth_gb_s=2400)
    assert small.llm.step(8) == pytest.approx(2 * own.llm.step(8))
    assert small.stt == own.stt
