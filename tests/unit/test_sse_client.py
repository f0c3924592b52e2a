"""`serve_app.client.over_sse` against a plain HTTP server: what it reads, and what it says of other servers."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from serve_app.client import TalkFailed, over_sse
from serve_app.package_data import data_file

GREETING = data_file("greeting.ogg")


@contextmanager
def answering(body: bytes, media_type: str = "text/event-stream") -> Iterator[str]:
    """A server that answers every POST in the same way; its URL."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(200)
            self.send_header("Content-Type", media_type)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


def test_events_are_read_with_audio_comments_and_any_line_end() -> None:
    status_event = b': hello\n\nevent: status\r\ndata: {"stage":"tts"}\r\n\r\n'
    audio_event = b'event:audio\ndata:{"chunk":"UklGRg==",\ndata:"index":0}\n\n'
    with answering(status_event + audio_event) as url:
        status, audio = over_sse(url, GREETING, {})
    assert (status.name, status.data, status.wav) == ("status", {"stage": "tts"}, b"")
    assert (audio.name, audio.data, audio.wav) == ("audio", {"index": 0}, b"RIFF")


def test_a_unicode_line_separator_does_not_end_a_line() -> None:
    body = 'event: delta\ndata: {"text":"Oi,\u2028tudo bem?"}\n\n'.encode()
    with answering(body) as url:
        [delta] = over_sse(url, GREETING, {})
    assert delta.data == {"text": "Oi,\u2028tudo bem?"}


@pytest.mark.parametrize(
    ("body", "media_type"), [(b"<html>", "text/html"), (b"event: status\ndata: no\n\n", "text/event-stream")]
)
def test_an_answer_that_is_not_parles_is_named_as_such(body: bytes, media_type: str) -> None:
    with answering(body, media_type) as url, pytest.raises(TalkFailed, match="does not answer as a Parle server does"):
        list(over_sse(url, GREETING, {}))
