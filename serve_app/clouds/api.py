"""HTTP client for a provider: retries, validates answers, never logs the token.

The retry loop is written out because each way to give up has a message of its own; with a library it is no shorter.
"""

from __future__ import annotations

import json
import random
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from ipaddress import ip_address
from typing import Any, NoReturn, TypeVar
from urllib.parse import urlsplit

import httpx
from pydantic import BaseModel, ValidationError

from serve_app import __version__
from serve_app.errors import CloudError

Model = TypeVar("Model", bound=BaseModel)

TOO_MANY_REQUESTS = 429
LONGEST_EXPLANATION = 300
TOKEN = re.compile(r"[\x21-\x7e]+")
"""Characters an HTTP header can carry. httpx would quote the whole header when it refuses one."""


@dataclass(frozen=True, slots=True)
class Call:
    """One request. `repeatable`: sending it twice does no harm, as with a stop, but not with renting."""

    method: str
    path: str
    body: dict[str, Any] | None = None
    repeatable: bool = True

    def __str__(self) -> str:
        return f"{self.method} {self.path}"


@dataclass(frozen=True, slots=True)
class Retries:
    """How often and how long to try. Waits double from `first_wait_s`; each is a random part, half or more, of that."""

    attempts: int = 5
    first_wait_s: float = 1.0
    longest_wait_s: float = 60.0
    """Also the longest Retry-After that is obeyed; a longer one ends the attempts."""
    timeout_s: float = 20.0
    """To connect, and between two parts of an answer."""


class Refused(CloudError):
    """The provider refused the request; sending it again will not help. `http_status` is the provider's."""

    def __init__(self, message: str, http_status: int) -> None:
        super().__init__(message)
        self.http_status = http_status


class _Unanswered(Exception):
    """This attempt failed; another may succeed. `sent`: the provider may have done what was asked."""

    def __init__(self, why: str, *, sent: bool = True, retry_after_s: float | None = None) -> None:
        super().__init__(why)
        self.sent = sent
        self.retry_after_s = retry_after_s


class Api:
    """Sends requests to one provider, with one token."""

    def __init__(
        self,
        name: str,
        url: str,
        token: str,
        token_name: str,
        *,
        retries: Retries | None = None,
        sleep: Callable[[float], object] = time.sleep,
    ) -> None:
        """`token_name` is the variable that held the token, to name it where the token is refused.

        Raises:
            CloudError: the token fits into no HTTP header, or the address is not encrypted.
        """
        if not TOKEN.fullmatch(token):
            raise CloudError(
                f"{token_name} holds a space, a line break or a character that no token has; set it again."
            )
        self.name = name
        self.url = check_url(url)
        self._token = token
        self._token_name = token_name
        self._retries = retries or Retries()
        self._sleep = sleep
        headers = {
            "Authorization": f"Bearer {token}",
            "Accept": "application/json",
            "User-Agent": f"parle/{__version__}",
        }
        # Redirects are not followed: the token is for this address only.
        self._client = httpx.Client(base_url=self.url, headers=headers, timeout=self._retries.timeout_s)

    def send(self, call: Call) -> dict[str, Any]:
        """Send a request; returns the answer, a JSON object, which is empty where the answer has no body.

        Raises:
            Refused: the provider refuses.
            CloudError: no answer, after all attempts.
        """
        retries = self._retries
        for attempt in range(1, retries.attempts + 1):
            try:
                return self._attempt(call)
            except _Unanswered as error:
                if error.sent and not call.repeatable:
                    self._fail(f"{error}. It may have done so all the same: look at its console before trying again.")
                if error.retry_after_s is not None and error.retry_after_s > retries.longest_wait_s:
                    self._fail(f"{error} and asks to wait {error.retry_after_s:.0f} s; try again then.")
                if attempt == retries.attempts:
                    self._fail(f"{error}; gave up after {attempt} attempts at {call}.")
                self._sleep(self._wait_s(attempt, error.retry_after_s))
        raise AssertionError("at least one attempt is made")

    def _wait_s(self, attempt: int, retry_after_s: float | None) -> float:
        retries = self._retries
        wait = min(retries.first_wait_s * 2 ** (attempt - 1), retries.longest_wait_s)
        return max(random.uniform(wait / 2, wait), retry_after_s or 0.0)

    def _attempt(self, call: Call) -> dict[str, Any]:
        try:
            answer = self._client.request(call.method, call.path, json=call.body)
        except (httpx.ConnectError, httpx.ConnectTimeout) as error:
            why = str(error) or type(error).__name__
            raise _Unanswered(f"cannot be reached at {self.url} ({why})", sent=False) from None
        except httpx.TimeoutException:
            raise _Unanswered(f"gave no answer to {call} within {self._retries.timeout_s:g} s", sent=True) from None
        except httpx.HTTPError as error:
            why = str(error) or type(error).__name__
            raise _Unanswered(f"broke off {call} ({why})", sent=True) from None
        if answer.status_code == TOO_MANY_REQUESTS:
            wait = retry_after(answer.headers)
            raise _Unanswered("gets too many requests (HTTP 429)", sent=False, retry_after_s=wait)
        if answer.status_code >= 500 or answer.status_code == 408:
            wait = retry_after(answer.headers)
            why = f"failed at {call} (HTTP {answer.status_code}{_because(answer)})"
            raise _Unanswered(why, sent=True, retry_after_s=wait)
        if not answer.is_success:
            self._refused(call, answer.status_code, _because(answer))
        return self._object(call, answer)

    def _object(self, call: Call, answer: httpx.Response) -> dict[str, Any]:
        if not answer.content.strip():
            return {}
        try:
            body = json.loads(answer.content)
        except ValueError:
            body = None
        if not isinstance(body, dict):
            raise _Unanswered(f"answered {call} with something else than a JSON object", sent=True)
        if body.get("success") is False or (body.get("error") and "data" not in body):
            # Both providers also refuse with HTTP 200.
            self._refused(call, answer.status_code, _because(answer))
        return body

    def _refused(self, call: Call, status: int, because: str) -> NoReturn:
        advice = f"; is {self._token_name} right?" if status in (401, 403) else ""
        message = self._clean(f"{self.name} refuses {call} (HTTP {status}{because}){advice}")
        raise Refused(message, status) from None

    def _fail(self, why: str) -> NoReturn:
        raise CloudError(self._clean(f"{self.name} {why}")) from None

    def _clean(self, message: str) -> str:
        """The message without the token: a provider may quote what it was sent."""
        return message.replace(self._token, "***")


def read(kind: type[Model], answer: Mapping[str, Any], name: str) -> Model:
    """Validate a provider's answer against its published form.

    Raises:
        CloudError: it has another form; names the field but not its value, which may be a key.
    """
    try:
        return kind.model_validate(answer)
    except ValidationError as error:
        fault = error.errors(include_input=False, include_url=False)[0]
        where = ".".join(str(part) for part in fault["loc"])
        raise CloudError(f"{name} answers in another form than its API pages say: {where}: {fault['msg']}.") from None


def check_url(url: str) -> str:
    """The address of an API without a trailing slash.

    Raises:
        CloudError: it is no URL, or its traffic is not encrypted and leaves this machine.
    """
    parts = urlsplit(url)
    if parts.scheme == "https" and parts.hostname:
        return url.rstrip("/")
    if parts.scheme == "http" and _is_loopback(parts.hostname or ""):
        return url.rstrip("/")
    raise CloudError(f"'{url}' cannot be a provider's API: https:// is needed, or http:// to this machine.")


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds to wait by a Retry-After header, in either of its two forms (RFC 9110, 10.2.3)."""
    value = headers.get("Retry-After", "").strip()
    if value.isdecimal():
        return float(value)
    try:
        when = parsedate_to_datetime(value)
    except ValueError:
        return None
    if when.tzinfo is None:
        when = when.replace(tzinfo=UTC)
    return max(0.0, (when - datetime.now(UTC)).total_seconds())


def _because(answer: httpx.Response) -> str:
    """The provider's explanation as ": ..."; empty where it is a page of HTML.

    Vast.ai documents `msg` (or `message`, or `error`, or plain text). TensorDock documents no form; `error`,
    `message` and JSON:API's `errors[].detail` are what its clients read.
    """
    text = answer.text.strip()
    try:
        body = json.loads(text)
    except ValueError:
        body = None
    if isinstance(body, dict):
        errors = body.get("errors")
        nested = errors[0] if isinstance(errors, list) and errors and isinstance(errors[0], dict) else {}
        texts = [body.get(key) for key in ("msg", "message", "detail", "error")]
        found = [value for value in (*texts, nested.get("detail"), nested.get("title")) if isinstance(value, str)]
        text = found[0] if found else ""
    elif text.startswith("<"):
        text = ""
    line = " ".join(text.split())[:LONGEST_EXPLANATION]
    return f": {line}" if line else ""
