"""Whether Ray's HTTP proxy answers, for the terminal: Serve's status says nothing of a proxy that has died."""

from __future__ import annotations

from collections.abc import Callable

import httpx

ANSWER_S = 5.0
"""A proxy that is only busy answers sooner."""
PROXY_HEALTH = "/-/healthz"
GONE = "the HTTP proxy does not answer, so nobody reaches the server; Ray starts another one"
BACK = "the HTTP proxy answers again"


class FrontDoor:
    """Looks at the proxy and says when it is gone and when it is back."""

    def __init__(self, url: str, say: Callable[[str], None]) -> None:
        """`url` is that of the server, without a path."""
        self._url = f"{url}{PROXY_HEALTH}"
        self._say = say
        self._answered = True

    def look(self) -> None:
        answers = self._answers()
        if answers is not self._answered:
            self._answered = answers
            self._say(BACK if answers else GONE)

    def _answers(self) -> bool:
        try:
            return httpx.get(self._url, timeout=ANSWER_S, verify=False).status_code < 500
        except httpx.HTTPError:
            return False
