"""`/ws/stream` of a real server: whole turns with real models, as wire.md writes them."""

from __future__ import annotations

from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import pytest
from support.clients import Answer, Talk, ask, samples_of, talking
from support.servers import Server
from support.speech import Listener, Speaker, total_word_error_rate, word_error_rate

from serve_app.protocols import LEVELS

pytestmark = pytest.mark.server

FIRST = "Meu irmão gosta de jogar futebol no parque."
SECOND = "Ontem eu fui ao mercado e comprei frutas e leite."
FIELDS = {
    "transcript": {"transcript", "stt_ms", "words", "session_id"},
    "level": {"level", "confidence", "cefr_ms", "estimate", "probabilities", "utterances", "fixed"},
    "delta": {"text"},
    "response": {"response", "llm_ms"},
    "audio": set(),
    "status": {"stage"},
    "complete": {"transcript", "response", "timing"},
}


@pytest.fixture(scope="module")
def turns(server: Server, speech: Speaker) -> list[Answer]:
    """Two turns over one connection."""
    with talking(server.url) as talk:
        return [talk.ask(speech.recording(text)) for text in (FIRST, SECOND)]


@pytest.fixture
def talk(server: Server) -> Generator[Talk]:
    with talking(server.url) as talk:
        yield talk


def test_a_turn_is_eager_and_ends_with_complete(turns: list[Answer]) -> None:
    for turn in turns:
        names = turn.names
        assert names[:4] == ["status stt", "transcript", "level", "status llm"]
        assert names.index("status tts") < names.index("audio") < names.index("response")
        assert names[-1] == "complete"
        assert names.count("complete") == 1


def test_text_messages_have_the_fields_of_the_contract(turns: list[Answer]) -> None:
    for event in (event for turn in turns for event in turn.events):
        assert set(event.data) == FIELDS[event.name]


def test_what_was_said_is_heard_and_rated(turns: list[Answer]) -> None:
    for turn, said in zip(turns, (FIRST, SECOND), strict=True):
        assert word_error_rate(said, turn.one("transcript")["transcript"]) <= 0.15
        assert turn.one("level")["level"] in LEVELS


def test_each_binary_message_is_a_wav_file_that_plays_on_its_own(turns: list[Answer]) -> None:
    for turn in turns:
        pieces = [samples_of(event.wav) for event in turn.all("audio")]
        assert pieces
        assert all(abs(samples).max() > 0.05 for samples in pieces)


def test_a_listener_understands_the_binary_messages_as_the_responses(turns: list[Answer], listen: Listener) -> None:
    pairs = [(turn.one("response")["response"], listen(turn.audio(), 24_000).text) for turn in turns]
    assert total_word_error_rate(pairs) <= 0.15, pairs


def test_the_connection_keeps_the_conversation(turns: list[Answer]) -> None:
    first, second = turns
    assert first.one("transcript")["session_id"] == second.one("transcript")["session_id"]
    assert [turn.one("level")["utterances"] for turn in turns] == [1, 2]


def test_a_conversation_goes_on_over_http_and_back(server: Server, speech: Speaker, turns: list[Answer]) -> None:
    session = turns[0].one("transcript")["session_id"]
    over_http = ask(server.url, speech.recording("Eu gosto de café."), session_id=session)
    assert over_http.one("level")["utterances"] == 3
    with talking(server.url) as talk:
        talk.tell({"type": "settings", "session_id": session})
        talk.until("settings")
        talk.say(speech.recording("Eu gosto de café."))
        assert talk.until("level").last.data["utterances"] == 4


def test_settings_are_answered_and_hold_for_the_turns_that_follow(talk: Talk, speech: Speaker) -> None:
    talk.tell({"type": "settings", "level": "a1", "voice": "pm_santa", "speed": 1.2})
    chosen = talk.until("settings").last.data
    assert (chosen["level"], chosen["voice"], chosen["speed"]) == ("A1", "pm_santa", 1.2)
    talk.tell({"type": "settings", "session_id": "aula-2"})
    assert talk.until("settings").last.data["voice"] == "pm_santa"
    talk.say(speech.recording("Eu gosto de café."))
    level = talk.until("level")
    assert level.one("transcript")["session_id"] == "aula-2"
    assert (level.last.data["level"], level.last.data["fixed"]) == ("A1", True)


def test_cancel_stops_the_turn_and_the_next_one_works(talk: Talk, speech: Speaker) -> None:
    talk.say(speech.recording(FIRST))
    talk.until("delta")
    talk.tell({"type": "cancel"})
    stopped = talk.until("cancelled", "complete", "error")
    assert stopped.last.name == "cancelled"
    assert talk.nothing_comes(2)
    talk.say(speech.recording(SECOND))
    assert talk.until("audio", "error").names[-1] == "audio"


def interrupted(talk: Talk, speech: Speaker, reached: str) -> tuple[Answer, Answer]:
    """A turn up to that event, when the learner speaks again; and the turn that answers."""
    talk.say(speech.recording(FIRST))
    talk.until(reached)
    talk.say(speech.recording(SECOND))
    return talk.until("cancelled", "complete", "error"), talk.until("complete", "error", "cancelled")


@pytest.mark.parametrize("reached", ["status", "audio"])
def test_a_new_utterance_stops_the_turn_wherever_it_is_and_is_answered(
    talk: Talk, speech: Speaker, reached: str
) -> None:
    stopped, answer = interrupted(talk, speech, reached)
    said = 2
    while stopped.last.name == "complete" and reached == "audio" and said < 10:
        # A reply of one short piece is complete with its first audio: nothing was there to stop.
        stopped, answer = interrupted(talk, speech, reached)
        said += 2
    assert stopped.last.name == "cancelled"
    assert answer.last.name == "complete"
    assert answer.names[0] == "status stt"
    assert word_error_rate(SECOND, answer.one("transcript")["transcript"]) <= 0.15
    assert word_error_rate(SECOND, answer.one("complete")["transcript"]) <= 0.15
    if reached == "audio":  # what was said in the turn that was stopped still counts
        assert answer.one("level")["utterances"] == said


def test_two_learners_at_once_are_both_answered_and_do_not_mix(server: Server, speech: Speaker) -> None:
    lessons = ((FIRST, "Minha namorada fala português muito bem."), (SECOND, "Onde fica o banheiro, por favor?"))
    with ExitStack() as stack, ThreadPoolExecutor(2) as pool:
        talks = [stack.enter_context(talking(server.url)) for _ in lessons]
        for round_number in range(2):
            recordings = [speech.recording(lesson[round_number]) for lesson in lessons]
            answers = list(pool.map(Talk.ask, talks, recordings))
            for answer, lesson in zip(answers, lessons, strict=True):
                assert answer.last.name == "complete"
                assert word_error_rate(lesson[round_number], answer.one("transcript")["transcript"]) <= 0.2
                assert answer.one("level")["utterances"] == round_number + 1
            sessions = {answer.one("transcript")["session_id"] for answer in answers}
            assert len(sessions) == 2
