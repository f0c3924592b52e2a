"""`parle key`: make an API key."""

from __future__ import annotations

import os
from pathlib import Path

import click

from serve_app.errors import StackError


@click.command("key")
@click.argument("name")
@click.option(
    "--file",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Add the key's line to this file, the `keys_file` of a stack; by default it is printed.",
)
def key(name: str, file: Path | None) -> None:
    """Make an API key for NAME (a school, a class, a learner) and print it, this once.

    The file keeps a hash of it only. A server reads the file again within a second or two: a line
    that is added lets somebody in, a line that is removed keeps them out. Two lines may have the
    same name, and then share their conversations: add the new key, hand it out, remove the old.

    \b
      parle key school --file keys.txt
      parle talk question.wav --key parle_...
    """
    from serve_app.access import keys

    secret, made = keys.make(name)
    if file is None:
        click.echo(f"key   {secret}\nline  {made.line}")
        return
    try:
        if file.exists():
            keys.read(file)  # refuses a file that holds something else
        with os.fdopen(os.open(file, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600), "w") as lines:
            lines.write(f"{made.line}\n")
    except OSError as error:
        raise StackError(f"{file} cannot be written: {error.strerror}.") from None
    click.echo(f"key   {secret}\nadded to {file}")
