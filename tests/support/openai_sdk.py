"""OpenAI's Python SDK, pointed at a server of ours."""

from __future__ import annotations

from typing import Any, Protocol

from openai import APIStatusError, OpenAI


class Answer(Protocol):
    """Of httpx, or of the copy of it that the SDK uses."""

    status_code: int

    def json(self) -> Any: ...


def sdk(url: str, key: str = "none-needed") -> OpenAI:
    """A client that tries once."""
    return OpenAI(base_url=f"{url}/v1", api_key=key, max_retries=0, timeout=60)


def fault(error: APIStatusError) -> tuple[int, str | None, str | None]:
    """Status, code and param of a refusal, whose body must have OpenAI's form."""
    checked(error.response)
    return error.status_code, error.code, error.param


def checked(answer: Answer) -> dict[str, Any]:
    """The `error` of an answer, with all its fields and no others."""
    body = answer.json()
    assert set(body) == {"error"}
    assert set(body["error"]) == {"message", "type", "param", "code"}
    assert len(body["error"]["message"]) > 10
    expected = "rate_limit_error" if answer.status_code == 429 else "invalid_request_error"
    assert body["error"]["type"] == ("server_error" if answer.status_code >= 500 else expected)
    return body["error"]
