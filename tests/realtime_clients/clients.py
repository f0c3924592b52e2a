"""Unmodified clients of OpenAI's Realtime protocol, each for one typed and one spoken turn with a server.

    python clients.py CLIENT ws://127.0.0.1:8000 RECORDING.wav

Runs in an environment of its own (constraints/realtime-clients.txt): these libraries want other versions than Parle.
The recording is 16-bit mono at 24 kHz. Prints what the tutor said; what the client finds wrong ends it with an error.
"""

from __future__ import annotations

import asyncio
import base64
import sys
import wave
from collections.abc import Awaitable, Callable, Iterator

BLOCK_S = 0.04
RATE = 24_000
LONGEST_S = 60


def blocks(recording: str) -> Iterator[bytes]:
    """The recording between silences, as a microphone delivers it."""
    with wave.open(recording) as opened:
        sound = opened.readframes(opened.getnframes())
    quiet = bytes(RATE)  # half a second
    sound = quiet + sound + 5 * quiet
    step = 2 * round(RATE * BLOCK_S)
    for at in range(0, len(sound), step):
        yield sound[at : at + step]


async def openai(url: str, recording: str) -> list[str]:
    from openai import AsyncOpenAI

    said: list[str] = []
    client = AsyncOpenAI(api_key="none", websocket_base_url=f"{url}/v1")
    async with client.realtime.connect(model="parle") as connection:

        async def answer() -> None:
            async for event in connection:
                if event.type == "error":
                    raise RuntimeError(event.error.message)
                if event.type == "response.output_audio_transcript.done":
                    said.append(event.transcript)
                if event.type == "response.done":
                    assert event.response.status == "completed", event.response
                    return

        content = [{"type": "input_text", "text": "Oi, tudo bem?"}]
        await connection.conversation.item.create(item={"type": "message", "role": "user", "content": content})
        await connection.response.create()
        await answer()
        for block in blocks(recording):
            await connection.input_audio_buffer.append(audio=base64.b64encode(block).decode())
        await answer()
    return said


async def agents(url: str, recording: str) -> list[str]:
    from agents.realtime import RealtimeAgent, RealtimeRunner

    runner = RealtimeRunner(RealtimeAgent(name="tutor", instructions="Fale português."))
    said: list[str] = []
    config = {"api_key": "none", "url": f"{url}/v1/realtime?model=parle"}
    async with await runner.run(model_config=config) as session:

        async def answer() -> None:
            spoken = 0
            async for event in session:
                if event.type == "error":
                    raise RuntimeError(str(event.error))
                if event.type == "audio":
                    spoken += len(event.audio.data)
                if event.type == "history_updated":
                    told = [item for item in event.history if item.type == "message" and item.role == "assistant"]
                    texts = [part.transcript for item in told for part in item.content if part.type == "audio"]
                    said[:] = [text for text in texts if text]
                if event.type == "agent_end":
                    assert spoken, "no sound"
                    return

        await session.send_message("Oi, tudo bem?")
        await answer()
        for block in blocks(recording):
            await session.send_audio(block)
        await answer()
    return said


async def livekit(url: str, recording: str) -> list[str]:
    from livekit import rtc
    from livekit.plugins.openai.realtime import RealtimeModel

    model = RealtimeModel(base_url=f"{url.replace('ws', 'http', 1)}/v1", api_key="none", model="parle")
    session = model.session()
    said: list[str] = []
    failed: list[object] = []
    answers: asyncio.Queue[object] = asyncio.Queue()
    session.on("error", failed.append)
    session.on("generation_created", answers.put_nowait)

    async def answer(generation: object) -> None:
        async for message in generation.message_stream:  # type: ignore[attr-defined]
            text, samples = "", 0
            async for part in message.text_stream:
                text += part
            async for frame in message.audio_stream:
                samples += frame.samples_per_channel
            assert samples, "no sound"
            said.append(text)

    try:
        await answer(await session.generate_reply())
        while not answers.empty():
            answers.get_nowait()
        for block in blocks(recording):
            session.push_audio(rtc.AudioFrame(block, RATE, 1, len(block) // 2))
            await asyncio.sleep(0)
        await answer(await answers.get())
    finally:
        await session.aclose()
    if failed:
        raise RuntimeError(str(failed[0]))
    return said


async def pipecat(url: str, recording: str) -> list[str]:
    from pipecat.frames.frames import (
        EndFrame,
        ErrorFrame,
        InputAudioRawFrame,
        LLMContextFrame,
        LLMFullResponseEndFrame,
        TTSAudioRawFrame,
        TTSTextFrame,
    )
    from pipecat.pipeline.pipeline import Pipeline
    from pipecat.pipeline.worker import PipelineParams, PipelineWorker
    from pipecat.processors.aggregators.llm_context import LLMContext
    from pipecat.processors.frame_processor import FrameDirection, FrameProcessor
    from pipecat.services.openai.realtime.llm import OpenAIRealtimeLLMService
    from pipecat.workers.runner import WorkerRunner

    said: list[str] = []
    ended: asyncio.Queue[None] = asyncio.Queue()

    class Listener(FrameProcessor):
        text, sound = "", 0

        async def process_frame(self, frame: object, direction: FrameDirection) -> None:
            await super().process_frame(frame, direction)
            if isinstance(frame, TTSAudioRawFrame):
                self.sound += len(frame.audio)
            elif isinstance(frame, TTSTextFrame):
                self.text += frame.text
            elif isinstance(frame, LLMFullResponseEndFrame):
                assert self.sound, "no sound"
                said.append(self.text)
                self.text, self.sound = "", 0
                ended.put_nowait(None)
            await self.push_frame(frame, direction)

    failed: list[str] = []

    class Errors(FrameProcessor):
        async def process_frame(self, frame: object, direction: FrameDirection) -> None:
            await super().process_frame(frame, direction)
            if isinstance(frame, ErrorFrame):
                failed.append(frame.error)
                ended.put_nowait(None)
            await self.push_frame(frame, direction)

    service = OpenAIRealtimeLLMService(api_key="none", base_url=f"{url}/v1/realtime", start_audio_paused=False)
    worker = PipelineWorker(
        Pipeline([Errors(), service, Listener()]),
        params=PipelineParams(audio_in_sample_rate=RATE, audio_out_sample_rate=RATE),
    )
    runner = WorkerRunner(handle_sigint=False)
    await runner.add_workers(worker)
    running = asyncio.create_task(runner.run())
    try:
        context = LLMContext([{"role": "user", "content": "Oi, tudo bem?"}])
        await worker.queue_frame(LLMContextFrame(context))
        await ended.get()
        for block in blocks(recording):
            await worker.queue_frame(InputAudioRawFrame(block, RATE, 1))
            await asyncio.sleep(BLOCK_S / 4)
        await ended.get()
    finally:
        await worker.queue_frame(EndFrame())
        await asyncio.wait([running], timeout=10)
        running.cancel()
    if failed:
        raise RuntimeError(failed[0])
    return said


CLIENTS: dict[str, Callable[[str, str], Awaitable[list[str]]]] = {
    "openai": openai,
    "agents": agents,
    "livekit": livekit,
    "pipecat": pipecat,
}


async def main(name: str, url: str, recording: str) -> None:
    async with asyncio.timeout(LONGEST_S):
        said = await CLIENTS[name](url, recording)
    if len(said) != 2 or not all(said):
        raise SystemExit(f"{name}: two answers were due, there were {said}")
    print(f"{name}: {said}")


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
