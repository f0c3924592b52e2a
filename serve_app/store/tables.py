"""The tables. A change here needs a migration in migrations/versions; a test compares the two.

Times are seconds since 1970.
"""

from __future__ import annotations

from sqlalchemy import JSON, Column, Double, ForeignKey, Integer, MetaData, String, Table, Text, UniqueConstraint

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "pk": "pk_%(table_name)s",
    }
)

conversations = Table(
    "conversations",
    metadata,
    Column("id", String(200), primary_key=True),  # OWNER/SESSION, or SESSION where no key is needed
    Column("owner", String(64), nullable=False, index=True),
    Column("stack", String(500), nullable=False),
    Column("created", Double, nullable=False),
    Column("seen", Double, nullable=False, index=True),
    # As the conversation was saved last: up to which turn, how many exchanges of it are in the prompt, its tokens.
    Column("saved_turn", Integer, nullable=False, default=0),
    Column("saved_exchanges", Integer, nullable=False, default=0),
    Column("saved_tokens", Integer, nullable=False, default=0),
)

turns = Table(
    "turns",
    metadata,
    Column("key", String(32), primary_key=True),
    Column("conversation_id", ForeignKey("conversations.id", ondelete="CASCADE"), nullable=False),
    Column("number", Integer, nullable=False),
    Column("turn_id", String(100), nullable=False),
    Column("began", Double, nullable=False),
    Column("ended", Double),
    Column("state", String(16), nullable=False),
    Column("error", String(64)),
    Column("transcript", Text, nullable=False),
    Column("words", JSON, nullable=False),
    Column("language", String(16)),
    Column("level", String(8)),
    Column("estimate", JSON),
    Column("correction", JSON),
    Column("reply", Text, nullable=False),
    Column("timing", JSON),
    Column("kind", String(16), nullable=False, server_default="turn"),
    Column("scenario", JSON),
    UniqueConstraint("conversation_id", "number"),
)

leases = Table(
    "leases",
    metadata,
    Column("conversation_id", String(200), primary_key=True),  # of one that need not exist yet
    Column("token", String(32), nullable=False),  # of the turn that runs
    Column("holder", String(200), nullable=False),  # its process
    Column("ends", Double, nullable=False),
)

learners = Table(
    "learners",
    metadata,
    Column("id", String(200), primary_key=True),  # OWNER/LEARNER, or LEARNER where no key is needed
    Column("owner", String(64), nullable=False, index=True),
    Column("created", Double, nullable=False),
    Column("seen", Double, nullable=False, index=True),
    Column("version", Integer, nullable=False),
    Column("data", JSON, nullable=False),  # serve_app.learner.model.Learner
)
