"""Where conversations are kept: in memory, in a SQLite file or in PostgreSQL, behind serve_app.lesson.kept."""
