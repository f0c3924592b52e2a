"""What the store asks of the database, within a transaction that the caller has begun."""

from __future__ import annotations

import time
from typing import Any

from sqlalchemy import ColumnElement, Double, delete, func, literal, or_, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection

from serve_app.lesson.conversation import Conversation
from serve_app.lesson.kept import KeptConversation, KeptTurn, Position, resumed
from serve_app.store.rows import conversation_of, owner_of, row_of, turn_of
from serve_app.store.tables import conversations, leases, turns

LEASE_S = 10.0
"""How long a conversation stays with a process that is not heard of any more."""
_LATER = 40
"""Turns looked at beyond those that the conversation was saved with."""
_EXPIRED_AT_ONCE = 200


async def lease(
    connection: AsyncConnection, conversation_id: str, token: str, holder: str, dead: str = ""
) -> str | None:
    """Take the conversation for a turn of this process; None if it is taken now, else the process that has it.

    One that this process has may be taken: its own turns are kept apart by a lock. So may one of a process that is
    known to be `dead`.
    """
    wanted = {"conversation_id": conversation_id, "token": token, "holder": holder}
    given = insert(connection, leases).values(**wanted, ends=_now(connection) + LEASE_S)
    free = or_(leases.c.holder.in_([holder, dead]), leases.c.ends < _now(connection))
    changed = {name: given.excluded[name] for name in ("token", "holder", "ends")}
    statement = given.on_conflict_do_update(index_elements=["conversation_id"], set_=changed, where=free)
    if (await connection.execute(statement.returning(leases.c.token))).first() is not None:
        return None
    other = await connection.execute(select(leases.c.holder).where(leases.c.conversation_id == conversation_id))
    return other.scalar() or ""


async def release(connection: AsyncConnection, tokens: list[str]) -> None:
    await connection.execute(delete(leases).where(leases.c.token.in_(tokens)))


async def renew(connection: AsyncConnection, tokens: list[str]) -> None:
    """The leases of turns that still run hold on."""
    await connection.execute(update(leases).where(leases.c.token.in_(tokens)).values(ends=_now(connection) + LEASE_S))


async def load(connection: AsyncConnection, conversation_id: str) -> tuple[float, Conversation] | tuple[None, None]:
    """When a conversation began, and what its next turn needs of it."""
    found = await connection.execute(select(conversations).where(conversations.c.id == conversation_id))
    if (row := found.mappings().first()) is None:
        return None, None
    most = row["saved_exchanges"] + _LATER
    latest = select(turns).where(turns.c.conversation_id == conversation_id).order_by(turns.c.number.desc())
    rows = list((await connection.execute(latest.limit(most))).mappings())[::-1]
    before = [turn_of(one) for one in rows if one["number"] <= row["saved_turn"]]
    after = [turn_of(one) for one in rows if one["number"] > row["saved_turn"]]
    position = Position(row["saved_exchanges"], row["saved_tokens"])
    return row["created"], resumed(conversation_id, before, position, after)


async def change(connection: AsyncConnection, key: str, turn: KeptTurn) -> None:
    """Write a turn again. If it is gone, its conversation was deleted meanwhile."""
    await connection.execute(update(turns).where(turns.c.key == key).values(**row_of(turn)))


async def write(
    connection: AsyncConnection,
    conversation_id: str,
    stack: str,
    key: str,
    turn: KeptTurn,
    since: float | None,
    *,
    holder: str | None,
) -> None:
    """Write a turn for the first time, but not if its conversation was deleted meanwhile.

    That is so if there is none any more that began at `since`. Of a turn that found none, the lease of its process
    (`holder`, None where it could take none) tells: `forget` takes that, too.
    """
    now = time.time()
    # Either statement locks the row, so that turns of two processes cannot get the same number.
    if since is not None:
        same = (conversations.c.id == conversation_id) & (conversations.c.created == since)
        if (await connection.execute(update(conversations).where(same).values(seen=now))).rowcount == 0:
            return
    else:
        own = (leases.c.conversation_id == conversation_id) & (leases.c.holder == holder)
        if holder is not None and (await connection.execute(select(leases.c.token).where(own))).first() is None:
            return
        head = {"id": conversation_id, "owner": owner_of(conversation_id), "stack": stack[:500]}
        given = insert(connection, conversations).values(**head, created=turn.began, seen=now)
        await connection.execute(given.on_conflict_do_update(index_elements=["id"], set_={"seen": given.excluded.seen}))
    last = select(func.max(turns.c.number)).where(turns.c.conversation_id == conversation_id)
    number = ((await connection.execute(last)).scalar() or 0) + 1
    row = {"key": key, "conversation_id": conversation_id, "number": number, **row_of(turn)}
    inserted = insert(connection, turns).values(**row).on_conflict_do_nothing(index_elements=["key"])
    if (await connection.execute(inserted)).rowcount == 0:  # written by a try that was cut off before it was told so
        await change(connection, key, turn)


async def save(connection: AsyncConnection, key: str, after: Conversation) -> None:
    """Note what the conversation is after the turn with that key."""
    number = select(turns.c.number).where(turns.c.key == key).scalar_subquery()
    of_turn = select(turns.c.conversation_id).where(turns.c.key == key).scalar_subquery()
    await connection.execute(
        update(conversations)
        .where(conversations.c.id == of_turn)
        .values(saved_turn=number, saved_exchanges=len(after.exchanges), saved_tokens=after.tokens, seen=time.time())
    )


async def read(connection: AsyncConnection, conversation_id: str) -> KeptConversation | None:
    found = await connection.execute(select(conversations).where(conversations.c.id == conversation_id))
    if (row := found.mappings().first()) is None:
        return None
    all_turns = select(turns).where(turns.c.conversation_id == conversation_id).order_by(turns.c.number)
    return conversation_of(row, list((await connection.execute(all_turns)).mappings()))


async def forget(connection: AsyncConnection, conversation_id: str) -> bool:
    """Delete a conversation, and its lease: the turn that runs, wherever it does, has nothing to write any more.

    Returns whether there was one, or a turn with which one began.
    """
    gone = await connection.execute(delete(conversations).where(conversations.c.id == conversation_id))
    turn = await connection.execute(delete(leases).where(leases.c.conversation_id == conversation_id))
    return gone.rowcount + turn.rowcount > 0


async def expire(connection: AsyncConnection, keep_days: float) -> int:
    """Delete conversations that rested too long, some at a time; returns how many. Leases that ended go as well."""
    await connection.execute(delete(leases).where(leases.c.ends < _now(connection) - LEASE_S))
    old = conversations.c.seen < time.time() - keep_days * 86400
    some = select(conversations.c.id).where(old).limit(_EXPIRED_AT_ONCE)
    gone = await connection.execute(delete(conversations).where(conversations.c.id.in_(some)))
    return gone.rowcount


def _now(connection: AsyncConnection) -> ColumnElement[float]:
    """The time on the clock that all processes share: the database's own, or that of the machine with the file."""
    if connection.dialect.name == "postgresql":
        return func.extract("epoch", func.clock_timestamp()).cast(Double)
    return literal(time.time(), Double)


def insert(connection: AsyncConnection, table: Any) -> Any:
    """An insert with ON CONFLICT, which both databases have and SQL has not."""
    return (postgresql if connection.dialect.name == "postgresql" else sqlite).insert(table)
