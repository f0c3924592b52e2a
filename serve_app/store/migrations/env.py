"""Run by Alembic for each command: the migrations go over the connection that serve_app.store.migrate has opened."""

from __future__ import annotations

from alembic import context

from serve_app.store.tables import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    render_as_batch=True,  # SQLite changes a table by copying it
)
context.run_migrations()
