"""The stack that a stranger runs: whole turns with its models, as wire.md writes them, over SSE and the WebSocket."""

from __future__ import annotations

from typing import Any

import pytest
from support.clients import Answer, ask, samples_of, talking
from support.servers import Server
from support.speech import Listener, Speaker, total_word_error_rate, word_error_rate

from serve_app.protocols import LEVELS
from serve_app.sentences import whole_sentences

pytestmark = pytest.mark.server

FIRST = "Bom dia, eu trabalho em um hospital perto do centro."
SECOND = "Você acha que as redes sociais deixam as pessoas mais tristes e mais sozinhas?"
"""For the language model; the answer to the first is planned whole."""
TIMINGS = {"stt_ms", "cefr_ms", "llm_ms", "tts_ms", "first_audio_ms", "total_ms"}


@pytest.fixture(scope="module")
def documented(server: Server, speech: Speaker) -> Answer:
    """The first turn of a conversation, in the default order."""
    return ask(server.url, speech.recording(FIRST))


@pytest.fixture(scope="module")
def eager(server: Server, speech: Speaker, documented: Answer) -> Answer:
    """The second turn of the same conversation, eagerly."""
    session = documented.one("transcript")["session_id"]
    return ask(server.url, speech.recording(SECOND), session_id=session, order="eager")


@pytest.fixture(params=["documented", "eager"])
def turn(request: pytest.FixtureRequest, documented: Answer, eager: Answer) -> tuple[Answer, str]:
    """Either turn and what was said in it."""
    return (documented, FIRST) if request.param == "documented" else (eager, SECOND)


def test_the_documented_order_sends_all_speech_after_the_whole_response(documented: Answer) -> None:
    stages = ["status stt", "transcript", "level", "status llm", "delta", "response", "status tts", "audio", "complete"]
    assert documented.names == stages


def test_the_eager_order_sends_the_first_audio_before_the_response(eager: Answer) -> None:
    names = eager.names
    assert names[:4] == ["status stt", "transcript", "level", "status llm"]
    assert names.index("status tts") < names.index("audio") < names.index("response")
    assert names[-1] == "complete"


def test_what_was_said_comes_back_with_words_and_session(turn: tuple[Answer, str]) -> None:
    answer, said = turn
    transcript = answer.one("transcript")
    assert set(transcript) == {"transcript", "stt_ms", "words", "session_id", "language"}
    assert word_error_rate(said, transcript["transcript"]) <= 0.1
    assert transcript["stt_ms"] > 0
    assert "".join(word["text"] for word in transcript["words"]) == transcript["transcript"].replace(" ", "")
    for word in transcript["words"]:
        assert set(word) == {"text", "start", "end", "probability"}
        assert 0 <= word["start"] <= word["end"]
        assert 0 <= word["probability"] <= 1


def test_the_level_comes_with_its_confidence_and_grounds(turn: tuple[Answer, str]) -> None:
    level = turn[0].one("level")
    assert {"level", "confidence", "cefr_ms"} <= set(level)
    assert level["level"] in LEVELS
    assert 0 < level["confidence"] <= 1
    assert sum(level["probabilities"].values()) == pytest.approx(1, abs=0.01)
    assert level["fixed"] is False


def test_the_deltas_make_up_the_response(turn: tuple[Answer, str]) -> None:
    answer, said = turn
    response = answer.one("response")
    assert set(response) == {"response", "llm_ms"}
    assert "".join(delta.data["text"] for delta in answer.all("delta")).strip() == response["response"]
    if said == SECOND:
        assert len(answer.all("delta")) > 3
        assert response["llm_ms"] > 0
    else:  # one delta a sentence
        assert [delta.data["text"].strip() for delta in answer.all("delta")] == [
            sentence.strip() for sentence in whole_sentences(response["response"])
        ]


def test_each_audio_chunk_is_a_whole_wav_file_and_they_are_numbered(turn: tuple[Answer, str]) -> None:
    chunks = turn[0].all("audio")
    assert [chunk.data["index"] for chunk in chunks] == list(range(len(chunks)))
    for chunk in chunks:
        assert len(samples_of(chunk.wav)) > 0.2 * 24_000


def test_the_pieces_join_without_a_click(turn: tuple[Answer, str]) -> None:
    for chunk in turn[0].all("audio"):
        samples = samples_of(chunk.wav)
        assert abs(samples[0]) < 1e-3
        assert abs(samples[-1]) < 1e-3


def test_a_listener_understands_the_speech_as_the_responses(
    documented: Answer, eager: Answer, listen: Listener
) -> None:
    pairs = [(turn.one("response")["response"], listen(turn.audio(), 24_000).text) for turn in (documented, eager)]
    assert total_word_error_rate(pairs) <= 0.15, pairs


def test_complete_repeats_the_turn_and_tells_its_times(turn: tuple[Answer, str]) -> None:
    answer, _ = turn
    complete = answer.one("complete")
    assert set(complete) == {"transcript", "response", "timing"}
    assert complete["transcript"] == answer.one("transcript")["transcript"]
    assert complete["response"] == answer.one("response")["response"]
    timing = complete["timing"]
    assert set(timing) == TIMINGS
    assert timing["stt_ms"] == answer.one("transcript")["stt_ms"]
    assert timing["llm_ms"] == answer.one("response")["llm_ms"]
    assert 0 < timing["first_audio_ms"] <= timing["total_ms"]
    assert timing["tts_ms"] > 0
    assert timing["total_ms"] >= timing["stt_ms"] + max(timing["llm_ms"], timing["cefr_ms"])


def test_the_reply_is_a_short_question_in_portuguese(documented: Answer) -> None:
    reply = documented.one("response")["response"]
    assert reply.endswith("?")
    assert len(reply) < 300
    assert "[" not in reply


def test_session_id_continues_the_conversation(documented: Answer, eager: Answer) -> None:
    assert eager.one("transcript")["session_id"] == documented.one("transcript")["session_id"]
    # The level rests on both utterances: the second turn knows of the first.
    assert documented.one("level")["utterances"] == 1
    assert eager.one("level")["utterances"] == 2


@pytest.fixture(scope="module")
def chosen(server: Server, speech: Speaker) -> tuple[Answer, dict[str, Any]]:
    """A turn whose client chose everything it can."""
    fields = {"session_id": "aula-1", "level": "b2", "voice": "pm_alex", "speed": "0.5", "order": "documented"}
    return ask(server.url, speech.recording("Eu gosto de café."), **fields), fields


def test_a_client_may_choose_session_level_voice_and_speed(chosen: tuple[Answer, dict[str, Any]]) -> None:
    answer, _ = chosen
    assert answer.one("transcript")["session_id"] == "aula-1"
    level = answer.one("level")
    assert (level["level"], level["fixed"]) == ("B2", True)
    assert answer.last.name == "complete"


def test_a_chosen_speed_is_heard(chosen: tuple[Answer, dict[str, Any]], documented: Answer) -> None:
    def seconds_per_letter(answer: Answer) -> float:
        return len(answer.audio()) / 24_000 / len(answer.one("response")["response"])

    # Half as fast is twice as long; the two replies differ, and short texts take up to a third longer a letter.
    assert seconds_per_letter(chosen[0]) > 1.2 * seconds_per_letter(documented)


# --- over the WebSocket ------------------------------------------------------------------------------------

FIELDS = {
    "transcript": {"transcript", "stt_ms", "words", "session_id", "language"},
    "level": {"level", "confidence", "cefr_ms", "estimate", "probabilities", "utterances", "fixed"}
    | {"uncertainty", "low", "high"},
    "delta": {"text"},
    "response": {"response", "llm_ms"},
    "audio": set(),
    "status": {"stage"},
    "complete": {"transcript", "response", "timing"},
}


@pytest.fixture(scope="module")
def over_websocket(server: Server, speech: Speaker) -> Answer:
    """A turn over a connection, after whose end the client stays."""
    with talking(server.url) as talk:
        return talk.ask(speech.recording(SECOND))


def test_a_turn_is_eager_and_ends_with_complete(over_websocket: Answer) -> None:
    names = over_websocket.names
    assert names[:4] == ["status stt", "transcript", "level", "status llm"]
    assert names.index("status tts") < names.index("audio") < names.index("response")
    assert names[-1] == "complete"
    assert names.count("complete") == 1


def test_text_messages_have_the_fields_of_the_contract(over_websocket: Answer) -> None:
    for event in over_websocket.events:
        assert set(event.data) == FIELDS[event.name]


def test_what_was_said_is_heard_and_rated(over_websocket: Answer) -> None:
    assert word_error_rate(SECOND, over_websocket.one("transcript")["transcript"]) <= 0.15
    assert over_websocket.one("level")["level"] in LEVELS


def test_each_binary_message_is_a_wav_file_that_plays_on_its_own(over_websocket: Answer) -> None:
    pieces = [samples_of(event.wav) for event in over_websocket.all("audio")]
    assert pieces
    assert all(abs(samples).max() > 0.05 for samples in pieces)


def test_a_listener_understands_the_binary_messages_as_the_responses(
    over_websocket: Answer, documented: Answer, listen: Listener
) -> None:
    turns = (over_websocket, documented)
    pairs = [(turn.one("response")["response"], listen(turn.audio(), 24_000).text) for turn in turns]
    assert total_word_error_rate(pairs) <= 0.15, pairs
