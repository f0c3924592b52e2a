"""A real HTTP server that speaks the hub's protocol, with a few models that open, refuse, break or stall."""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

COMMIT = "0123456789abcdef0123456789abcdef01234567"
FILES = {"config.json": b"{}", "model.safetensors": b"weights", "tf_model.h5": b"the same again"}


class Hub(ThreadingHTTPServer):
    """Serves `open/model` to all, `gated/model` in part, `broken/model` badly, `bad/token` to nobody.

    The files of `slow/model` begin and never end while the server lives.
    """

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.asked: list[str] = []
        self.closing = threading.Event()
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def close(self) -> None:
        self.closing.set()
        self.shutdown()
        self.server_close()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class _Handler(BaseHTTPRequestHandler):
    server: Hub  # type: ignore[reportIncompatibleVariableOverride]

    def do_GET(self) -> None:
        self.server.asked.append(self.path)
        path = self.path.partition("?")[0].removeprefix("/api/models").strip("/").split("/")
        repo, rest = "/".join(path[:2]), path[2:]
        if repo == "broken/model":
            self.answer(500, b"")
        elif repo == "bad/token":
            self.answer(401, b"", {"X-Error-Message": "Invalid credentials in Authorization header"})
        elif repo not in ("open/model", "gated/model", "slow/model"):
            self.answer(401, b"", {"X-Error-Code": "RepoNotFound"})
        elif rest[:1] == ["revision"] and rest[1] not in ("main", COMMIT):
            self.answer(404, b"", {"X-Error-Code": "RevisionNotFound"})
        elif rest[:1] == ["resolve"]:
            self.send_file(repo, rest[2])
        elif rest[:1] == ["tree"]:
            tree = [{"type": "file", "path": name, "size": len(FILES[name]), "oid": name} for name in FILES]
            self.answer(200, json.dumps(tree).encode())
        else:
            siblings = [{"rfilename": name} for name in FILES]
            self.answer(200, json.dumps({"id": repo, "sha": COMMIT, "siblings": siblings}).encode())

    def do_HEAD(self) -> None:
        self.do_GET()

    def send_file(self, repo: str, name: str) -> None:
        # As the real hub: a gated repository may be listed by all, only its files are closed.
        if repo == "gated/model":
            self.answer(401, b"", {"X-Error-Code": "GatedRepo"})
        else:
            if repo == "slow/model" and self.command == "GET":
                self.server.closing.wait()
            self.answer(200, FILES[name], {"ETag": f'"{name}"', "X-Repo-Commit": COMMIT})

    def answer(self, status: int, body: bytes, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **(headers or {})}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Keep the tests' output clean."""
