"""What must hold in a soak: of each turn, of each conversation afterwards, and of the time after each fault."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

from .word_errors import edits, words

ENDS = ("complete", "error")
BESIDE_TURNS = ("stopping", "settings", "waiting")
"""Events that may come when no turn runs."""
HEARD_OTHERWISE = 0.5
"""Part of the words in which a transcript may differ from that of the same recording in a quiet server: the
conversation so far is a hint to the recogniser."""
RECOVERED_S = 15.0
"""After a fault the next turn may take so much longer than a turn takes under the same load."""


@dataclass(slots=True)
class Turn:
    """One recording that was sent, and what came back. Times are seconds since the soak began."""

    talker: int
    way: str
    recording: int
    turn_id: str
    sent: float
    events: list[tuple[float, str, dict[str, Any]]] = field(default_factory=list)
    ended: float = 0.0
    closed: str = ""
    """Why no more came, if the turn had no end: the connection broke off, or the turn was refused."""
    gave_up: bool = False
    """The client left, since no end came within the limit."""

    @property
    def begun(self) -> float:
        """When the server had the recording, and a place for it."""
        return max([self.sent, *(at for at, name, _ in self.events if name == "waiting")])

    def all(self, *names: str) -> list[dict[str, Any]]:
        return [data for _, name, data in self.events if name in names]

    def text(self, event: str, key: str) -> str | None:
        """That field of the first such event; None where it did not come."""
        found = self.all(event)
        return str(found[0].get(key)) if found else None

    @property
    def transcript(self) -> str | None:
        return self.text("transcript", "transcript")

    @property
    def complete(self) -> bool:
        return self.outcome == "complete"

    @property
    def outcome(self) -> str:
        for _, name, data in self.events:
            if name in ENDS:
                return name if name == "complete" else f"error {data.get('code')}"
        return "no end" if self.gave_up else self.closed


@dataclass(frozen=True, slots=True)
class Known:
    """The recordings as the quiet server heard them, and who says them."""

    texts: Sequence[str]
    talkers: Sequence[int]

    def wrong(self, turn: Turn, text: str) -> str | None:
        """Why that is not what the talker said, None if it is."""
        heard = words(text)
        if turn.talker != (nearest := self.talkers[self._nearest(heard)]) and self._off(heard, turn.recording) > 0:
            return f"the words of talker {nearest}: {text!r}"
        if self._off(heard, turn.recording) > HEARD_OTHERWISE:
            return f"heard {text!r}, in the quiet server {self.texts[turn.recording]!r}"
        return None

    def _nearest(self, heard: list[str]) -> int:
        return min(range(len(self.texts)), key=lambda number: self._off(heard, number))

    def _off(self, heard: list[str], number: int) -> float:
        known = words(self.texts[number])
        return edits(known, heard) / max(1, len(known))


def wrong_turn(turn: Turn, known: Known, session: str, limit_s: float) -> list[str]:
    """What is wrong with one turn."""
    found = []
    ends = [(at, name) for at, name, _ in turn.events if name in ENDS]
    if len(ends) > 1:
        found.append(f"{len(ends)} ends: {', '.join(name for _, name in ends)}")
    if turn.gave_up:
        found.append(f"no end within {limit_s:.0f} s")
    elif (took := (ends[0][0] if ends else turn.ended) - turn.begun) > limit_s:
        found.append(f"its end came after {took:.0f} s, the limit is {limit_s:.0f} s")
    if ends:
        late = [name for at, name, _ in turn.events if at > ends[0][0] and name not in (*ENDS, *BESIDE_TURNS)]
        found += [f"{name} after its end" for name in dict.fromkeys(late)]
    if (text := turn.transcript) is not None and (why := known.wrong(turn, text)):
        found.append(why)
    if turn.transcript is not None and turn.text("transcript", "session_id") != session:
        found.append(f"another's session: {turn.text('transcript', 'session_id')}")
    if turn.complete:
        found += _wrong_answer(turn)
    if turn.outcome == "error internal":
        found.append(f"an error without a name: {turn.all('error')[0]}")
    return found


def _wrong_answer(turn: Turn) -> list[str]:
    found = []
    if turn.text("complete", "transcript") != turn.transcript:
        found.append(f"complete has another transcript: {turn.text('complete', 'transcript')!r}")
    if turn.text("complete", "response") != turn.text("response", "response"):
        found.append(f"complete has another reply: {turn.text('complete', 'response')!r}")
    if not turn.all("audio"):
        found.append("complete without speech")
    return found


def wrong_conversation(turns: Sequence[Turn], kept: Sequence[Mapping[str, Any]], known: Known) -> list[str]:
    """What is wrong with one talker's conversation as the server has it after the end.

    A turn is there if its end was told after its transcript; one that was cut off may be, as far as it came.
    """
    found = []
    sent = {turn.turn_id: number for number, turn in enumerate(turns)}
    there = {str(one["turn_id"]): one for one in kept}
    if strange := [one["transcript"] for name, one in there.items() if name not in sent]:
        found.append(f"holds what this talker did not say: {strange}")
    order = [sent[str(one["turn_id"])] for one in kept if str(one["turn_id"]) in sent]
    if any(earlier >= later for earlier, later in pairwise(order)):
        found.append(f"holds turns in another order, or twice: {order}")
    for turn in turns:
        one = there.get(turn.turn_id)
        if one is None:
            if turn.transcript is not None and turn.all(*ENDS):
                found.append(f"lacks {turn.turn_id} ({turn.outcome})")
        elif turn.transcript is not None and one["transcript"] != turn.transcript:
            found.append(f"has {one['transcript']!r} for {turn.transcript!r} in {turn.turn_id}")
        elif turn.transcript is None and (why := known.wrong(turn, one["transcript"])):
            found.append(f"holds {why}")
        elif turn.complete and one["reply"] != turn.text("complete", "response"):
            found.append(f"has the reply {one['reply']!r} of {turn.turn_id}, not {turn.text('complete', 'response')!r}")
    return found


@dataclass(frozen=True, slots=True)
class Recovery:
    """One talker's next complete turn after one fault; infinite where none came."""

    fault: int
    talker: int
    seconds: float
    undisturbed_s: float
    """The same from the end of the last fault that struck before that turn was complete."""
    last: bool
    """No other fault struck in between, or none that was over later."""


def recoveries(turns: Sequence[Turn], faults: Sequence[tuple[float, float]], talkers: int) -> list[Recovery]:
    """`faults`: when each struck and when it was over."""
    found = []
    for number, (_, over) in enumerate(faults):
        for talker in range(talkers):
            ends = [turn.ended for turn in turns if turn.talker == talker and turn.complete and turn.ended >= over]
            at = min(ends, default=float("inf"))
            latest = max(range(len(faults)), key=lambda other: faults[other][1] if faults[other][0] < at else 0.0)
            undisturbed = max(0.0, at - faults[latest][1])
            found.append(Recovery(number, talker, at - over, undisturbed, latest == number))
    return found
