"""Service times of the CPU stack: each engine alone in this process, each beside another, and what Ray costs.

Nothing here is fitted to runs with several talkers: those are what the simulation is held against.
"""

from __future__ import annotations

import asyncio
import os
import time
import uuid
from collections.abc import Awaitable, Callable, Sequence
from contextlib import aclosing, suppress
from statistics import mean, median
from typing import Any

import numpy as np
import psutil

from serve_app import audio
from serve_app.config.stack import LlamaCppConfig
from serve_app.lesson.conversation import Exchange
from serve_app.lesson.tutor_prompt import TutorRequest
from serve_app.protocols import STT_SAMPLE_RATE, Usage
from serve_app.sentences import speakable, split_long

from . import inprocess
from .server import Server, serving, turn
from .service_times import Llm, Reply, ServiceTimes, Stage
from .turns import GREEDY

BESIDE_REPEATS = 5
IDLE_S = 15.0
SERVED_TURNS = 10
PIECES = 24
SWITCHED = 4

Work = Callable[[], Awaitable[float]]
"""Does one call and tells the seconds it took, or for the LLM the seconds a token."""


def fit(units: Sequence[float], seconds: Sequence[float], threads: float) -> Stage:
    """seconds = fixed + each x units by least squares, neither of them negative."""
    each, fixed = (float(value) for value in np.polyfit(units, seconds, 1))
    if each <= 0:
        return Stage(fixed_s=mean(seconds), each_s=0.0, threads=threads)
    if fixed < 0:
        return Stage(each_s=sum(seconds) / sum(units), threads=threads)
    return Stage(fixed_s=fixed, each_s=each, threads=threads)


class Engines:
    """The stages in this process, and what they took so far."""

    def __init__(self, stages: Any, recordings: Sequence[bytes]) -> None:
        self.stages = stages
        self.samples = [audio.decode(recording, max_seconds=60) for recording in recordings]
        self.transcripts: list[str] = []
        self.replies: list[Reply] = []
        self.history: list[Exchange] = []
        self.usages: list[Usage] = []

    async def stt(self) -> Stage:
        seconds, cpu = [], 0.0
        for samples in self.samples:
            took, used, transcript = await _timed(self.stages.stt.transcribe(samples, ""))
            seconds.append(took)
            cpu += used
            self.transcripts.append(transcript.text)
        return fit([len(samples) / STT_SAMPLE_RATE for samples in self.samples], seconds, cpu / sum(seconds))

    async def llm(self, slots: int, batch_tokens: int) -> Llm:
        """A conversation of all recordings alone, two replies at once, conversations that take turns in the slots."""
        cpu = time.process_time()
        for samples, text in zip(self.samples, self.transcripts, strict=True):
            deltas, usage = await self.write(text, tuple(self.history))
            self.usages.append(usage)
            self.history.append(Exchange(text, "".join(deltas).strip(), None))
            new = usage.prompt_tokens - usage.cached_tokens
            self.replies.append(Reply(audio_s=len(samples) / STT_SAMPLE_RATE, new_tokens=new, deltas=deltas))
        cpu = time.process_time() - cpu
        prefill_s = sum(usage.prefill_s for usage in self.usages)
        decode_s = sum(usage.decode_s for usage in self.usages)
        threads = min(2.0, max(1.0, (cpu - decode_s) / prefill_s))
        for joined in (2, 3, 4):  # longer utterances than the recordings
            long = " ".join(self.transcripts[:joined])
            self.usages.append((await self.write(long, tuple(self.history)))[1])
        read = [usage.prompt_tokens - usage.cached_tokens for usage in self.usages]
        prefill = fit(read, [usage.prefill_s for usage in self.usages], threads)
        step = decode_s / sum(max(1, len(reply.deltas) - 1) for reply in self.replies)
        return Llm(
            slots=slots,
            batch_tokens=batch_tokens,
            prefill=prefill,
            step_s=[step, max(step, await self._two_at_once())],
            switch_s=await self._switch(),
        )

    async def write(self, text: str, history: tuple[Exchange, ...] = ()) -> tuple[list[str], Usage]:
        deltas: list[str] = []
        usage: Usage | None = None
        async with aclosing(self.stages.llm.reply(TutorRequest(text, None, history))) as items:
            async for item in items:
                if isinstance(item, Usage):
                    usage = item
                else:
                    deltas.append(item.text)
        if usage is None:
            raise RuntimeError("the reply ended without its usage")
        return deltas, usage

    async def _two_at_once(self) -> float:
        """Seconds a token while both slots write."""
        steps = []
        for first, second in zip(self.transcripts[::2], self.transcripts[1::2], strict=False):
            both = await asyncio.gather(self.write(first), self.write(second))
            steps += [usage.decode_s / max(1, len(deltas) - 1) for deltas, usage in both]
        return median(steps)

    async def _switch(self) -> float:
        """What it costs to bring back a conversation whose slot another one took."""
        histories: list[tuple[Exchange, ...]] = [()] * SWITCHED
        spent = []
        for number, text in enumerate(self.transcripts[: 4 * SWITCHED]):
            at = number % SWITCHED
            started = time.perf_counter()
            deltas, usage = await self.write(text, histories[at])
            histories[at] += (Exchange(text, "".join(deltas).strip(), None),)
            if number >= SWITCHED:
                spent.append(time.perf_counter() - started - usage.prefill_s - usage.decode_s)
        return max(0.0, median(spent))

    async def tts(self) -> tuple[Stage, float]:
        """And how long a character sounds."""
        texts = [piece for reply in self.replies for piece in split_long(speakable("".join(reply.deltas)), 60)]
        seconds, characters, speech_s, cpu = [], [], 0.0, 0.0
        for text in texts[:PIECES]:
            took, used, spoken = await _timed(self.speak(text))
            seconds.append(took)
            characters.append(len(text))
            speech_s += spoken
            cpu += used
        return fit(characters, seconds, cpu / sum(seconds)), speech_s / sum(characters)

    async def speak(self, text: str) -> float:
        spoken = 0.0
        async for part in self.stages.tts.synthesize(text, None, None):
            spoken += audio.duration_s(part.samples, part.sample_rate)
        return spoken

    def works(self) -> dict[str, Work]:
        text = max((piece for r in self.replies for piece in split_long(speakable("".join(r.deltas)), 60)), key=len)

        async def stt() -> float:
            return (await _timed(self.stages.stt.transcribe(self.samples[0], "")))[0]

        async def llm() -> float:
            deltas, usage = await self.write(self.transcripts[1])
            return usage.decode_s / max(1, len(deltas) - 1)

        async def tts() -> float:
            return (await _timed(self.speak(text)))[0]

        return {"stt": stt, "llm": llm, "tts": tts}


async def _timed(call: Awaitable[Any]) -> tuple[float, float, Any]:
    """Seconds, CPU seconds of this process, and the answer."""
    started, cpu = time.perf_counter(), time.process_time()
    answer = await call
    return time.perf_counter() - started, time.process_time() - cpu, answer


async def slowdowns(works: dict[str, Work], threads: dict[str, float], cores: float) -> dict[str, dict[str, float]]:
    """What each engine takes beside each other one, against what its fair part of the cores would give; 1 is the same.

    Less than 1 where both leave each other's pauses: an average of 1.5 threads is not 1.5 threads all the time.
    """
    alone = {name: median([await work() for _ in range(BESIDE_REPEATS)]) for name, work in works.items()}
    lost: dict[str, dict[str, float]] = {name: {} for name in works}
    for name, work in works.items():
        for other, noise in works.items():
            if other == name:
                continue  # one worker a stage: it never stands beside itself
            looping = asyncio.create_task(_forever(noise))
            await asyncio.sleep(0.2)
            beside = median([await work() for _ in range(BESIDE_REPEATS)])
            looping.cancel()
            with suppress(asyncio.CancelledError):
                await looping
            fair = max(1.0, (threads[name] + threads[other]) / cores)
            lost[name][other] = max(1.0, beside / alone[name]) / fair
    return lost


async def _forever(work: Work) -> None:
    while True:
        await work()


ENGINES = ("SpeechToText", "TutorLLM", "TextToSpeech")


def cpu_seconds(server: Server, *, engines: bool) -> float:
    """Of the server's process tree so far, with the three replicas that compute or without."""
    total = 0.0
    for process in [server.process, *server.process.children(recursive=True)]:
        with suppress(psutil.Error):
            if not engines and any(name in " ".join(process.cmdline()) for name in ENGINES):
                continue
            times = process.cpu_times()
            total += times.user + times.system
    return total


def served(recordings: Sequence[bytes]) -> tuple[float, float]:
    """Cores that an idle server holds, and the CPU seconds that Ray, the ingress and HTTP take for one event of a turn.

    The second is what all processes but the engines' take during some turns beyond what they take when idle.
    """
    with serving({"TutorLLM": GREEDY}) as server:
        turn(server.url, recordings[0], uuid.uuid4().hex)  # the first is slower
        before, others, started = cpu_seconds(server, engines=True), cpu_seconds(server, engines=False), time.time()
        time.sleep(IDLE_S)
        passed = time.time() - started
        idle = (cpu_seconds(server, engines=True) - before) / passed
        idle_others = (cpu_seconds(server, engines=False) - others) / passed
        others, started, session = cpu_seconds(server, engines=False), time.time(), uuid.uuid4().hex
        heard = [turn(server.url, recording, session) for recording in recordings[:SERVED_TURNS]]
        used = cpu_seconds(server, engines=False) - others - idle_others * (time.time() - started)
    events = sum(1 + len(one.deltas) + len(one.pieces) for one in heard)
    return idle, max(0.0, used) / events


async def engines_alone(recordings: Sequence[bytes]) -> ServiceTimes:
    from serve_app.engines.llm.llama_cpp import BATCH_TOKENS

    cores = float(len(os.sched_getaffinity(0)))
    engines = Engines(await inprocess.stages(GREEDY), recordings)
    stt = await engines.stt()
    config = inprocess.ARGS.llm
    assert isinstance(config, LlamaCppConfig)
    llm = await engines.llm(config.slots, BATCH_TOKENS)
    tts, speech = await engines.tts()
    threads = {"stt": stt.threads, "llm": llm.step_threads, "tts": tts.threads}
    return ServiceTimes(
        name="CPU stack",
        capacity=cores,
        stt=stt,
        llm=llm,
        tts=tts,
        speech_s_per_character=speech,
        slowdown=await slowdowns(engines.works(), threads, cores),
        replies=engines.replies,
    )


def measure(recordings: Sequence[bytes]) -> ServiceTimes:
    """All of it; about five minutes."""
    times = asyncio.run(engines_alone(recordings))
    idle, event = served(recordings)
    return times.model_copy(update={"capacity": times.capacity - idle, "event": Stage(each_s=event)})
