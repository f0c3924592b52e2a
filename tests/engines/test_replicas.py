"""The deployments' classes around the CPU stack's engines, started as Ray does it but without Ray."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Sequence
from concurrent.futures import ThreadPoolExecutor
from threading import Event
from typing import Any

import numpy as np
import pytest
import pytest_asyncio
from support.speech import VOICE_NAMES

from serve_app.cefr import CefrClassifier
from serve_app.config.stack import FasterWhisperConfig, KokoroOnnxConfig, LexicalCefrConfig, LlamaCppConfig
from serve_app.errors import InvalidField
from serve_app.lesson.conversation import Exchange
from serve_app.lesson.stage_protocols import ChatRequest, HearingRequest
from serve_app.lesson.tutor_prompt import TutorRequest
from serve_app.llm import TutorLLM
from serve_app.protocols import Audio, Speech, TextDelta, Transcript, Usage
from serve_app.stopwatch import timed
from serve_app.stt import SpeechToText
from serve_app.tts import CLAUSE_PAUSE_S, SENTENCE_PAUSE_S, TextToSpeech

pytestmark = pytest.mark.asyncio(loop_scope="module")  # an engine belongs to one event loop

NOT_AHEAD = {"openings_ahead": False}


async def started(deployment: Any, config: Any, user_config: dict[str, Any]) -> Any:
    """One replica, in the order Ray calls it. `Any`, since Ray hides the class behind its Deployment."""
    replica = object.__new__(deployment.func_or_class)
    await replica.__init__(config)
    await reconfigured(replica, user_config)
    return replica


async def reconfigured(replica: Any, user_config: dict[str, Any]) -> None:
    if (pending := replica.reconfigure(user_config)) is not None:
        await pending


# --- TextToSpeech ------------------------------------------------------------------------------------------


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def tts() -> Any:
    return await started(TextToSpeech, KokoroOnnxConfig(engine="kokoro-onnx"), {"voice": "pm_alex", **NOT_AHEAD})


async def said(tts: Any, text: str, voice: str | None = None, speed: float | None = None) -> list[Speech]:
    return [part async for part in tts.synthesize(text, voice, speed)]


async def test_pieces_begin_and_end_at_zero_without_a_step(tts: Any) -> None:
    for text in ("Que bom! Você foi à praia.", "E como estava o mar,", "Oi"):
        for part in await said(tts, text):
            steps = np.abs(np.diff(part.samples))
            assert abs(part.samples[0]) < 1e-4
            assert abs(part.samples[-1]) < 1e-4
            assert steps[:50].max() < 0.05
            assert steps[-50:].max() < 0.05


@pytest.mark.parametrize(("text", "pause_s"), [("Que bom!", SENTENCE_PAUSE_S), ("Que bom,", CLAUSE_PAUSE_S)])
async def test_a_piece_pauses_as_its_last_mark_asks(tts: Any, text: str, pause_s: float) -> None:
    [part] = await said(tts, text)
    pause = round(pause_s * part.sample_rate)
    assert not part.samples[-pause:].any()
    assert part.samples[-pause - part.sample_rate // 5 : -pause].any()


class Streaming:
    """An engine that yields one tone, cut at arbitrary places."""

    sample_rate = 24_000
    seamless = True
    voices = ("serena",)
    tone = np.sin(np.arange(24_000) / 20).astype(np.float32)

    async def synthesize(self, text: str, *, voice: str, speed: float) -> AsyncGenerator[Audio, None]:
        for start in range(0, len(self.tone), 7_000):
            yield self.tone[start : start + 7_000]

    async def work_done(self) -> int:
        return 0


async def test_what_is_streamed_inside_a_sentence_is_one_sound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("serve_app.tts.build_engine", lambda config, model: Streaming())
    tts = await started(TextToSpeech, KokoroOnnxConfig(engine="kokoro-onnx"), NOT_AHEAD)
    parts = [part.samples for part in await said(tts, "Isto só se diz uma vez!")]
    np.testing.assert_array_equal(np.concatenate(parts[:-1]), Streaming.tone)
    assert len(parts[-1]) == round(SENTENCE_PAUSE_S * 24_000)
    assert not parts[-1].any()


async def test_the_stacks_voice_and_speed_hold_unless_the_client_names_others(tts: Any) -> None:
    choices: list[tuple[str | None, float | None]] = [(None, None), ("pm_alex", 1.0), ("pf_dora", None), (None, 1.5)]
    default, named, other, fast = [
        np.concatenate([part.samples for part in await said(tts, "Bom dia, tudo bem?", voice, speed)])
        for voice, speed in choices
    ]
    np.testing.assert_array_equal(default, named)
    assert len(default) != len(other) or not np.allclose(default, other)
    assert len(fast) < 0.85 * len(default)


async def test_a_voice_the_stack_does_not_have_is_refused_with_those_it_has(tts: Any) -> None:
    with pytest.raises(InvalidField, match=r"'robot'.*pf_dora, pm_alex, pm_santa"):
        await said(tts, "Oi!", "robot")
    assert set(tts.voices()) == set(VOICE_NAMES)


async def test_a_wrong_voice_in_the_stack_file_ends_the_start_but_not_a_stage_that_serves(tts: Any) -> None:
    with pytest.raises(InvalidField, match="robot"):
        await started(TextToSpeech, KokoroOnnxConfig(engine="kokoro-onnx"), {"voice": "robot"})
    before = await said(tts, "Oi!")
    await reconfigured(tts, {"voice": "robot"})
    after = await said(tts, "Oi!")
    np.testing.assert_array_equal(before[0].samples, after[0].samples)
    assert "'robot'" in tts.refused_settings()


async def test_a_part_of_speech_tells_the_work_on_it_and_not_the_wait_behind_others(tts: Any) -> None:
    """Kokoro speaks one text at a time: of two simultaneous calls, one waits."""

    async def spoken() -> tuple[float, float]:
        begun = time.perf_counter()
        *_, last = await said(tts, "Que bom que você foi à praia com os seus amigos.")
        return time.perf_counter() - begun, last.compute_s

    (wall, compute), (longer_wall, longer_compute) = sorted(
        await asyncio.gather(*map(asyncio.create_task, (spoken(), spoken())))
    )
    assert 0 < compute <= wall
    assert longer_compute > 0
    assert longer_wall - longer_compute > 0.9 * compute  # its wait, which is the other's work, is not in its own


# --- SpeechToText ------------------------------------------------------------------------------------------


ONE_SECOND = np.zeros(16_000, np.float32)


class OneThread:
    """An engine that takes 0.2 s per batch and records the size of each batch."""

    def __init__(self, max_batch: int) -> None:
        self.max_batch = max_batch
        self._pool = ThreadPoolExecutor(1)

    async def transcribe_batch(self, audios: Sequence[Audio], **_: Any) -> list[Transcript]:
        return await asyncio.get_running_loop().run_in_executor(self._pool, timed(self._work), len(audios))

    async def transcribe(self, audio: Audio, **_: Any) -> Transcript:
        return (await self.transcribe_batch([audio]))[0]

    def _work(self, number: int) -> list[Transcript]:
        time.sleep(0.2)
        return [Transcript(str(number))] * number


async def test_a_transcript_tells_the_work_on_it_and_not_the_wait_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("serve_app.stt.build_engine", lambda config, model: OneThread(1))
    stt = await started(SpeechToText, FasterWhisperConfig(engine="faster-whisper"), {})
    begun = time.perf_counter()
    heard = await asyncio.gather(*(asyncio.create_task(stt.transcribe(ONE_SECOND)) for _ in range(5)))
    assert all(transcript.compute_s >= 0.2 for transcript in heard)
    assert sum(transcript.compute_s for transcript in heard) <= time.perf_counter() - begun  # 3 s with their waits


async def test_of_a_batch_each_transcript_tells_the_work_on_all(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("serve_app.stt.build_engine", lambda config, model: OneThread(4))
    stt = await started(SpeechToText, FasterWhisperConfig(engine="faster-whisper"), {})
    # What Serve hands the batches to; its own queue asks for a running replica.
    together = type(stt)._together.__wrapped__
    batches = [[(ONE_SECOND, "", Event())] * number for number in (1, 4)]
    begun = time.perf_counter()
    one, four = await asyncio.gather(*(asyncio.create_task(together(stt, batch)) for batch in batches))
    assert [transcript.text for transcript in (*one, *four)] == ["1", "4", "4", "4", "4"]
    assert one[0].compute_s >= 0.2
    assert four[0].compute_s >= 0.2
    assert {transcript.compute_s for transcript in four} == {four[0].compute_s}
    assert one[0].compute_s + four[0].compute_s <= time.perf_counter() - begun


class Noting(OneThread):
    """Notes what it is asked for."""

    def __init__(self) -> None:
        super().__init__(1)
        self.asked: list[dict[str, Any]] = []

    async def transcribe(self, audio: Audio, **options: Any) -> Transcript:
        self.asked.append(options)
        return Transcript("")


async def test_what_a_client_asks_of_a_transcription_comes_before_the_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    engine = Noting()
    monkeypatch.setattr("serve_app.stt.build_engine", lambda config, model: engine)
    stt = await started(SpeechToText, FasterWhisperConfig(engine="faster-whisper"), {"prompt": "Parle."})
    for asked in (HearingRequest(), HearingRequest("en"), HearingRequest(None, "Ana."), HearingRequest("pt", "Rui.")):
        await stt.transcribe_as(np.zeros(40_000, np.float32), asked)
    plain = {"language": "pt", "prompt": "Parle.", "others": ["en", "es"], "learner_errors": True}
    assert engine.asked == [
        plain,
        {**plain, "language": "en", "others": ()},
        {**plain, "prompt": "Parle. Ana."},
        {**plain, "others": (), "prompt": "Parle. Rui."},
    ]


# --- TutorLLM ----------------------------------------------------------------------------------------------


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def llm() -> Any:
    config = LlamaCppConfig(
        engine="llama-cpp", model="wheel:gemma-3-270m", chat_template="transcript", context_tokens=1024, slots=1
    )
    return await started(TutorLLM, config, {"sampling": {"temperature": 0}})


async def replied(llm: Any, request: TutorRequest) -> tuple[str, Usage]:
    *deltas, usage = [item async for item in llm.reply(request)]
    assert isinstance(usage, Usage)
    return "".join(delta.text for delta in deltas if isinstance(delta, TextDelta)), usage


async def test_the_tutors_prompt_is_read_before_the_first_learner_comes(llm: Any) -> None:
    _, usage = await replied(llm, TutorRequest("Oi.", "A1", max_tokens=4))
    assert usage.cached_tokens >= 0.8 * usage.prompt_tokens


async def test_a_reply_keeps_to_the_tokens_of_the_request(llm: Any) -> None:
    _, usage = await replied(llm, TutorRequest("Conta uma história.", max_tokens=3))
    assert usage.completion_tokens <= 3


async def test_a_trimmed_conversation_is_read_ahead_of_its_next_turn(llm: Any) -> None:
    history = (Exchange("Eu moro numa casa azul perto do rio.", "Que bonito! Você pesca nesse rio?", "A2"),)
    await llm.warm(history)
    _, usage = await replied(llm, TutorRequest("Sim.", "A2", history, max_tokens=4))
    assert usage.cached_tokens >= 0.8 * usage.prompt_tokens


async def chatted(llm: Any, *messages: tuple[Any, str], **asked: Any) -> tuple[str, Usage]:
    said: Any = tuple({"role": role, "content": text} for role, text in messages)
    *deltas, usage = [item async for item in llm.chat(ChatRequest(said, **asked))]
    assert isinstance(usage, Usage)
    return "".join(delta.text for delta in deltas if isinstance(delta, TextDelta)), usage


async def test_a_chat_without_a_system_message_goes_on_from_the_tutors_prompt(llm: Any) -> None:
    _, reply = await replied(llm, TutorRequest("Oi.", "A2", max_tokens=4))
    _, usage = await chatted(llm, ("user", "Oi."), max_tokens=4)
    assert usage.prompt_tokens == reply.prompt_tokens
    assert usage.cached_tokens >= 0.8 * usage.prompt_tokens


async def test_a_chat_with_a_system_message_is_the_clients_alone(llm: Any) -> None:
    text, usage = await chatted(llm, ("system", "Conte."), ("user", "Um, dois, três,"), max_tokens=12)
    assert usage.prompt_tokens < 40
    assert text
    one, cut = await chatted(
        llm, ("system", "Conte."), ("user", "Um, dois, três,"), max_tokens=12, stop=(text.split()[-1],)
    )
    assert text.startswith(one.rstrip())
    assert cut.completion_tokens <= usage.completion_tokens
    assert len(one) < len(text)


async def test_a_new_prompt_takes_the_place_of_the_old_one_while_serving(llm: Any) -> None:
    prompt = {"system": "Fale do mar, das ondas, da areia e dos barcos. " * 3, "examples": []}
    request = TutorRequest("Oi.", max_tokens=4)
    _, before = await replied(llm, request)
    await reconfigured(llm, {"prompt": prompt})
    _, after = await replied(llm, request)
    await reconfigured(llm, {})
    _, again = await replied(llm, request)
    assert after.prompt_tokens < 0.5 * before.prompt_tokens
    assert after.cached_tokens > 0.5 * after.prompt_tokens  # read before it was needed
    assert again.prompt_tokens == before.prompt_tokens


async def test_a_wrong_setting_leaves_the_tutor_as_it_is_and_says_why(llm: Any) -> None:
    _, before = await replied(llm, TutorRequest("Oi.", max_tokens=4))
    for wrong, why in [
        ({"samplng": {}}, "did you mean 'sampling'"),
        ({"prompt": {"system": "Fale do mar. " * 500}}, "prompt: it is longer than llm.context_tokens allows"),
    ]:
        await reconfigured(llm, wrong)
        assert why in llm.refused_settings()
        _, after = await replied(llm, TutorRequest("Oi.", max_tokens=4))
        assert after.prompt_tokens == before.prompt_tokens
    await reconfigured(llm, {"sampling": {"temperature": 0}})
    assert llm.refused_settings() is None


# --- CefrClassifier ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(("utterances", "rests_on"), [(1, 1), (3, 3), (10, 5)])
async def test_an_estimate_rests_on_as_many_utterances_as_the_stack_says(utterances: int, rests_on: int) -> None:
    cefr = await started(CefrClassifier, LexicalCefrConfig(engine="lexical"), {"utterances": utterances})
    earlier = ["Eu gosto muito de jogar futebol no parque."] * 4
    estimate = await cefr.classify("Ontem eu fui ao mercado e comprei frutas.", earlier)
    assert estimate.utterances == rests_on
    assert 0 < estimate.compute_s < 1
