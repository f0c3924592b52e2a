"""OpenAI's Realtime protocol: what a client may send, and what it gets, by the SDK's own types."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Iterator
from typing import Any

import httpx
import numpy as np
import pytest
from openai import AsyncOpenAI
from support.containers import speech_like
from support.paths import ROOT
from support.realtime import RealtimeTalk, kinds, one, realtime, sound_of
from support.site_without_ray import Site, site_of
from support.waiting import wait_for
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.typing import Subprotocol

from serve_app import audio
from serve_app.protocols import Audio

SENTENCE = "bom-dia-onde-fica-o-banheiro-por-favor-1c516d.pf_dora.pt-br.ogg"
KEY = "a-key-that-is-long-enough-to-be-one"
MANUAL = {"type": "realtime", "audio": {"input": {"turn_detection": None}}}
ANSWER = [
    "response.created",
    "response.output_item.added",
    "conversation.item.added",
    "response.content_part.added",
]
END = [
    "response.output_audio.done",
    "response.output_audio_transcript.done",
    "response.content_part.done",
    "response.output_item.done",
    "conversation.item.done",
    "response.done",
]


@pytest.fixture(scope="module")
def shared() -> Iterator[Site]:
    with site_of() as running:
        yield running


@pytest.fixture
def site(shared: Site) -> Iterator[Site]:
    shared.house.log.clear()
    shared.house.llm.requests.clear()
    yield shared
    shared.wait_until_idle()


def session(talk: RealtimeTalk, **change: Any) -> dict[str, Any]:
    talk.send("session.update", session=change)
    return talk.until("session.updated", "error")[-1]


def test_a_typed_turn_is_answered_in_the_order_that_clients_rely_on(site: Site) -> None:
    with realtime(site.url) as talk:
        events = talk.ask("Oi, tudo bem?")
    order = kinds(events)
    assert order[:2] == ["conversation.item.added", "conversation.item.done"]
    assert order[2:6] == ANSWER
    assert order[-6:] == END
    deltas = "".join(e["delta"] for e in events if e["type"] == "response.output_audio_transcript.delta")
    spoken = one(events, "response.output_audio_transcript.done")["transcript"]
    assert deltas.strip() == spoken
    done = events[-1]["response"]
    assert done["status"] == "completed"
    assert done["usage"]["output_tokens"] == len(site.house.llm.reply_text.split())
    assert done["usage"]["total_tokens"] == site.house.llm.prompt_tokens + done["usage"]["output_tokens"]
    [item] = done["output"]
    assert item["content"] == [{"type": "output_audio", "transcript": spoken}]
    assert len(sound_of(events)) > 0


def test_a_recorded_turn_is_committed_transcribed_and_answered(site: Site) -> None:
    with realtime(site.url) as talk:
        session(talk, **MANUAL)
        talk.append(speech_like(1.0, 24_000))
        talk.send("input_audio_buffer.commit")
        committed = talk.until("conversation.item.done")
        item = one(committed, "input_audio_buffer.committed")["item_id"]
        talk.send("response.create", response={"metadata": {"of": "the test"}})
        events = talk.until("response.done")
    heard = one(events, "conversation.item.input_audio_transcription.completed")
    assert (heard["item_id"], heard["transcript"]) == (item, site.house.stt.text)
    assert events[-1]["response"]["metadata"] == {"of": "the test"}
    assert [line for line in site.house.log if line.startswith("stt")] == [f"stt {site.house.stt.text}"]


def test_text_alone_is_neither_spoken_nor_sent_as_sound(site: Site) -> None:
    with realtime(site.url) as talk:
        session(talk, type="realtime", output_modalities=["text"])
        events = talk.ask("Oi!")
    assert "response.output_text.delta" in kinds(events)
    assert not sound_of(events).size
    assert not [line for line in site.house.log if line.startswith("tts")]


@pytest.mark.parametrize("path", ["/v1/realtime", "/realtime"])
def test_openais_own_client_holds_a_conversation(site: Site, path: str) -> None:
    async def talk() -> list[str]:
        client = AsyncOpenAI(api_key="none", websocket_base_url=f"ws://127.0.0.1:{site.port}{path[:-9]}")
        async with client.realtime.connect(model="parle") as connection:
            await connection.session.update(session={"type": "realtime", "output_modalities": ["text"]})
            said = []
            for text in ("Oi!", "Eu moro em Recife."):
                await connection.conversation.item.create(
                    item={"type": "message", "role": "user", "content": [{"type": "input_text", "text": text}]}
                )
                await connection.response.create()
                async for event in connection:
                    if event.type == "response.output_text.done":
                        said.append(event.text)
                    if event.type == "response.done":
                        break
            return said

    said = asyncio.run(talk())
    assert len(said) == 2
    assert all(said)
    assert site.house.llm.requests[-1].history[-1].learner == "Oi!"


def test_the_session_is_merged_deep_and_shown(site: Site) -> None:
    with realtime(site.url) as talk:
        shown = session(
            talk,
            audio={"input": {"turn_detection": {"type": "semantic_vad", "eagerness": "low"}}, "output": {"speed": 0.8}},
            instructions="Seja gentil.",
            tools=[],
            unheard_of="x",
        )["session"]
        again = session(talk, audio={"output": {"voice": "alloy"}})["session"]
    assert shown["audio"]["input"]["turn_detection"]["eagerness"] == "low"
    assert shown["audio"]["input"]["format"] == {"type": "audio/pcm", "rate": 24_000}
    assert again["audio"]["output"]["speed"] == 0.8
    assert again["instructions"] == "Seja gentil."


def test_a_voice_of_the_stack_speaks_and_an_unknown_one_is_refused_with_those_there_are(site: Site) -> None:
    with realtime(site.url) as talk:
        refused = session(talk, audio={"output": {"voice": "robot"}})
        assert refused["type"] == "error"
        assert "pf_dora" in refused["error"]["message"]
        session(talk, audio={"output": {"voice": "pm_santa"}})
        talk.ask("Oi!")
    assert {voice for _, voice, _ in site.house.tts.asked[-2:]} == {"pm_santa"}


@pytest.mark.parametrize("kind", ["audio/pcmu", "audio/pcma"])
def test_telephone_sound_goes_both_ways(site: Site, kind: str) -> None:
    with realtime(site.url) as talk:
        formats = {"input": {"format": {"type": kind}, "turn_detection": None}, "output": {"format": {"type": kind}}}
        session(talk, audio=formats)
        silence = base64.b64encode(b"\xff" * 8000).decode()
        talk.send("input_audio_buffer.append", audio=silence)
        talk.send("input_audio_buffer.commit")
        talk.send("response.create")
        events = talk.until("response.done")
    chunks = [base64.b64decode(e["delta"]) for e in events if e["type"] == "response.output_audio.delta"]
    pieces = one(events, "response.output_audio_transcript.done")["transcript"].count("!") + 2
    whole = sum(map(len, chunks))
    assert 0.9 < whole / (800 * pieces) <= 1, "8 kHz, a byte a sample, a tenth of a second for each piece"


def test_a_cancelled_answer_ends_and_the_next_one_works(site: Site) -> None:
    site.house.tts.part_s = 0.3
    try:
        with realtime(site.url) as talk:
            content = [{"type": "input_text", "text": "Conta uma história."}]
            talk.send("conversation.item.create", item={"type": "message", "role": "user", "content": content})
            talk.send("response.create")
            talk.until("response.content_part.added")
            talk.send("response.cancel")
            done = talk.until("response.done")[-1]["response"]
            assert done["status"] == "cancelled"
            assert done["status_details"]["reason"] == "client_cancelled"
            assert talk.ask("Oi!")[-1]["response"]["status"] == "completed"
    finally:
        site.house.tts.part_s = 0.0


def test_what_was_not_heard_of_an_answer_is_not_in_the_history(site: Site) -> None:
    with realtime(site.url) as talk:
        events = talk.ask("Conta uma história.")
        item = events[-1]["response"]["output"][0]["id"]
        talk.send("conversation.item.truncate", item_id=item, content_index=0, audio_end_ms=1)
        assert talk.until("conversation.item.truncated", "error")[-1]["audio_end_ms"] == 1
        talk.ask("Continue.")
    told = site.house.llm.requests[-1].history[-1].tutor
    assert told == events[-1]["response"]["output"][0]["content"][0]["transcript"].split()[0]


def test_where_nothing_was_said_the_tutor_speaks_first(site: Site) -> None:
    with realtime(site.url, "model=parle&scenario=padaria&parle=1") as talk:
        talk.send("response.create")
        events = talk.until("response.done")
    assert events[-1]["response"]["status"] == "completed"
    assert one(events, "parle.scenario")["id"] == "padaria"


def test_parles_own_events_come_to_who_asked(site: Site) -> None:
    site.house.stt.text = "Eu gosta de café."
    with realtime(site.url, "model=parle&parle=1") as talk:
        events = talk.ask("Eu gosta de café.")
    assert one(events, "parle.correction")["said"] == "gosta"
    assert one(events, "parle.level")["level"]
    with realtime(site.url) as talk:
        assert not [kind for kind in kinds(talk.ask("Eu gosta de café.")) if kind.startswith("parle.")]
    site.house.stt.text = "Eu gosto de futebol."


def test_a_client_comes_back_to_its_conversation(site: Site) -> None:
    with realtime(site.url, "model=parle&session_id=volta") as talk:
        talk.ask("Meu gato se chama Bruno.")
    site.wait_until_idle()
    with realtime(site.url, "model=parle&session_id=volta") as talk:
        talk.ask("Oi de novo!")
    assert site.house.llm.requests[-1].history[0].learner == "Meu gato se chama Bruno."
    assert len(httpx.get(f"{site.url}/api/sessions/volta").json()["turns"]) == 2


WRONG: list[tuple[str, str, str | None]] = [
    ("{", "invalid_event", None),
    ("[1]", "invalid_event", None),
    ("[" * 5000, "invalid_event", None),
    ('{"type": 7}', "invalid_event", None),
    ('{"type": "respons.create"}', "unknown_event", "type"),
    ('{"type": "input_audio_buffer.append", "audio": "%%%"}', "invalid_value", "audio"),
    ('{"type": "input_audio_buffer.append", "audio": "AAAA"}', "invalid_value", "audio"),
    ('{"type": "input_audio_buffer.append"}', "invalid_value", "audio"),
    ('{"type": "input_audio_buffer.commit"}', "input_audio_buffer_commit_empty", None),
    ('{"type": "session.update"}', "invalid_value", "session"),
    (
        '{"type": "session.update", "session": {"audio": {"input": {"turn_detection": {"threshold": 7}}}}}',
        "invalid_value",
        "session.audio.input.turn_detection.threshold",
    ),
    ('{"type": "conversation.item.create", "item": {"type": "call"}}', "invalid_value", "item.type"),
    (
        '{"type": "conversation.item.create", "item": {"type": "message", "role": "user", "content": [{}]}}',
        "invalid_value",
        "item.content",
    ),
    ('{"type": "conversation.item.delete", "item_id": "x"}', "item_not_found", "item_id"),
    ('{"type": "conversation.item.truncate", "item_id": ["x"]}', "item_not_found", "item_id"),
    ('{"type": "response.cancel"}', "response_cancel_not_active", None),
    ('{"type": "response.create", "response": []}', "invalid_value", "response"),
    ('{"type": "conversation.item.create", "item": "\\ud800"}', "invalid_event", None),
    ('{"type": "response.cancel", "event_id": "\\ud800"}', "invalid_event", None),
    ('{"type": "response.create", "response": {"metadata": {"a": 1}}}', "invalid_value", "response.metadata.a"),
    (
        '{"type": "session.update", "session": {"audio": {"input": {"format": {"type": "audio/pcm", "rate": 8000}}}}}',
        "invalid_value",
        "session.audio.input.format",
    ),
    (
        '{"type": "conversation.item.create", "item": {"type": "message", "role": "assistant", "content":'
        ' [{"type": "input_audio", "audio": "AAAA"}]}}',
        "invalid_value",
        "item.content",
    ),
]


@pytest.mark.parametrize(("sent", "code", "param"), WRONG, ids=[str(number) for number in range(len(WRONG))])
def test_what_cannot_be_is_an_error_that_says_so_and_the_connection_stays(
    site: Site, sent: str, code: str, param: str | None
) -> None:
    with realtime(site.url) as talk:
        talk.connection.send(sent)
        error = talk.until("error")[-1]["error"]
        assert (error["code"], error["param"]) == (code, param)
        assert "Traceback" not in error["message"]
        assert talk.ask("Oi!")[-1]["type"] == "response.done"


def test_an_error_names_the_clients_event(site: Site) -> None:
    with realtime(site.url) as talk:
        talk.send("response.cancel", event_id="meu")
        assert talk.until("error")[-1]["error"]["event_id"] == "meu"


def test_an_address_that_cannot_be_is_refused_with_the_nearest(site: Site) -> None:
    with pytest.raises(ConnectionClosed) as closed, realtime(site.url, "model=parle&scenario=padarai"):
        pass
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == 4400
    assert "padaria" in closed.value.rcvd.reason


def test_a_full_server_fails_the_answer_and_not_the_session(site: Site) -> None:

    with site_of(limits={"max_turns": 1}) as small:
        small.house.llm.word_s = 0.1
        with realtime(small.url) as first, realtime(small.url) as second:
            content = [{"type": "input_text", "text": "Oi!"}]
            first.send("conversation.item.create", item={"type": "message", "role": "user", "content": content})
            first.send("response.create")
            first.until("response.created")
            done = second.ask("Oi!")[-1]["response"]
            assert (done["status"], done["status_details"]["error"]["code"]) == ("failed", "busy")
            assert first.until("response.done")[-1]["response"]["status"] == "completed"
            assert second.ask("Oi!")[-1]["response"]["status"] == "completed"


def test_a_client_that_offers_the_subprotocol_gets_it(site: Site) -> None:
    with realtime(site.url, subprotocols=[Subprotocol("realtime")]) as talk:
        assert talk.connection.subprotocol == "realtime"


@pytest.mark.parametrize("way", ["header", "subprotocol"])
def test_a_key_is_taken_in_either_way_and_wanted(way: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PARLE_API_KEYS", f"ana:{KEY}")
    with site_of() as locked:
        given: dict[str, Any] = {"additional_headers": {"Authorization": f"Bearer {KEY}"}}
        if way == "subprotocol":
            given = {"subprotocols": [Subprotocol("realtime"), Subprotocol(f"openai-insecure-api-key.{KEY}")]}
        with realtime(locked.url, **given) as talk:
            assert talk.ask("Oi!")[-1]["response"]["status"] == "completed"
        with pytest.raises(InvalidStatus), realtime(locked.url):
            pass


# --- who has the floor, with the real detector and speech -------------------------------------------------------


@pytest.fixture(scope="module")
def known() -> Audio:
    """A sentence at 24 kHz."""
    recording = (ROOT / "tests/data/speech" / SENTENCE).read_bytes()
    samples = audio.decode(recording, max_seconds=30)
    at = np.arange(0, len(samples), 2 / 3)
    return np.interp(at, np.arange(len(samples)), samples).astype(np.float32)


def microphone(talk: RealtimeTalk, *parts: Any) -> None:
    """Sound and pauses (seconds), as fast as the connection takes them."""
    for part in parts:
        talk.append(np.zeros(round(part * 24_000), np.float32) if isinstance(part, float) else part)


@pytest.mark.parametrize("mode", ["server_vad", "semantic_vad"])
def test_after_a_silence_the_tutor_answers_by_itself(site: Site, known: Audio, mode: str) -> None:
    with realtime(site.url) as talk:
        session(talk, audio={"input": {"turn_detection": {"type": mode}}})
        microphone(talk, 0.5, known, 2.5)
        events = talk.until("response.done")
    order = kinds(events)
    assert order[:3] == [
        "input_audio_buffer.speech_started",
        "input_audio_buffer.speech_stopped",
        "input_audio_buffer.committed",
    ]
    started, stopped = events[0], events[1]
    assert started["item_id"] == stopped["item_id"] == events[2]["item_id"]
    assert 0 < started["audio_start_ms"] < 800
    assert 1000 * (0.5 + len(known) / 24_000) < stopped["audio_end_ms"] + 300
    assert events[-1]["response"]["status"] == "completed"


def test_what_was_heard_at_the_pause_is_not_heard_again(site: Site, known: Audio) -> None:
    with realtime(site.url) as talk:
        microphone(talk, 0.3, known, 0.3)
        wait_for(lambda: any(line.startswith("stt") for line in site.house.log), 10, "the ears")
        microphone(talk, 1.0)
        talk.until("response.done")
    assert len([line for line in site.house.log if line.startswith("stt")]) == 1


def test_who_speaks_over_the_tutor_silences_it(site: Site, known: Audio) -> None:
    site.house.tts.part_s = 0.2
    try:
        with realtime(site.url) as talk:
            content = [{"type": "input_text", "text": "Conta uma história."}]
            talk.send("conversation.item.create", item={"type": "message", "role": "user", "content": content})
            talk.send("response.create")
            talk.until("response.output_audio.delta")
            microphone(talk, known)
            events = talk.until("response.done")
            assert site.house.llm.work.running == site.house.tts.work.running == 0, "cancelled before it is told"
    finally:
        site.house.tts.part_s = 0.0
    assert "input_audio_buffer.speech_started" in kinds(events)
    done = events[-1]["response"]
    assert (done["status"], done["status_details"]["reason"]) == ("cancelled", "turn_detected")


def test_without_detection_nothing_happens_by_itself(site: Site, known: Audio) -> None:
    with realtime(site.url) as talk:
        session(talk, **MANUAL)
        microphone(talk, known, 1.5)
        talk.send("input_audio_buffer.clear")
        assert kinds(talk.until("input_audio_buffer.cleared")) == ["input_audio_buffer.cleared"]


def test_a_buffer_that_is_never_committed_is_bounded(site: Site) -> None:
    with site_of(limits={"max_audio_s": 2}) as small, realtime(small.url) as talk:
        session(talk, **MANUAL)
        microphone(talk, 3.0)
        assert talk.until("error")[-1]["error"]["code"] == "input_audio_buffer_full"
