"""Events of OpenAI's Realtime protocol, right ones and odd ones: each answer has to be one of OpenAI's own types."""

from __future__ import annotations

import base64
import json
import uuid
from typing import Any

from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy
from openai.types.realtime import RealtimeServerEvent
from pydantic import TypeAdapter, ValidationError
from websockets.exceptions import WebSocketException
from websockets.sync.client import ClientConnection, connect

from .fuzz_requests import ANSWER_S, Add, Wrong, each

EVENT: TypeAdapter[Any] = TypeAdapter(RealtimeServerEvent)


def realtime(add: Add, url: str, examples: int, number: int, until: float) -> int:
    """Events over one connection, which has to stay open. How many were sent."""
    address = url.replace("http", "ws", 1) + "/v1/realtime?model=parle"
    with connect(address, max_size=None, open_timeout=ANSWER_S) as socket:
        socket.recv(ANSWER_S)
        sends = _messages().map(lambda sent: lambda: _answered(socket, sent))
        return each(add, "event", sends, examples, number, until)


def _messages() -> SearchStrategy[str | bytes]:
    event = st.one_of([_event(kind, *fields) for kind, fields in NEEDED.items()]).map(json.dumps)
    garbage = ANYTHING.map(json.dumps) | st.text(max_size=50) | st.binary(max_size=50)
    return st.integers(0, 6).flatmap(lambda number: garbage if number == 6 else event)


def _event(kind: str, *needed: str) -> SearchStrategy[dict[str, Any]]:
    """What it needs, mostly right, and now and then another field."""
    fields = {name: _mostly(FIELDS[name]) for name in needed}
    more = {name: _mostly(FIELDS[name]) for name in ("event_id", "previous_item_id", "content_index")}
    return st.fixed_dictionaries({"type": st.just(kind), **fields}, optional=more)


def _mostly(right: SearchStrategy[Any]) -> SearchStrategy[Any]:
    # one_of would choose among the kinds of the odd ones too, which are many.
    return st.sampled_from((True,) * 11 + (False,)).flatmap(lambda yes: right if yes else ODD)


def _object(**known: SearchStrategy[Any]) -> SearchStrategy[dict[str, Any]]:
    """With any of the known fields, and now and then one that is not."""
    return st.fixed_dictionaries({}, optional={**{name: _mostly(one) for name, one in known.items()}, "x": ODD})


TEXT = st.just("Eu moro em Recife.") | st.text(max_size=30)
HALF = st.just("meia \ud800 letra")
"""JSON can escape half of a pair of surrogates, which no UTF-8 has."""
ODD = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), TEXT, HALF, st.just([]), st.just({}))
ANYTHING = st.recursive(
    ODD, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3), max_leaves=5
)
SOUND = st.binary(max_size=2400).map(lambda half: base64.b64encode(half + half).decode())
IDS = st.sampled_from(("a", "b", "c", "root"))
TYPED = st.fixed_dictionaries({"type": st.sampled_from(("input_text", "output_text", "text")), "text": _mostly(TEXT)})
SPOKEN = st.fixed_dictionaries({"type": st.just("input_audio"), "audio": _mostly(SOUND)}, optional={"transcript": ODD})
ITEM = st.fixed_dictionaries(
    {
        "type": _mostly(st.just("message")),
        "role": _mostly(st.sampled_from(("user", "assistant", "system"))),
        "content": _mostly(st.lists(TYPED | SPOKEN, max_size=3)),
    },
    optional={"id": _mostly(IDS), "status": ODD},
)
FORM = _object(type=st.sampled_from(("audio/pcm", "audio/pcmu", "audio/pcma")))
DETECTION = _object(
    type=st.sampled_from(("server_vad", "semantic_vad")),
    threshold=st.floats(0, 1),
    silence_duration_ms=st.integers(0, 3000),
    eagerness=st.sampled_from(("low", "auto", "high")),
)
HEARD = _object(format=FORM, turn_detection=st.none() | DETECTION, transcription=st.none() | _object(model=TEXT))
ANSWERED = _object(format=FORM, voice=st.sampled_from(("alloy", "pf_dora")), speed=st.floats(0.25, 1.5))
AUDIO = _object(input=HEARD, output=ANSWERED)
MODALITIES = st.sampled_from((["text"], ["audio"], ["text", "audio"]))
FIELDS: dict[str, SearchStrategy[Any]] = {
    "session": _object(audio=AUDIO, output_modalities=MODALITIES, instructions=TEXT, tools=ANYTHING),
    "response": _object(audio=AUDIO, output_modalities=MODALITIES, metadata=st.dictionaries(TEXT, _mostly(TEXT))),
    "item": ITEM,
    "item_id": IDS,
    "previous_item_id": st.none() | IDS,
    "audio": SOUND,
    "audio_end_ms": st.integers(-1, 10_000),
    "content_index": st.integers(0, 1),
    "event_id": TEXT,
}
NEEDED: dict[str, tuple[str, ...]] = {
    "session.update": ("session",),
    "input_audio_buffer.append": ("audio",),
    "input_audio_buffer.commit": (),
    "input_audio_buffer.clear": (),
    "output_audio_buffer.clear": (),
    "conversation.item.create": ("item",),
    "conversation.item.delete": ("item_id",),
    "conversation.item.retrieve": ("item_id",),
    "conversation.item.truncate": ("item_id", "audio_end_ms"),
    "response.create": ("response",),
    "response.cancel": (),
    "response.dance": (),
}


def _answered(socket: ClientConnection, sent: str | bytes) -> str:
    """Send it and then something unknown: what came before the refusal of that."""
    mark = uuid.uuid4().hex
    kinds: list[str] = []
    event: dict[str, Any] = {}
    try:
        socket.send(sent)
        socket.send(json.dumps({"type": "mark", "event_id": mark}))
        while True:
            event = json.loads(socket.recv(ANSWER_S))
            EVENT.validate_python(event, strict=True)
            error = event.get("error") or {}
            if error.get("event_id") == mark:
                return f"realtime {kinds[0] if kinds else 'nothing'}"
            if error.get("code") == "internal":
                raise Wrong(f"internal, at {sent[:300]!r}")
            kinds.append(f"error {error['code']}" if event["type"] == "error" else event["type"])
    except ValidationError:
        raise Wrong(f"no event of OpenAI's: {event}, at {sent[:300]!r}") from None
    except (TimeoutError, WebSocketException) as error:
        raise Wrong(f"no answer ({type(error).__name__}: {error}) to {sent[:300]!r}") from None
