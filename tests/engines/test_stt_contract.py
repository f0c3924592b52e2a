"""What every SpeechToText engine must do. To test another one, add it to `ENGINES` and the fixture `engine`."""

from __future__ import annotations

import asyncio
import threading
from functools import partial
from importlib.util import find_spec
from itertools import pairwise

import numpy as np
import pytest
from support import speech as spoken
from support.paths import ROOT
from support.speech import (
    VOICE_NAMES,
    Accent,
    Speaker,
    clicks,
    hum,
    in_a_room,
    silence,
    total_word_error_rate,
    white_noise,
    with_noise,
    word_error_rate,
)
from support.waiting import until_more

from serve_app.audio import decode
from serve_app.engines.stt.faster_whisper import FasterWhisper
from serve_app.errors import BadAudio
from serve_app.protocols import STT_SAMPLE_RATE, Audio, SpeechToTextEngine, Transcript
from serve_app.weights.model_names import resolve

ENGINES = [
    pytest.param("faster-whisper", marks=pytest.mark.cpu_engine),
    *(["transformers"] if find_spec("torch") and find_spec("transformers") else []),
]
"""Those whose library is installed here; both with the weights of Whisper base."""

SENTENCES = spoken.SENTENCES[:10]

ACCENTED = 6
"""How many of them are also said with accents."""

Heard = list[tuple[str, Transcript]]


@pytest.fixture(scope="module", params=ENGINES)
def engine(request: pytest.FixtureRequest, whisper: FasterWhisper, pytestconfig: pytest.Config) -> SpeechToTextEngine:
    if request.param == "faster-whisper":
        return whisper
    from gpu_engines.tiny_whisper import whisper_base

    from serve_app.engines.stt.transformers_whisper import TransformersWhisper

    assert pytestconfig.cache is not None
    folder = whisper_base(pytestconfig.cache.mkdir("models"), resolve("wheel:whisper-base"))
    return TransformersWhisper(folder, device="cpu")


async def hear(engine: SpeechToTextEngine, audio: Audio) -> Transcript:
    return await engine.transcribe(audio, language="pt")


@pytest.fixture(scope="module")
def heard(engine: SpeechToTextEngine, speech: Speaker) -> dict[Accent, Heard]:
    """The sentences in three accents and three voices, and what the engine made of them."""

    async def all_of_them() -> dict[Accent, Heard]:
        return {accent: [(text, await hear(engine, audio)) for text, audio in said[accent]] for accent in accents}

    accents: list[Accent] = ["pt-br", "es", "en-us"]
    said = {
        accent: [(text, speech(text, VOICE_NAMES[i % 3], accent=accent)) for i, text in enumerate(SENTENCES)][
            : len(SENTENCES) if accent == "pt-br" else ACCENTED
        ]
        for accent in accents
    }
    return asyncio.run(all_of_them())


def error_rate(heard: Heard) -> float:
    return total_word_error_rate((said, transcript.text) for said, transcript in heard)


def test_clean_speech_is_understood(heard: dict[Accent, Heard]) -> None:
    assert error_rate(heard["pt-br"]) <= 0.10


def test_a_strong_accent_costs_more_words_than_a_near_one_and_that_more_than_none(
    heard: dict[Accent, Heard],
) -> None:
    clean, near, strong = (error_rate(heard[accent][:ACCENTED]) for accent in ("pt-br", "es", "en-us"))
    assert clean < near < strong


def test_words_have_their_place_in_the_recording_in_order(heard: dict[Accent, Heard], speech: Speaker) -> None:
    for i, (text, transcript) in enumerate(heard["pt-br"]):
        seconds = len(speech(text, VOICE_NAMES[i % 3])) / STT_SAMPLE_RATE
        assert all(0 <= word.start <= word.end <= seconds + 0.1 for word in transcript.words)
        assert all(one.start < next.start and one.end <= next.start + 0.1 for one, next in pairwise(transcript.words))
        # Not all at one place: the words span most of the recording.
        assert transcript.words[-1].end - transcript.words[0].start > 0.5 * seconds


def test_words_are_the_text_and_carry_probabilities(heard: dict[Accent, Heard]) -> None:
    for accent in heard.values():
        for _, transcript in accent:
            assert "".join(word.text for word in transcript.words) == transcript.text.replace(" ", "")
            assert all(0 <= word.probability <= 1 for word in transcript.words)


def test_clean_speech_is_heard_with_more_confidence_than_a_strong_accent(heard: dict[Accent, Heard]) -> None:
    def confidence(accent: Accent) -> float:
        return float(np.mean([word.probability for _, transcript in heard[accent] for word in transcript.words]))

    assert confidence("pt-br") > confidence("en-us") + 0.05


async def test_speech_in_noise_and_across_a_room_is_still_understood(
    engine: SpeechToTextEngine, speech: Speaker
) -> None:
    for spoil in (partial(with_noise, snr_db=15), in_a_room):
        pairs = [(text, (await hear(engine, spoil(speech(text)))).text) for text in SENTENCES[:3]]
        assert total_word_error_rate(pairs) <= 0.15


@pytest.mark.parametrize(
    "audio",
    [
        pytest.param(silence(3), id="silence"),
        pytest.param(white_noise(3), id="white-noise"),
        pytest.param(white_noise(3, rms=0.002), id="soft-noise"),
        pytest.param(hum(3), id="hum"),
        pytest.param(clicks(3), id="clicks"),
        pytest.param(silence(0.02), id="an-instant"),
        pytest.param(silence(0), id="nothing"),
    ],
)
async def test_where_nobody_speaks_no_words_are_made_up(engine: SpeechToTextEngine, audio: Audio) -> None:
    assert await hear(engine, audio) == Transcript("", (), no_speech=True)


async def test_speech_after_a_pause_keeps_its_times(engine: SpeechToTextEngine, speech: Speaker) -> None:
    audio = np.concatenate([silence(2.5), speech(SENTENCES[0]), silence(1)])
    transcript = await hear(engine, audio)
    assert word_error_rate(SENTENCES[0], transcript.text) <= 0.2
    assert transcript.words[0].start == pytest.approx(2.6, abs=0.5)


async def test_speech_at_minus_65_dbfs_is_understood(engine: SpeechToTextEngine) -> None:
    audio = decode((ROOT / "tests/data/recordings/quiet.flac").read_bytes(), max_seconds=60)
    transcript = await hear(engine, audio)
    assert word_error_rate("Eu moro em Lisboa com a minha irmã e dois gatos.", transcript.text) <= 0.2


async def test_english_is_written_as_english(engine: SpeechToTextEngine) -> None:
    audio = decode((ROOT / "tests/data/english_request.ogg").read_bytes(), max_seconds=10)
    heard = await engine.transcribe(audio, language="pt", others=("en", "es"))
    assert heard.text.lower().startswith("how do you say tired")
    assert heard.language == "en"
    assert (await hear(engine, audio)).language == "pt"


async def test_a_strong_accent_is_no_other_language(engine: SpeechToTextEngine) -> None:
    recordings = ROOT / "tests/data/speech"
    files = sorted([*recordings.glob("*.en-us.ogg"), *recordings.glob("*.es.ogg")])
    assert len(files) > 14
    audios = [decode(file.read_bytes(), max_seconds=10) for file in files]
    heard = await engine.transcribe_batch(audios, language="pt", others=("en", "es"))
    assert {file.name: one.language for file, one in zip(files, heard, strict=True)} == {
        file.name: "pt" for file in files
    }


MANY = (SENTENCES * 2)[:13]


def many_sentences(speech: Speaker) -> Audio:
    """More than one window of 30 s."""
    said = [speech(text, VOICE_NAMES[i % 3]) for i, text in enumerate(MANY)]
    return np.concatenate([part for audio in said for part in (audio, silence(0.4))])


async def test_a_transcription_that_nobody_waits_for_ends_early(engine: SpeechToTextEngine, speech: Speaker) -> None:
    audio = many_sentences(speech)
    assert len(audio) > 36 * STT_SAMPLE_RATE
    before = await engine.work_done()
    transcript = await hear(engine, audio)
    whole = await engine.work_done() - before
    assert total_word_error_rate([(" ".join(MANY), transcript.text)]) <= 0.15

    before = await engine.work_done()
    abandoned = asyncio.create_task(hear(engine, audio))
    await until_more(engine.work_done, before)
    abandoned.cancel()
    await asyncio.wait([abandoned])
    assert abandoned.cancelled()
    # The engine answers the next one, so the other has ended: with its first window of 30 s, not with the second.
    assert not (await hear(engine, speech(SENTENCES[4]))).no_speech
    assert await engine.work_done() - before - 1 < whole


async def test_an_utterance_that_waits_its_turn_is_dropped_when_its_caller_goes(
    engine: SpeechToTextEngine, speech: Speaker
) -> None:
    before = await engine.work_done()
    await hear(engine, speech(SENTENCES[4]))
    one = await engine.work_done() - before

    before = await engine.work_done()
    tasks = [asyncio.create_task(hear(engine, speech(SENTENCES[4]))) for _ in range(3)]
    await asyncio.sleep(0.05)
    for task in tasks[1:]:
        task.cancel()
    await asyncio.wait(tasks)
    assert not tasks[0].result().no_speech
    assert not (await hear(engine, speech(SENTENCES[4]))).no_speech
    assert await engine.work_done() - before == 2 * one


async def test_a_batch_is_heard_as_its_utterances_are_alone(engine: SpeechToTextEngine, speech: Speaker) -> None:
    audios = [speech(SENTENCES[3]), silence(2), speech(SENTENCES[4], VOICE_NAMES[1]), speech(SENTENCES[5])]
    together = await engine.transcribe_batch(audios, language="pt")
    assert [heard.no_speech for heard in together] == [False, True, False, False]
    for audio, heard in zip(audios, together, strict=True):
        alone = await hear(engine, audio)
        assert heard.text == alone.text
        for one, other in zip(heard.words, alone.words, strict=True):
            assert (one.start, one.end) == pytest.approx((other.start, other.end), abs=0.021)  # a frame
            assert one.probability == pytest.approx(other.probability, abs=0.01)


async def test_of_a_batch_only_what_somebody_waits_for_is_heard(engine: SpeechToTextEngine, speech: Speaker) -> None:
    audios = [speech(SENTENCES[4]), many_sentences(speech)]
    before = await engine.work_done()
    await hear(engine, audios[0])
    one = await engine.work_done() - before

    closed = [threading.Event(), threading.Event()]
    closed[1].set()
    before = await engine.work_done()
    heard = await engine.transcribe_batch(audios, language="pt", closed=closed)
    assert word_error_rate(SENTENCES[4], heard[0].text) <= 0.2
    assert await engine.work_done() - before == one

    closed[0].set()
    await engine.transcribe_batch(audios, language="pt", closed=closed)
    assert await engine.work_done() - before == one


COFFEE = "Eu gosto de café e de pão com queijo."


async def test_a_sentence_said_as_it_should_be_is_clear(engine: SpeechToTextEngine, speech: Speaker) -> None:
    audio = np.concatenate([silence(1), speech(COFFEE)])
    scores = await engine.pronounced(audio, COFFEE, language="pt")
    assert [one.word for one in scores] == COFFEE.rstrip(".").split()
    assert sum(one.verdict == "clear" for one in scores) >= len(scores) - 1
    assert all(0 <= one.score <= 1 for one in scores)
    assert scores[0].start >= 0.8
    assert scores[-1].end <= len(audio) / STT_SAMPLE_RATE
    assert all(one.start <= one.end <= next.start + 0.05 for one, next in pairwise(scores))


async def test_the_word_that_was_said_wrongly_scores_lowest(engine: SpeechToTextEngine, speech: Speaker) -> None:
    right, audio = "Minha mãe cozinha muito bem.", speech("Minha mãe cozinho muito bem.", "pm_santa")
    scores = await engine.pronounced(audio, right, language="pt")
    worst = min(scores, key=lambda one: one.score)
    assert (worst.word, worst.sounds_like) == ("cozinha", "cozinho")
    assert worst.verdict != "clear"


async def test_a_part_of_the_sentence_that_was_not_said_scores_low(engine: SpeechToTextEngine, speech: Speaker) -> None:
    scores = await engine.pronounced(speech("Eu gosto de café."), COFFEE, language="pt")
    assert [one.verdict for one in scores[:3]].count("clear") >= 2
    assert all(one.verdict in ("unclear", "missing") for one in scores[-3:])


async def test_where_nobody_speaks_no_word_is_scored(engine: SpeechToTextEngine) -> None:
    assert await engine.pronounced(white_noise(2), COFFEE, language="pt") == []


async def test_more_speech_than_a_sentence_is_refused(engine: SpeechToTextEngine, speech: Speaker) -> None:
    with pytest.raises(BadAudio) as refused:
        await engine.pronounced(many_sentences(speech), COFFEE, language="pt")
    assert refused.value.code == "too_long"
