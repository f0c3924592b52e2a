"""The conversation as the protocol lists it: items that a client can name."""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field
from typing import Any, Literal

from serve_app.errors import InvalidField
from serve_app.protocols import STT_SAMPLE_RATE
from serve_app.routes.asked import Sound, Typed

MOST_ITEMS = 400
"""Kept of one connection; then the oldest is forgotten here. The conversation itself is in the store."""

ROUNDING_S = 0.001


@dataclass(slots=True)
class Item:
    """One message. `asked`: what of the learner's waits for an answer."""

    id: str
    role: Literal["user", "assistant", "system"]
    content: list[dict[str, Any]] = field(default_factory=list)
    status: Literal["completed", "incomplete", "in_progress"] = "completed"
    asked: Sound | Typed | None = None

    def view(self) -> dict[str, Any]:
        return {
            "id": self.id,
            "object": "realtime.item",
            "type": "message",
            "status": self.status,
            "role": self.role,
            "content": self.content,
        }


class Items:
    """In the order of the conversation. `longest_s`: of sound that may wait for an answer, all of it together."""

    def __init__(self, longest_s: float) -> None:
        self._items: list[Item] = []
        self._longest_s = longest_s

    def __len__(self) -> int:
        return len(self._items)

    def add(self, item: Item, after: str | None = None) -> str | None:
        """Put it at the end, or after another; returns the id of the one before it.

        Raises:
            InvalidField: there is an item of this id, or none of the other.
        """
        if any(one.id == item.id for one in self._items):
            raise InvalidField("There is an item of this id.", code="item_already_exists", param="item.id")
        last = len(self._items) if after in (None, "root") else self._at(after, "previous_item_id") + 1
        at = 0 if after == "root" else last
        self._items.insert(at, item)
        before = self._items[at - 1].id if at else None
        if len(self._items) > MOST_ITEMS:
            del self._items[0]
        return before

    def find(self, item_id: Any, param: str = "item_id") -> Item:
        """Raises InvalidField where there is none."""
        return self._items[self._at(item_id, param)]

    def drop(self, item_id: Any) -> None:
        del self._items[self._at(item_id, "item_id")]

    def before(self, item: Item) -> str | None:
        at = self._at(item.id, "item_id")
        return self._items[at - 1].id if at else None

    def unanswered(self) -> list[Item]:
        """The learner's that wait for an answer."""
        return [item for item in self._items if item.asked is not None]

    def check_room(self, seconds: float) -> None:
        """Whether so much more sound may wait for an answer.

        Raises:
            InvalidField: it would be too much for one.
        """
        sounds = [item.asked.samples for item in self._items if isinstance(item.asked, Sound)]
        if sum(map(len, sounds)) / STT_SAMPLE_RATE + seconds > self._longest_s + ROUNDING_S:
            raise InvalidField(
                f"An answer is to {self._longest_s:g} s of sound at most; send response.create before more of it.",
                code="input_audio_too_long",
            )

    def _at(self, item_id: Any, param: str) -> int:
        for number, item in enumerate(self._items):
            if item.id == item_id:
                return number
        raise InvalidField("There is no item of this id.", code="item_not_found", param=param)


def new_id(kind: str) -> str:
    return f"{kind}_{uuid.uuid4().hex[:20]}"


def item_of(given: Any) -> Item:
    """An item that a client made, without its content.

    Raises:
        InvalidField: it is no message with a list of parts.
    """
    if not isinstance(given, dict) or given.get("type") != "message":
        raise InvalidField("Only items of type 'message' are known here.", code="invalid_value", param="item.type")
    role, content = given.get("role"), given.get("content")
    if role not in ("user", "assistant", "system"):
        raise InvalidField("role must be user, assistant or system.", code="invalid_value", param="item.role")
    if not isinstance(content, list) or not all(isinstance(part, dict) for part in content):
        raise InvalidField("content must be a list of parts.", code="invalid_value", param="item.content")
    item_id = given.get("id") or new_id("item")
    if not isinstance(item_id, str) or len(item_id) > 64:
        raise InvalidField("id must be a string of at most 64 characters.", code="invalid_value", param="item.id")
    return Item(item_id, role)
