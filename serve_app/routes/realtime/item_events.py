"""A client's events about items, and the reading of any event."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from typing import Any

import numpy as np

from serve_app.errors import InvalidField, ParleError, shown
from serve_app.protocols import STT_SAMPLE_RATE, Audio, Transcript
from serve_app.routes.asked import Asked, Sound, Typed, typed
from serve_app.routes.realtime.formats import Format, Intake
from serve_app.routes.realtime.items import Item, Items, item_of
from serve_app.routes.realtime.response import Response, Send

MOST_CHARACTERS = 15_000_000
"""Of one event: OpenAI's limit of 15 MB for an append."""
MOST_TEXT = 20_000
"""Characters of all texts of one item."""
TEXT = {"user": "input_text", "system": "input_text", "assistant": "output_text"}
"""What a text is called in an item of each role."""
TEXTS = ("input_text", "output_text", "text")


def parsed(text: str) -> dict[str, Any]:
    """A client's event.

    Raises:
        InvalidField: it is too large, or no JSON object with a type.
    """
    if len(text) > MOST_CHARACTERS:
        raise InvalidField(f"An event may have {MOST_CHARACTERS} characters.", code="invalid_event")
    try:
        event = json.loads(text)
        if "\\u" in text:
            json.dumps(event, ensure_ascii=False).encode()  # half of a pair of surrogates fails here
    except (ValueError, RecursionError):  # RecursionError: thousands of open brackets
        event = None
    if not isinstance(event, dict) or not isinstance(event.get("type"), str):
        wrong = 'An event must be a JSON object with a "type", and its texts whole characters.'
        raise InvalidField(wrong, code="invalid_event")
    return event


def told_of(error: ParleError, event_id: str | None) -> dict[str, Any]:
    """An error in the protocol's form; `event_id` is that of the client's event."""
    kind = "invalid_request_error" if error.status < 500 else "server_error"
    return {"type": kind, "code": error.code, "message": error.message, "param": error.param, "event_id": event_id}


async def tell_added(send: Send, item: Item, before: str | None) -> None:
    for name in ("added", "done"):
        await send({"type": f"conversation.item.{name}", "previous_item_id": before, "item": item.view()})


async def create_item(items: Items, send: Send, format_: Format, event: dict[str, Any]) -> None:
    """A message of the client's; the learner's waits for an answer.

    Raises:
        InvalidField: it is none that can be answered, too long, or its place does not exist.
    """
    given = event.get("item")
    item = item_of(given)
    assert isinstance(given, dict)
    texts: list[str] = []
    sounds: list[Audio] = []
    for part in given["content"]:
        kind, transcript = part.get("type"), part.get("transcript")
        if kind in TEXTS and isinstance(part.get("text"), str):
            texts.append(part["text"])
            item.content.append({"type": TEXT[item.role], "text": part["text"]})
        elif kind == "input_audio" and item.role == "user":
            sounds.append(Intake(format_).samples(part.get("audio")))
            item.content.append({"type": kind, "transcript": transcript if isinstance(transcript, str) else None})
        elif kind == "output_audio" and item.role == "assistant" and isinstance(transcript, str):
            texts.append(transcript)
            item.content.append({"type": kind, "transcript": transcript})
        else:
            kinds = f"{TEXT[item.role]}{' or input_audio' if item.role == 'user' else ''}, not {shown(str(kind))}"
            raise InvalidField(f"A part of {item.role} must be {kinds}.", code="invalid_value", param="item.content")
    if sum(map(len, texts)) > MOST_TEXT:
        wrong = f"An item may have {MOST_TEXT} characters of text."
        raise InvalidField(wrong, code="invalid_value", param="item.content")
    if item.role == "user" and sounds:
        sound = Sound(np.concatenate(sounds))
        items.check_room(len(sound.samples) / STT_SAMPLE_RATE)
        item.asked = sound
    elif item.role == "user":
        item.asked = typed(" ".join(texts))
    await tell_added(send, item, items.add(item, event.get("previous_item_id")))


async def delete_item(items: Items, send: Send, event: dict[str, Any]) -> None:
    items.drop(event.get("item_id"))
    await send({"type": "conversation.item.deleted", "item_id": event["item_id"]})


async def retrieve_item(items: Items, send: Send, event: dict[str, Any]) -> None:
    item = items.find(event.get("item_id"))
    await send({"type": "conversation.item.retrieved", "item": item.view()})


async def truncate_item(items: Items, send: Send, last: Response | None, event: dict[str, Any]) -> str | None:
    """The end of an answer was not heard; what was, where it is the last one."""
    item, ms = items.find(event.get("item_id")), event.get("audio_end_ms")
    if item.role != "assistant":
        raise InvalidField("Only an answer can be truncated.", code="invalid_value", param="item_id")
    if not isinstance(ms, int) or isinstance(ms, bool) or ms < 0:
        raise InvalidField(
            "audio_end_ms must be a whole number of milliseconds.", code="invalid_value", param="audio_end_ms"
        )
    heard = last.said_until(ms) if last is not None and last.item is item else None
    for part in item.content if heard is not None else ():
        if "transcript" in part:
            part["transcript"] = heard
    index = event.get("content_index")
    truncated = {"item_id": item.id, "content_index": index if isinstance(index, int) else 0, "audio_end_ms": ms}
    await send({"type": "conversation.item.truncated", **truncated})
    return heard


async def joined(asked: list[Sound | Typed], hear: Callable[[Audio], Awaitable[Transcript]]) -> Asked:
    """What of the learner's waits for an answer, as one utterance; where nothing does, the tutor speaks first."""
    if not asked:
        return "start"
    if len(asked) == 1:
        return asked[0] if isinstance(asked[0], Typed) else _unheard(asked[0])
    sounds = [one.samples for one in asked if isinstance(one, Sound)]
    if len(sounds) == len(asked):
        return Sound(np.concatenate(sounds))
    return typed(" ".join([one.text if isinstance(one, Typed) else (await hear(one.samples)).text for one in asked]))


def _unheard(sound: Sound) -> Sound:
    """The sound where its hearing was cancelled with the answer before."""
    return Sound(sound.samples) if sound.heard is not None and sound.heard.cancelled() else sound
