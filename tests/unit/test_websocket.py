"""`/ws/stream` over stages without models: one connection, many turns, at most one at a time."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from support.clients import Answer, Talk, ask, error_of, talking
from support.containers import speech_like
from support.known_speech import house_that_knows
from support.site_without_ray import Site, site_of

from serve_app.audio import wav

FIRST = "Meu irmão gosta de jogar futebol no parque."
SECOND = "Ontem eu fui ao mercado e comprei frutas e leite."
SOUNDS = {FIRST: speech_like(1.0), SECOND: np.ascontiguousarray(speech_like(2.0)[::-1])}
RECORDINGS = {text: wav(sound, 16_000) for text, sound in SOUNDS.items()}


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    with site_of(house_that_knows(SOUNDS)) as site:
        yield site


@pytest.fixture
def talk(site: Site) -> Iterator[Talk]:
    site.wait_until_idle()
    with talking(site.url) as talk:
        yield talk


def test_the_connection_keeps_the_conversation(talk: Talk) -> None:
    turns = [talk.ask(RECORDINGS[text]) for text in (FIRST, SECOND)]
    assert [turn.one("transcript")["transcript"] for turn in turns] == [FIRST, SECOND]
    assert len({turn.one("transcript")["session_id"] for turn in turns}) == 1
    assert [turn.one("level")["utterances"] for turn in turns] == [1, 2]


def test_settings_are_answered_and_hold_for_the_turns_that_follow(site: Site, talk: Talk) -> None:
    talk.tell({"type": "settings", "level": "a1", "voice": "pm_santa", "speed": 1.2})
    chosen = talk.until("settings").last.data
    assert (chosen["level"], chosen["voice"], chosen["speed"]) == ("A1", "pm_santa", 1.2)
    talk.tell({"type": "settings", "session_id": "aula-2"})
    assert talk.until("settings").last.data["voice"] == "pm_santa"
    turn = talk.ask(RECORDINGS[FIRST])
    assert turn.one("transcript")["session_id"] == "aula-2"
    level = turn.one("level")
    assert (level["level"], level["fixed"]) == ("A1", True)
    assert site.house.tts.asked[-1][1:] == ("pm_santa", 1.2)


def test_cancel_stops_the_turn_and_the_next_one_works(site: Site, talk: Talk) -> None:
    talk.say(RECORDINGS[FIRST])
    talk.until("delta")
    talk.tell({"type": "cancel"})
    stopped = talk.until("cancelled", "complete", "error")
    assert stopped.last.name == "cancelled"
    assert site.house.running() == 0
    assert talk.nothing_comes(0.5)
    talk.say(RECORDINGS[SECOND])
    assert talk.until("audio", "error").names[-1] == "audio"


def test_a_stage_that_does_not_say_its_voices_holds_up_neither_cancel_nor_the_connection() -> None:
    """The settings and the turn behind them are answered, each once, when the lookup is given up."""
    house = house_that_knows(SOUNDS)
    house.away.add("tts")
    with site_of(house, limits={"query_s": 0.5}) as site, talking(site.url) as talk:
        talk.tell({"type": "settings", "voice": "pm_santa", "session_id": "aula"})
        talk.say(RECORDINGS[FIRST])
        talk.tell({"type": "cancel"})
        assert talk.next().name == "cancelled"
        refused = talk.next()
        assert (refused.name, refused.data["code"], refused.data["stage"]) == ("error", "stage_timeout", "tts")
        assert talk.nothing_comes(0.2)
        talk.tell({"type": "settings", "voice": "pm_santa"})
        talk.tell({"type": "settings", "session_id": "aula-2"})
        talk.say(RECORDINGS[FIRST])
        seen = talk.until("complete")
        assert seen.names[:2] == ["error", "settings"]
        assert seen.one("transcript")["session_id"] == "aula-2"


def test_a_fault_of_ours_is_logged_and_answered_and_the_connection_stays(caplog: pytest.LogCaptureFixture) -> None:
    house = house_that_knows(SOUNDS)
    house.tts.work.fails_with = LookupError("a fault of ours")
    with site_of(house) as site, talking(site.url) as talk:
        for _ in range(2):
            talk.tell({"type": "settings", "voice": "pm_santa"})
            refused = talk.next()
            assert error_of(Answer([refused])) == ("internal", "request")
            assert "fault" not in refused.data["message"]
        house.tts.work.fails_with = None
        assert talk.ask(RECORDINGS[FIRST]).last.name == "complete"
    assert [record.getMessage() for record in caplog.records].count("a WebSocket message failed") == 2
    assert "LookupError: a fault of ours" in caplog.text


def interrupted(talk: Talk, reached: str) -> tuple[Answer, Answer]:
    """A turn up to that event, when the learner speaks again; and the turn that answers."""
    talk.say(RECORDINGS[FIRST])
    talk.until(reached)
    talk.say(RECORDINGS[SECOND])
    return talk.until("cancelled", "complete", "error"), talk.until("complete", "error", "cancelled")


@pytest.mark.parametrize("reached", ["status", "transcript", "delta", "audio"])
def test_a_new_utterance_stops_the_turn_wherever_it_is_and_is_answered(talk: Talk, reached: str) -> None:
    stopped, answer = interrupted(talk, reached)
    assert stopped.last.name == "cancelled"
    assert answer.last.name == "complete"
    assert answer.names[0] == "status stt"
    assert answer.one("transcript")["transcript"] == SECOND
    assert answer.one("complete")["transcript"] == SECOND
    # What was said in the turn that was stopped still counts, once it was understood.
    assert answer.one("level")["utterances"] == (1 if reached == "status" else 2)


def test_a_conversation_goes_on_over_http(site: Site, talk: Talk) -> None:
    session = talk.ask(RECORDINGS[FIRST]).one("transcript")["session_id"]
    assert ask(site.url, RECORDINGS[SECOND], session_id=session).one("level")["utterances"] == 2


def test_a_client_that_goes_stops_all_that_ran_for_it(site: Site) -> None:
    for reached in ("status", "delta", "audio"):
        with talking(site.url) as talk:
            talk.say(RECORDINGS[FIRST])
            talk.until(reached)
            talk.vanish()
        site.wait_until_idle(2)
