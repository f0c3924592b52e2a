"""POST /v1/audio/transcriptions through OpenAI's SDK, over stages without models."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from openai import BadRequestError, NotFoundError, OpenAI
from openai.types.audio import TranscriptionVerbose
from support.containers import recording, speech_like
from support.known_speech import spelled
from support.openai_sdk import checked, fault, sdk
from support.site_without_ray import Site, site_of
from support.stages import House

from serve_app.audio import wav
from serve_app.lesson.stage_protocols import HearingRequest
from serve_app.protocols import Transcript, Word
from serve_app.routes.transcript_formats import segments, srt, verbose, vtt

SAID = "Oi, tudo bem? Eu moro em Lisboa."
RECORDING = ("fala.wav", wav(speech_like(2.0), 16_000))


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    house = House()
    house.stt.text = SAID
    house.stt.words = spelled(SAID)
    with site_of(house) as site:
        yield site


@pytest.fixture
def client(site: Site) -> OpenAI:
    return sdk(site.url)


def test_a_recording_comes_back_as_text(client: OpenAI) -> None:
    heard = client.audio.transcriptions.create(model="whisper-1", file=RECORDING)
    assert heard.text == SAID
    assert heard.to_dict()["usage"] == {"type": "duration", "seconds": 2}


@pytest.mark.parametrize("name", ["webm-opus", "mp4-aac", "mp3", "flac"])
def test_any_format_of_the_other_routes_is_decoded(client: OpenAI, name: str) -> None:
    heard = client.audio.transcriptions.create(model="whisper-1", file=("x", recording(name)))
    assert heard.text == SAID


def test_verbose_json_has_words_and_sentences_with_times(client: OpenAI) -> None:
    heard = client.audio.transcriptions.create(
        model="whisper-1",
        file=RECORDING,
        response_format="verbose_json",
        timestamp_granularities=["word", "segment"],
    )
    heard = TranscriptionVerbose.model_validate(heard.to_dict(), strict=True)
    assert (heard.text, heard.language, heard.duration) == (SAID, "portuguese", 2.0)
    assert heard.words is not None
    assert [word.word for word in heard.words] == SAID.split()
    assert heard.segments is not None
    assert [one.text for one in heard.segments] == ["Oi, tudo bem?", "Eu moro em Lisboa."]
    assert heard.segments[1].start == heard.words[3].start
    assert heard.segments[1].end == heard.words[-1].end
    assert all(-3 < one.avg_logprob < 0 for one in heard.segments)


def test_verbose_json_has_sentences_only_unless_words_are_asked_for(client: OpenAI) -> None:
    create = client.audio.transcriptions.create
    plain = create(model="whisper-1", file=RECORDING, response_format="verbose_json")
    assert plain.words is None
    assert plain.segments is not None
    words = create(model="whisper-1", file=RECORDING, response_format="verbose_json", timestamp_granularities=["word"])
    assert words.segments is None
    assert words.words is not None


def test_text_and_subtitles(client: OpenAI) -> None:
    create = client.audio.transcriptions.create
    assert create(model="whisper-1", file=RECORDING, response_format="text") == f"{SAID}\n"
    assert create(model="whisper-1", file=RECORDING, response_format="srt") == (
        "1\n00:00:00,000 --> 00:00:01,000\nOi, tudo bem?\n\n2\n00:00:01,000 --> 00:00:02,333\nEu moro em Lisboa.\n"
    )
    assert create(model="whisper-1", file=RECORDING, response_format="vtt") == (
        "WEBVTT\n\n00:00:00.000 --> 00:00:01.000\nOi, tudo bem?\n\n00:00:01.000 --> 00:00:02.333\nEu moro em Lisboa.\n"
    )


def test_a_stream_brings_the_sentences_and_then_the_whole(client: OpenAI) -> None:
    events = list(client.audio.transcriptions.create(model="whisper-1", file=RECORDING, stream=True))
    assert [event.type for event in events] == ["transcript.text.delta"] * 2 + ["transcript.text.done"]
    assert "".join(event.to_dict().get("delta", "") for event in events) == SAID  # type: ignore[arg-type]
    assert events[-1].to_dict()["text"] == SAID


def test_language_and_prompt_reach_the_stage(site: Site, client: OpenAI) -> None:
    create = client.audio.transcriptions.create
    create(model="whisper-1", file=RECORDING)
    heard = create(
        model="gpt-4o-transcribe", file=RECORDING, language="en", prompt="Parle", response_format="verbose_json"
    )
    create(model="whisper-1", file=RECORDING, language="Spanish")
    asked = [HearingRequest(), HearingRequest("en", "Parle"), HearingRequest("es")]
    assert site.house.stt.asked[-3:] == asked
    assert heard.language == "english"


def test_nobody_speaking_is_an_empty_text(client: OpenAI, site: Site) -> None:
    site.house.stt.text, kept = "", site.house.stt.text
    try:
        heard = client.audio.transcriptions.create(model="whisper-1", file=RECORDING, response_format="verbose_json")
    finally:
        site.house.stt.text = kept
    assert (heard.text, heard.segments) == ("", [])


@pytest.mark.parametrize(
    ("fields", "code", "param"),
    [
        ({"temperature": 0.4}, "unsupported_parameter", "temperature"),
        ({"response_format": "diarized_json"}, "invalid_value", "response_format"),
        ({"language": "klingon"}, "invalid_value", "language"),
        ({"prompt": "x" * 1001}, "invalid_value", "prompt"),
        ({"include": ["logprobs"]}, "unsupported_parameter", "include"),
        ({"timestamp_granularities": ["word"]}, "invalid_value", "timestamp_granularities"),
        (
            {"timestamp_granularities": ["letter"], "response_format": "verbose_json"},
            "invalid_value",
            "timestamp_granularities.0",
        ),
        ({"known_speaker_names": ["Ana"]}, "unsupported_parameter", "known_speaker_names"),
        ({"chunking_strategy": {"type": "server_vad"}}, "unsupported_parameter", "chunking_strategy"),
        ({"extra_body": {"lenguage": "pt"}}, "unknown_parameter", "lenguage"),
        ({"extra_body": {"stream": "perhaps"}}, "invalid_value", "stream"),
    ],
)
def test_what_cannot_be_honoured_is_refused_by_name(
    client: OpenAI, fields: dict[str, Any], code: str, param: str
) -> None:
    with pytest.raises(BadRequestError) as refused:
        client.audio.transcriptions.create(model="whisper-1", file=RECORDING, **fields)
    assert fault(refused.value) == (400, code, param)


def test_what_asks_for_nothing_special_is_accepted(client: OpenAI) -> None:
    heard = client.audio.transcriptions.create(
        model="whisper-1", file=RECORDING, temperature=0, chunking_strategy="auto", language="", prompt=""
    )
    assert heard.text == SAID


def test_the_stacks_own_name_works_and_an_unknown_one_is_refused_with_the_nearest(client: OpenAI) -> None:
    create = client.audio.transcriptions.create
    assert create(model="wheel:whisper-base", file=RECORDING).text == SAID
    with pytest.raises(NotFoundError, match="did you mean 'whisper-1'") as refused:
        create(model="wisper-1", file=RECORDING)
    assert fault(refused.value) == (404, "model_not_found", "model")
    with pytest.raises(NotFoundError, match="unknown model"):
        create(model="tts-1", file=RECORDING)  # which is not one that hears


@pytest.mark.parametrize(
    ("file", "code"),
    [(b"", "no_audio"), (b"no sound in here", "bad_audio"), (wav(speech_like(70.0), 16_000), "too_long")],
    ids=["empty", "text", "long"],
)
def test_a_recording_that_cannot_be_used(client: OpenAI, file: bytes, code: str) -> None:
    with pytest.raises(Exception, match="Error code: 4") as refused:
        client.audio.transcriptions.create(model="whisper-1", file=("x.wav", file))
    assert checked(refused.value.response)["code"] == code  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    "how",
    [
        {"content": b"hello"},
        {"json": {"file": "x"}},
        {"data": {"model": "whisper-1"}, "files": {"other": b"x"}},
        {"data": {"file": "text"}, "files": {"x": b""}},
        {"files": [("file", ("a.wav", b"a")), ("file", ("b.wav", b"b"))]},
        {"content": b"--X\r\nbroken", "headers": {"content-type": "multipart/form-data; boundary=X"}},
    ],
)
def test_a_form_that_is_none_is_refused_in_openais_form(site: Site, how: dict[str, Any]) -> None:
    answer = httpx.post(f"{site.url}/v1/audio/transcriptions", **how)
    assert answer.status_code == 400
    checked(answer)


# --- the formats -------------------------------------------------------------------------------------------


def test_a_long_sentence_is_parted_and_no_word_is_lost() -> None:
    words = spelled(" ".join(f"palavra{i}" for i in range(60)))
    parts = segments(words)
    assert [word for part in parts for word in part.words] == list(words)
    assert all(len(part.text) <= 84 and part.end - part.start <= 7 for part in parts)
    assert len(parts) < 12


def test_a_single_word_longer_than_a_segment_is_one() -> None:
    word = Word("x" * 200, 0.0, 20.0, 0.0)
    assert [part.words for part in segments([word])] == [(word,)]
    body = verbose(Transcript(word.text, (word,), language="xx"), 20.0, ["segment"])
    assert json.loads(json.dumps(body, allow_nan=False))["language"] == "xx"


def test_subtitles_of_an_hour_and_of_what_looks_like_a_tag() -> None:
    heard = Transcript("a <b> & c", (Word("a <b> & c", 3661.5, 3662.0, 1.0),))
    assert "01:01:01.500 --> 01:01:02.000\na &lt;b&gt; &amp; c\n" in vtt(heard)
    assert srt(heard).startswith("1\n01:01:01,500 --> 01:01:02,000\na <b> & c")


def test_subtitles_of_nothing() -> None:
    assert (srt(Transcript("")), vtt(Transcript(""))) == ("", "WEBVTT\n")
    assert re.fullmatch(r"WEBVTT\n", vtt(Transcript("", no_speech=True)))
