"""`/ws/stream` of a real server: what needs Serve's proxy and real stages beside the turns of test_shipped_stack.py."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import pytest
from support.clients import Talk, ask, talking
from support.servers import Server
from support.speech import Speaker, word_error_rate

pytestmark = pytest.mark.server

FIRST = "Meu irmão gosta de jogar futebol no parque."
SECOND = "Ontem eu fui ao mercado e comprei frutas e leite."


def test_a_conversation_goes_on_over_http_and_back(small_server: Server, speech: Speaker) -> None:
    with talking(small_server.url) as talk:
        first = talk.ask(speech.recording(FIRST))
    session = first.one("transcript")["session_id"]
    over_http = ask(small_server.url, speech.recording("Eu gosto de café."), session_id=session)
    assert over_http.one("level")["utterances"] == 2
    with talking(small_server.url) as talk:
        talk.tell({"type": "settings", "session_id": session})
        talk.until("settings")
        talk.say(speech.recording("Eu gosto de café."))
        assert talk.until("level").last.data["utterances"] == 3


def test_a_new_utterance_stops_the_models_and_is_answered(small_server: Server, speech: Speaker) -> None:
    with talking(small_server.url) as talk:
        talk.say(speech.recording(FIRST))
        talk.until("status")
        talk.say(speech.recording(SECOND))
        assert talk.until("cancelled", "complete", "error").last.name == "cancelled"
        answer = talk.until("complete", "error", "cancelled")
    assert answer.last.name == "complete"
    assert answer.names[0] == "status stt"
    assert word_error_rate(SECOND, answer.one("transcript")["transcript"]) <= 0.15


def test_two_learners_at_once_are_both_answered_and_do_not_mix(small_server: Server, speech: Speaker) -> None:
    lessons = ((FIRST, "Minha namorada fala português muito bem."), (SECOND, "Onde fica o banheiro, por favor?"))
    with ExitStack() as stack, ThreadPoolExecutor(2) as pool:
        talks = [stack.enter_context(talking(small_server.url)) for _ in lessons]
        for round_number in range(2):
            recordings = [speech.recording(lesson[round_number]) for lesson in lessons]
            answers = list(pool.map(Talk.ask, talks, recordings))
            for answer, lesson in zip(answers, lessons, strict=True):
                assert answer.last.name == "complete"
                assert word_error_rate(lesson[round_number], answer.one("transcript")["transcript"]) <= 0.2
                assert answer.one("level")["utterances"] == round_number + 1
            sessions = {answer.one("transcript")["session_id"] for answer in answers}
            assert len(sessions) == 2
