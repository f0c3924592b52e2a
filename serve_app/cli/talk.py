"""`parle talk`: send a recording to a server and show the answer."""

from __future__ import annotations

import sys
from pathlib import Path
from urllib.parse import urlsplit

import click


def _level(context: click.Context, option: click.Parameter, value: str | None) -> str | None:
    from serve_app.protocols import LEVELS  # imports numpy: `parle --help` must not wait for that

    return None if value is None else click.Choice(LEVELS, case_sensitive=False).convert(value, option, context)


@click.command()
@click.argument("file", type=click.Path(exists=True, dir_okay=False, readable=True, path_type=Path))
@click.option("--url", default="http://127.0.0.1:8000", show_default=True, help="Address of the server.")
@click.option("--key", envvar="PARLE_API_KEY", show_envvar=True, help="API key, where the server asks for one.")
@click.option("--session", help="Continue this conversation.")
@click.option(
    "--level",
    metavar="A1..C2",
    callback=_level,
    help="The learner's CEFR level; by default the server estimates it.",
)
@click.option("--voice", help="The tutor's voice; GET /api/info lists those of the server.")
@click.option("--speed", type=click.FloatRange(0.5, 2.0), help="Speed of the tutor's speech, 0.5 to 2.")
@click.option(
    "--order",
    type=click.Choice(["eager", "documented"]),
    help="eager sends the first audio as soon as it exists (the default here); documented keeps the published order.",
)
@click.option("--save", type=click.Path(dir_okay=False, path_type=Path), help="Write the answer to this WAV file.")
@click.option("--play/--no-play", default=None, help="Play the answer; by default on a terminal that has a player.")
@click.option("--ws", is_flag=True, help="Use the WebSocket instead of SSE.")
def talk(
    file: Path,
    url: str,
    key: str | None,
    session: str | None,
    level: str | None,
    voice: str | None,
    speed: float | None,
    order: str | None,
    save: Path | None,
    play: bool | None,
    ws: bool,
) -> None:
    """Send the recording FILE to a server and show each event with its milliseconds since the upload ended.

    \b
      parle talk question.wav --save answer.wav
      parle talk question.webm --session ana --level A2 --ws
    """
    from serve_app import client

    if ws and order:
        raise click.UsageError("--order is for SSE; a WebSocket is always eager.")
    command = client.player()
    if play and command is None:
        raise click.UsageError(f"--play needs one of {', '.join(client.PLAYERS)} to be installed; use --save.")
    chosen = {"session_id": session, "level": level, "voice": voice, "speed": speed}
    fields = {name: str(value) for name, value in chosen.items() if value is not None}
    url = _server_url(url)
    headers = {"Authorization": f"Bearer {key}"} if key else None
    if ws:
        events = client.over_websocket(url, file, fields, headers)
    else:
        events = client.over_sse(url, file, {**fields, "order": order or "eager"}, headers)
    wavs = client.show(events)
    if not wavs:
        return
    answer = client.joined(wavs)
    if save:
        save.write_bytes(answer)
        click.echo(f"saved to {save}")
    if play or (play is None and command and not save and sys.stdout.isatty()):
        client.play(answer, command or [])


def _server_url(url: str) -> str:
    parts = urlsplit(url)
    try:
        if parts.scheme in ("http", "https") and parts.hostname and parts.port != 0:
            return url.rstrip("/")
    except ValueError:
        pass  # not a port number
    raise click.UsageError(f"--url must look like http://127.0.0.1:8000, not '{url}'.")
