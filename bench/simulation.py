"""The graph as a discrete-event simulation: talkers, three stages with their queues, cores or a card that they share.

The pieces of a reply are cut by the server's own PieceCutter on the simulated clock, so what
the simulation says of first audio follows from the code that serves. The level's estimate (lexical, under a
millisecond) is left out.
"""

from __future__ import annotations

import random
from collections.abc import Generator
from dataclasses import dataclass, field
from typing import Any

import simpy

from serve_app.lesson.speech_cutter import Pace, PieceCutter
from serve_app.replicas.due_first import LONGEST_SLACK_S

from .service_times import Reply, ServiceTimes, TurnTimes
from .sharing import FIRST, Shared, at

THINK_S = 1.0
"""Between the end of the answer and the learner's next word."""

Process = Generator[simpy.Event, Any, None]


@dataclass(slots=True, eq=False)
class _Writing:
    """A reply in the making."""

    talker: int
    prompt_tokens: float
    deltas: list[str]
    arrived: simpy.Store
    """Deltas, then None."""
    asked: float
    started: float | None = None
    switched: bool = False
    position: int = 0


class Tutor:
    """The LLM's server: `slots` replies at once, one step after the other, prompts read in batches between."""

    def __init__(self, env: simpy.Environment, times: ServiceTimes, shared: Shared) -> None:
        self._env, self._times, self._shared = env, times.llm, shared
        self._waiting: list[_Writing] = []
        self._active: list[_Writing] = []
        self._held: list[int] = []
        """Whose conversations the slots hold, the longest unused first."""
        self._wake = env.event()
        env.process(self._run())

    def write(self, job: _Writing) -> None:
        self._waiting.append(job)
        if not self._wake.triggered:
            self._wake.succeed()

    def _admit(self) -> None:
        while self._waiting and len(self._active) < self._times.slots:
            job = self._waiting.pop(0)
            job.started = self._env.now
            job.switched = job.talker not in self._held
            self._held = [talker for talker in self._held if talker != job.talker][-self._times.slots + 1 :]
            if self._times.slots == 1:
                self._held = []
            self._held.append(job.talker)
            self._active.append(job)

    def _run(self) -> Process:
        while True:
            self._admit()
            if not self._active:
                self._wake = self._env.event()
                yield self._wake
                continue
            yield from self._step()

    def _step(self) -> Process:
        """Every reply gets its token; what room is left reads prompts, in the same batch.

        A batch that reads takes as long as its tokens, those of the replies among them, but never less than a step.
        """
        times = self._times
        writing = [job for job in self._active if job.prompt_tokens <= 0]
        room = max(1.0, times.batch_tokens - len(writing))
        seconds, threads = 0.0, times.step_threads
        read: list[tuple[_Writing, float]] = []
        for job in self._active:
            if job.prompt_tokens > 0 and room > 0:
                if job.switched:
                    seconds, job.switched = seconds + times.switch_s, False
                tokens = min(room, job.prompt_tokens)
                read.append((job, tokens))
                room -= tokens
                threads = times.prefill.threads
        step = times.step(len(writing)) if writing else 0.0
        batch = times.prefill.each_s * (len(writing) + sum(tokens for _, tokens in read)) if read else 0.0
        seconds += max(step, batch)
        yield self._shared.work(seconds, threads, "llm")
        for job, tokens in read:
            job.prompt_tokens -= tokens
        # The step that read the last of a prompt has also drawn the first token.
        for job in writing + [job for job, _ in read if job.prompt_tokens <= 0]:
            job.arrived.put(job.deltas[job.position])
            job.position += 1
            if job.position == len(job.deltas):
                job.arrived.put(None)
                self._active.remove(job)


class Ears:
    """Speech to text: each worker takes what has queued, up to a batch, and hears it in one call."""

    def __init__(self, env: simpy.Environment, times: ServiceTimes, shared: Shared, workers: int) -> None:
        self._env, self._times, self._shared = env, times, shared
        self._queue: simpy.Store = simpy.Store(env)
        for _ in range(workers):
            env.process(self._run())

    def hear(self, audio_s: float) -> tuple[simpy.Event, simpy.Event]:
        """Events: the call begins; the text is there."""
        begun, done = self._env.event(), self._env.event()
        self._queue.put((audio_s, begun, done))
        return begun, done

    def _run(self) -> Process:
        stt, growth = self._times.stt, self._times.stt_batch
        while True:
            batch = [(yield self._queue.get())]
            while len(batch) < len(growth) and self._queue.items:
                batch.append((yield self._queue.get()))
            for _, begun, _ in batch:
                begun.succeed()
            seconds = stt.seconds(max(audio_s for audio_s, _, _ in batch)) * at(growth, len(batch))
            yield self._shared.work(seconds, stt.threads, "stt")
            for _, _, done in batch:
                done.succeed()


@dataclass(slots=True)
class World:
    """What the talkers share."""

    env: simpy.Environment
    times: ServiceTimes
    shared: Shared
    ears: Ears
    tts: simpy.PriorityResource
    tutor: Tutor
    pace: Pace = field(default_factory=Pace)
    turns: list[TurnTimes] = field(default_factory=list)
    by_due: bool = False
    in_system: float = 0.0
    """Integral of the number of turns over time, for Little's law."""


class _Turn:
    """One turn: heard, answered, spoken."""

    def __init__(self, world: World, talker: int, reply: Reply) -> None:
        self._world, self._env, self._reply = world, world.env, reply
        self._cutter = PieceCutter(world.pace)
        self._more = world.env.event()
        self._playing_until = 0.0
        self.times = TurnTimes(talker, world.env.now)

    @property
    def heard_until(self) -> float:
        """When the last piece has been played."""
        return self._playing_until

    def run(self) -> Process:
        world, reply = self._world, self._reply
        yield self._event()
        begun, heard = world.ears.hear(reply.audio_s)
        yield begun
        self.times.waited_s["stt"] = self._env.now - self.times.began
        yield heard
        writing = self._env.process(self._write())
        yield self._env.process(self._speak()) & writing
        self.times.total_s = self._env.now - self.times.began
        world.turns.append(self.times)
        world.in_system += self.times.total_s

    def _event(self) -> simpy.Event:
        event = self._world.times.event
        return self._world.shared.work(event.each_s, event.threads, "ray")

    def _write(self) -> Process:
        arrived: simpy.Store = simpy.Store(self._env)
        prefill = self._world.times.llm.prefill
        # Its fixed part is counted in tokens, so that one step after the other can pay it.
        tokens = self._reply.new_tokens + (prefill.fixed_s / prefill.each_s if prefill.each_s else 0.0)
        job = _Writing(self.times.talker, max(tokens, 1e-6), self._reply.deltas, arrived, self._env.now)
        self._world.tutor.write(job)
        while (delta := (yield arrived.get())) is not None:
            yield self._event()
            self._cutter.feed(delta)
            self._wake()
        assert job.started is not None
        self.times.waited_s["llm"] = job.started - job.asked
        self._cutter.finish()
        self._wake()

    def _wake(self) -> None:
        if not self._more.triggered:
            self._more.succeed()

    def _speak(self) -> Process:
        """As serve_app.lesson.turn does it: each piece as soon as it is worth it, one after the other."""
        while True:
            self._more = self._env.event()
            slack = max(0.0, self._playing_until - self._env.now)
            piece = self._cutter.next_piece(slack)
            if piece is not None:
                yield from self._speak_piece(piece)
            elif self._cutter.exhausted:
                return
            else:
                patience = self._cutter.wait_s(slack)
                yield self._more if patience is None else self._more | self._env.timeout(patience)

    def _speak_piece(self, piece: str) -> Process:
        world, times = self._world, self._world.times
        asked, characters = self._env.now, len(piece)
        speech_s = times.speech_s_per_character * characters
        due = min(max(asked, self._playing_until), asked + LONGEST_SLACK_S) if world.by_due else 0.0
        with world.tts.request(priority=due) as worker:  # pyright: ignore[reportArgumentType] - any number will do
            yield worker
            self.times.waited_s.setdefault("tts", self._env.now - asked)
            seconds = times.tts.seconds(characters)
            first = seconds if times.tts_first_s is None else min(times.tts_first_s, seconds)
            yield world.shared.work(first, times.tts.threads, "tts" if times.tts_first_s is None else f"tts{FIRST}")
            yield self._event()
            self._heard(speech_s)
            if seconds > first:
                yield world.shared.work(seconds - first, times.tts.threads, "tts")
        world.pace.learn(characters, self._env.now - asked, speech_s)

    def _heard(self, speech_s: float) -> None:
        now = self._env.now
        if self.times.first_audio_s:
            self.times.gap_s += max(0.0, now - self._playing_until)
        self.times.first_audio_s = self.times.first_audio_s or now - self.times.began
        self._playing_until = max(now, self._playing_until) + speech_s


def _talker(world: World, number: int, draw: random.Random, think_s: float) -> Process:
    """Speak, listen to the end, think, speak again."""
    at = draw.randrange(len(world.times.replies))
    yield world.env.timeout(draw.random() * 10)
    while True:
        reply = world.times.replies[at % len(world.times.replies)]
        at += 1
        yield world.env.timeout(reply.audio_s)
        turn = _Turn(world, number, reply)
        yield world.env.process(turn.run())
        yield world.env.timeout(max(0.0, turn.heard_until - world.env.now) + think_s)


def simulate(
    times: ServiceTimes,
    talkers: int,
    *,
    seconds: float = 1800,
    replicas: int = 1,
    seed: int = 0,
    think_s: float = THINK_S,
    by_due: bool = False,
) -> World:
    """`talkers` at once for so long. `replicas` is of stt and tts, on the same cores or card.

    `by_due`: pieces of speech in the order in which they are due, as serve_app.replicas.due_first has them; the saved
    figures are of pieces as they came.
    """
    env = simpy.Environment()
    shared = Shared(env, times.capacity, times.slowdown, {"tts": times.tts_together})
    tts = simpy.PriorityResource(env, replicas * len(times.tts_together))
    world = World(env, times, shared, Ears(env, times, shared, replicas), tts, Tutor(env, times, shared))
    world.by_due = by_due
    for number in range(talkers):
        env.process(_talker(world, number, random.Random(seed * 1000 + number), think_s))
    env.run(until=seconds)
    return world
