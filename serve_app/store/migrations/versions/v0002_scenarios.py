"""Turns in which the tutor speaks unasked, and how far the conversation has got in its scenario."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("turns", sa.Column("kind", sa.String(16), nullable=False, server_default="turn"))
    op.add_column("turns", sa.Column("scenario", sa.JSON()))


def downgrade() -> None:
    op.drop_column("turns", "scenario")
    op.drop_column("turns", "kind")
