"""What a client gets whose request is refused: Parle's own form, or OpenAI's on the routes of OpenAI's API."""

from __future__ import annotations

from typing import Any

from serve_app.errors import Busy, ParleError, Stopping

OPENAI_PREFIX = "/v1/"
_CODES = {"no_key": "invalid_api_key", "wrong_key": "invalid_api_key", "context_full": "context_length_exceeded"}
"""Ours, by the names that OpenAI's clients know."""


def refusal(error: ParleError, path: str) -> tuple[dict[str, Any], int, dict[str, str]]:
    """Body, status and headers of the answer to a request for `path`: the arguments of a JSONResponse."""
    headers = {"Retry-After": str(error.retry_after_s)} if error.retry_after_s else {}
    if path.startswith(OPENAI_PREFIX):
        return openai_body(error), openai_status(error), headers
    return {"code": error.code, "message": error.message}, error.status, headers


def openai_status(error: ParleError) -> int:
    """OpenAI's status for it: a full server is a rate limit there, and a wrong field a bad request."""
    if isinstance(error, Busy) and not isinstance(error, Stopping):
        return 429
    if error.code == "context_full" or error.status == 422:
        return 400
    return error.status


def openai_body(error: ParleError) -> dict[str, Any]:
    """`{"error": {"message", "type", "param", "code"}}`; also the last event of a stream that failed."""
    status = openai_status(error)
    kind = "rate_limit_error" if status == 429 else "server_error" if status >= 500 else "invalid_request_error"
    code = _CODES.get(error.code, error.code)
    return {"error": {"message": error.message, "type": kind, "param": error.param, "code": code}}
