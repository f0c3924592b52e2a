"""A real HTTP server that implements the hub's protocol, with models that are open, gated, broken or slow."""

from __future__ import annotations

import json
import shutil
import threading
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import BytesIO
from pathlib import Path

COMMIT = "0123456789abcdef0123456789abcdef01234567"
FILES = {"config.json": b"{}", "model.safetensors": b"weights", "tf_model.h5": b"the same again"}
GGUF_FILES = {"tutor-Q4_0.gguf": b"GGUF, small", "tutor-Q8_0.gguf": b"GGUF, large", "large/tutor-BF16.gguf": b"GGUF"}

Files = Mapping[str, bytes | Path]
"""By path in the repository: the content, or a file of this machine that has it."""


class Hub(ThreadingHTTPServer):
    """Serves `open/model` and `gguf/model`; of `gated/model` only the list of files; for `broken/model` status 500.

    For `bad/token` it refuses the token. A download from `slow/model` does not end while the server runs.
    `more` are further open repositories.
    """

    daemon_threads = True

    def __init__(self, more: Mapping[str, Files] | None = None) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        same: dict[str, Files] = dict.fromkeys(("open/model", "gated/model", "slow/model"), FILES)
        self.repositories: dict[str, Files] = {**same, "gguf/model": GGUF_FILES, **(more or {})}
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
        elif repo not in self.server.repositories:
            self.answer(401, b"", {"X-Error-Code": "RepoNotFound"})
        elif rest[:1] in (["revision"], ["resolve"], ["tree"]) and rest[1] not in ("main", COMMIT):
            self.answer(404, b"", {"X-Error-Code": "RevisionNotFound"})
        elif rest[:1] == ["resolve"]:
            self.send_file(repo, "/".join(rest[2:]))
        else:
            files = self.server.repositories[repo]
            tree = [{"type": "file", "path": name, "size": _size(files[name]), "oid": name} for name in files]
            siblings = [{"rfilename": name} for name in files]
            listed = tree if rest[:1] == ["tree"] else {"id": repo, "sha": COMMIT, "siblings": siblings}
            self.answer(200, json.dumps(listed).encode())

    def do_HEAD(self) -> None:
        self.do_GET()

    def send_file(self, repo: str, name: str) -> None:
        files = self.server.repositories[repo]
        # As on the real hub: everybody may list a gated repository, only its files are refused.
        if repo == "gated/model":
            self.answer(401, b"", {"X-Error-Code": "GatedRepo"})
        elif name not in files:
            self.answer(404, b"", {"X-Error-Code": "EntryNotFound"})
        else:
            if repo == "slow/model" and self.command == "GET":
                self.server.closing.wait()
            self.answer(200, files[name], {"ETag": f'"{name.replace("/", "-")}"', "X-Repo-Commit": COMMIT})

    def answer(self, status: int, body: bytes | Path, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in {"Content-Length": str(_size(body)), **(headers or {})}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command == "GET":
            with body.open("rb") if isinstance(body, Path) else BytesIO(body) as content:
                shutil.copyfileobj(content, self.wfile)

    def log_message(self, format: str, *args: object) -> None:
        """Keep the tests' output clean."""


def _size(body: bytes | Path) -> int:
    return body.stat().st_size if isinstance(body, Path) else len(body)
