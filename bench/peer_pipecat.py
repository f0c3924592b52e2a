"""pipecat on the same weights, for comparison. `make bench` builds its environment and runs it, from bench.turns.

Pipecat's own services for faster-whisper and kokoro-onnx, its service for OpenAI's API on llama.cpp's HTTP port, and
its own cutting into sentences. The recording is pushed as an utterance that has ended, so no VAD waits. Two settings
are in its favour: Whisper searches without a beam, and the turn ends as soon as the transcript is there.

It runs in `.venv-peer` (constraints/peer.txt), as pipecat wants an older protobuf than Ray.
"""

from __future__ import annotations

import asyncio
import io
import json
import sys
import time
from functools import partial
from typing import Any

import numpy as np
from faster_whisper import WhisperModel
from faster_whisper.audio import decode_audio
from loguru import logger
from pipecat.frames.frames import (
    Frame,
    InputAudioRawFrame,
    TTSAudioRawFrame,
    VADUserStartedSpeakingFrame,
    VADUserStoppedSpeakingFrame,
)
from pipecat.pipeline.pipeline import Pipeline
from pipecat.pipeline.worker import PipelineParams, PipelineWorker
from pipecat.processors.aggregators.llm_context import LLMContext
from pipecat.processors.aggregators.llm_response_universal import LLMContextAggregatorPair, LLMUserAggregatorParams
from pipecat.processors.frame_processor import FrameDirection, FrameProcessor
from pipecat.services.kokoro.tts import KokoroTTSService
from pipecat.services.openai.llm import OpenAILLMService
from pipecat.services.whisper.stt import WhisperSTTService
from pipecat.transcriptions.language import Language
from pipecat.turns.user_start import VADUserTurnStartStrategy
from pipecat.turns.user_stop import SpeechTimeoutUserTurnStopStrategy
from pipecat.turns.user_turn_strategies import UserTurnStrategies
from pipecat.workers.runner import WorkerRunner

from bench import asked, plain

STT_RATE, TTS_RATE = 16_000, 24_000
LONG_S = 120
"""Pipecat gives up a transcript after 5 s and speech after 3 s: a busy machine may take longer."""


class Whisper(WhisperSTTService):
    """Without a beam, as bench/sequential.py."""

    def _load(self) -> None:
        super()._load()
        assert isinstance(self._model, WhisperModel)
        self._model.transcribe = partial(self._model.transcribe, beam_size=1)


class Ear(FrameProcessor):
    """Notes when each piece of speech comes out of the pipeline."""

    def __init__(self) -> None:
        super().__init__()
        self.pieces: list[tuple[float, float]] = []
        self.started = 0.0

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        await super().process_frame(frame, direction)
        if isinstance(frame, TTSAudioRawFrame):
            self.pieces.append((time.perf_counter() - self.started, frame.num_frames / frame.sample_rate))
        await self.push_frame(frame, direction)


class Pipecat:
    """A conversation through one pipeline."""

    def __init__(self, settings: plain.Settings) -> None:
        system, *self._examples = settings.prompt
        llama, key = plain.llama(settings)
        self._llama = llama
        sampling = dict(settings.sampling)
        more = {"repeat_penalty": sampling.pop("repeat_penalty"), "cache_prompt": True}
        stop = sampling.pop("stop")
        stt = Whisper(
            device="cpu",
            compute_type="int8",
            settings=Whisper.Settings(model=settings.whisper, language=Language.PT),
        )
        llm = OpenAILLMService(
            api_key=key,
            base_url=f"{llama.listening_address}/v1",
            settings=OpenAILLMService.Settings(
                model="tutor",
                system_instruction=system["content"],
                extra={"stop": stop, "extra_body": more},
                **sampling,
            ),
        )
        tts = KokoroTTSService(
            model_path=settings.kokoro,
            voices_path=settings.voices,
            settings=KokoroTTSService.Settings(voice=settings.voice, language=Language.PT_BR),
            stop_frame_timeout_s=LONG_S,
        )
        self._context = LLMContext(list(self._examples))
        at_once = LLMUserAggregatorParams(
            user_turn_strategies=UserTurnStrategies(
                start=[VADUserTurnStartStrategy()], stop=[SpeechTimeoutUserTurnStopStrategy(user_speech_timeout=0)]
            ),
            user_turn_stop_timeout=LONG_S,
            audio_idle_timeout=0,
        )
        sides = LLMContextAggregatorPair(self._context, user_params=at_once)
        self._ear = Ear()
        self._answered = asyncio.Event()
        sides.assistant().add_event_handler("on_assistant_turn_stopped", self._stopped)
        pipeline = Pipeline([stt, sides.user(), llm, tts, self._ear, sides.assistant()])
        rates = PipelineParams(audio_in_sample_rate=STT_RATE, audio_out_sample_rate=TTS_RATE)
        self.worker = PipelineWorker(pipeline, params=rates, idle_timeout_secs=None, enable_rtvi=False)

    async def turn(self, recording: bytes) -> dict[str, Any]:
        samples = decode_audio(io.BytesIO(recording), STT_RATE)
        spoken = (samples * 32767).astype(np.int16).tobytes()
        self._answered.clear()
        self._ear.pieces.clear()
        await self.worker.queue_frame(VADUserStartedSpeakingFrame())
        await self.worker.queue_frame(InputAudioRawFrame(spoken, STT_RATE, 1))
        await asyncio.sleep(0.2)  # the pipeline has the recording, as it would have while somebody speaks
        self._ear.started = time.perf_counter()
        await self.worker.queue_frame(VADUserStoppedSpeakingFrame())
        await self._answered.wait()
        total_s = time.perf_counter() - self._ear.started
        *_, learner, tutor = self._context.get_messages()
        return {
            "transcript": learner["content"].strip(),
            "response": tutor["content"],
            "first_audio_s": self._ear.pieces[0][0],
            "total_s": total_s,
            "pieces": self._ear.pieces,
        }

    def forget(self) -> None:
        self._context.set_messages(list(self._examples))

    async def _stopped(self, *_: Any) -> None:
        self._answered.set()


async def main(settings: plain.Settings) -> None:
    logger.remove()
    logger.add(sys.stderr, level="ERROR")
    peer = Pipecat(settings)
    runner = WorkerRunner(handle_sigint=False)
    await runner.add_workers(peer.worker)
    running = asyncio.create_task(runner.run())
    loop = asyncio.get_running_loop()

    def turn(recording: bytes) -> dict[str, Any]:
        return asyncio.run_coroutine_threadsafe(peer.turn(recording), loop).result()

    await asyncio.to_thread(asked.answer, turn, peer.forget)
    running.cancel()


if __name__ == "__main__":
    asyncio.run(main(plain.Settings(**json.loads(sys.argv[1]))))
