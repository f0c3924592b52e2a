"""How the stages of a stack fit on a card: their shares, what they hold, and shares that would fit."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from serve_app.config.stack import StackArgs
from serve_app.gpu.budget import GIB, STEP, Need, gib, lack, need, on_card, share_for
from serve_app.gpu.cards import Card

COLUMNS = ("stage", "model", "share", "GiB", "weights", "workspace", "context", "KV cache", "conversations", "left")
"""Columns of `Plan.table`; sizes in GiB."""


@dataclass(frozen=True, slots=True)
class Row:
    """One stage on its share of a card; sizes in bytes."""

    stage: str
    model: str
    share: float
    given: int
    need: Need | None
    kv: int

    @property
    def left(self) -> int | None:
        """Bytes of the share that are unused; negative if it is too small, None if the need is unknown."""
        return None if self.need is None else self.given - self.need.fixed - max(self.kv, self.need.kv_least)

    @property
    def fits(self) -> bool:
        return self.left is None or self.left >= 0

    @property
    def kv_tokens(self) -> int:
        return self.kv // self.need.kv_bytes_per_token if self.need and self.need.kv_bytes_per_token else 0

    @property
    def conversations(self) -> int:
        """Conversations of full length that the cache holds at the same time."""
        return self.kv_tokens // self.need.conversation_tokens if self.need and self.need.conversation_tokens else 0


@dataclass(frozen=True, slots=True)
class Plan:
    """A stack's stages on one kind of card; `rows` are the stages that use CUDA."""

    card: Card
    cards: int
    rows: tuple[Row, ...]
    placed: bool
    """Whether the shares can be distributed over the cards at all."""

    @property
    def fits(self) -> bool:
        return self.placed and all(row.fits for row in self.rows)

    @property
    def unshared(self) -> int:
        """Bytes of the cards that no stage's share covers."""
        return int(self.card.usable_bytes * (self.cards - sum(row.share for row in self.rows)))

    def table(self) -> list[list[str]]:
        """One row of `COLUMNS` per stage."""
        lines = []
        for row in self.rows:
            line = [row.stage, row.model, f"{row.share:g}", gib(row.given)]
            if row.need is None:
                lines.append([*line, *["?"] * (len(COLUMNS) - len(line))])
                continue
            cache = [gib(row.kv), str(row.conversations)] if row.need.kv_bytes_per_token else ["", ""]
            sizes = [gib(row.need.weights), gib(row.need.workspace), gib(row.need.context)]
            lines.append([*line, *sizes, *cache, gib(row.left or 0)])
        return lines

    def suggest(self) -> dict[str, float] | None:
        """Shares that fit; None if none do. On a single card, spare memory goes to the LLM's KV cache."""
        if any(row.need is None for row in self.rows):
            return None
        least = {
            row.stage: row.share if row.share > 1 else share_for(row.need.least, self.card.usable_bytes)
            for row in self.rows
            if row.need
        }
        if place(least, self.cards) is None:
            return None
        cached = [row.stage for row in self.rows if row.need and row.need.kv_bytes_per_token]
        # PyTorch's limit does not count the context, which may come on top of a share.
        contexts = sum(row.need.context for row in self.rows if row.need and row.stage not in cached)
        rest = 1 - contexts / self.card.usable_bytes - sum(least.values())
        if self.cards == 1 and cached and rest > 0:
            least[cached[0]] += math.floor(rest / STEP) * STEP
        return {stage: round(share, 2) for stage, share in least.items()}

    def error(self) -> str | None:
        """One line that says which stages lack memory and which shares would fit; None if all fits."""
        if self.fits:
            return None
        if not self.placed:
            wrong = [unplaceable({row.stage: row.share for row in self.rows}, self.cards, self.card.name)]
        else:
            wrong = [f"{row.stage} {lack(row.need, row.given)}" for row in self.rows if row.need and not row.fits]
        return f"{'; '.join(wrong)}; {self._way_out()}."

    def _way_out(self) -> str:
        where = f"one {self.card.name}" if self.cards == 1 else f"{self.cards} {self.card.name}"
        if (shares := self.suggest()) is not None:
            return f"on {where} these num_gpus would fit: {_shares(shares)}"
        total = sum(row.need.least for row in self.rows if row.need)
        if unknown := [row.stage for row in self.rows if row.need is None]:
            return f"what would fit is unknown until the model of {', '.join(unknown)} is downloaded"
        has = self.card.usable_bytes * self.cards
        return f"no shares of {where} would fit: the stages need {gib(total)} GiB and it has {gib(has)} GiB"


def plan(args: StackArgs, card: Card, cards: int = 1) -> Plan:
    """Compute how a stack's stages fit on `cards` cards of one kind."""
    rows = []
    for stage, config in args.stages().items():
        if not on_card(config):
            continue
        needed = need(config, card=card)
        given = int(card.usable_bytes * min(config.num_gpus, 1))
        kv = 0
        if needed and needed.kv_bytes_per_token:
            asked = getattr(config, "kv_cache_gib", None)
            kv = int(asked * GIB) if asked else max(given - needed.fixed, 0)
        rows.append(Row(stage, getattr(config, "model", ""), config.num_gpus, given, needed, kv))
    shares = {row.stage: row.share for row in rows}
    return Plan(card, cards, tuple(rows), place(shares, cards) is not None)


def place(shares: Mapping[str, float], cards: int) -> list[list[str]] | None:
    """The stages on each card, with no card's shares over 1; None if that is impossible.

    A stage whose share is several whole cards is on each of them.
    """
    free = [1.0] * cards
    on: list[list[str]] = [[] for _ in range(cards)]

    def put(waiting: list[tuple[str, float]]) -> bool:
        if not waiting:
            return True
        (stage, share), *others = waiting
        if share > 1:
            empty = [i for i in range(cards) if not on[i]][: math.ceil(share)]
            for i in empty:
                free[i] = 0
                on[i].append(stage)
            return len(empty) >= share and put(others)  # the largest are placed first, so no other choice is better
        for i in range(cards):
            if free[i] + 1e-6 >= share:
                free[i] -= share
                on[i].append(stage)
                if put(others):
                    return True
                on[i].pop()
                free[i] += share
        return False

    return on if put(sorted(shares.items(), key=lambda item: -item[1])) else None


def unplaceable(shares: Mapping[str, float], cards: float, name: str = "GPU") -> str:
    """The clause of an error message that says why shares cannot be placed."""
    total = sum(shares.values())
    if total > cards + 1e-6:
        return f"the stages share {total:g} cards ({_shares(shares)}) and there is {cards:g} {name}"
    return f"the shares {_shares(shares)} cannot be placed on {cards:g} {name}: one stage's share lies on one card"


def _shares(shares: Mapping[str, float]) -> str:
    return ", ".join(f"{stage} {share:g}" for stage, share in shares.items())
