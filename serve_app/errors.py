"""The errors that a person can act on, as exceptions.

Each has a stable `code`, a `message` that says what to do, the `stage` it happened in (if any) and the HTTP status
of a refusal. A client sees what `body()` returns, over HTTP, SSE and WebSocket alike, and nothing else.

    ParleError
    ├── StackError, StackErrors   the stack cannot start
    ├── BadAudio, TooLarge, TooSlow, InvalidField, NoSpeech   the client has to change something
    ├── Unauthorized              the client has to send an API key
    ├── Forbidden                 a web page, or a name, that may not use this server
    ├── NotFound                  there is no such conversation, or it is somebody else's
    ├── Busy, TooMany, Stopping   the client has to come back later
    ├── StoreUnavailable          kept conversations cannot be reached now
    ├── StageFailed, TurnTimeout  the turn failed; the next one may work
    └── CloudError                a provider of rented machines
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import Any


class ParleError(Exception):
    """Base class. Keeps all its fields when pickled between Ray processes."""

    code = "internal"
    status = 500

    def __init__(
        self,
        message: str,
        *,
        code: str | None = None,
        stage: str | None = None,
        status: int | None = None,
        retry_after_s: int | None = None,
        param: str | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.code = code or type(self).code
        self.stage = stage
        self.status = status or type(self).status
        self.retry_after_s = retry_after_s
        self.param = param
        """The field of the request that is wrong, on the routes that say so."""

    def __reduce__(self) -> tuple[Any, ...]:
        # By fields, not by calling the class again: a subclass may take other arguments.
        return _rebuild, (type(self), self.args, self.__dict__)

    def body(self) -> dict[str, str]:
        """The published JSON form: `code`, `message` and, inside a turn, `stage`."""
        body = {"code": self.code, "message": self.message}
        if self.stage:
            body["stage"] = self.stage
        return body


def _rebuild(kind: type[ParleError], args: tuple[Any, ...], fields: dict[str, Any]) -> ParleError:
    error = kind.__new__(kind, *args)
    error.__dict__.update(fields)
    return error


class StackError(ParleError):
    """The stack cannot run here: wrong YAML, a missing wheel, no GPU. Raised at start, never in a turn."""

    code = "stack"


class StackErrors(StackError):
    """Several reasons why the stack cannot run; `faults` has one line for each."""

    def __init__(self, faults: list[str]) -> None:
        super().__init__(faults[0] if len(faults) == 1 else f"{faults[0]} (and {len(faults) - 1} more)")
        self.faults = faults


class BadAudio(ParleError):
    """No recording, or one that cannot be decoded."""

    code = "bad_audio"
    status = 400


class TooLarge(ParleError):
    """The body or the recording is over the stack's limits."""

    code = "too_large"
    status = 413


class TooSlow(ParleError):
    """The recording did not arrive within the stack's limits."""

    code = "too_slow"
    status = 408


class InvalidField(ParleError):
    """A form field or a setting is unknown or has an invalid value."""

    code = "invalid_field"
    status = 422


class NoSpeech(ParleError):
    """The recording contains no speech; the learner should try again."""

    code = "no_speech"
    status = 400


class Unauthorized(ParleError):
    """No API key, or a wrong one, where the server asks for one."""

    code = "no_key"
    status = 401


class Forbidden(ParleError):
    """A web page of another origin asks, or somebody asks for a name that is not this server's."""

    code = "forbidden"
    status = 403


class NotFound(ParleError):
    """There is no such conversation, or it belongs to another key."""

    code = "no_conversation"
    status = 404


class StoreUnavailable(ParleError):
    """The database with the conversations cannot be reached."""

    code = "store_unavailable"
    status = 503

    def __init__(self) -> None:
        super().__init__("The kept conversations cannot be reached now; try again in a minute.", retry_after_s=30)


class Busy(ParleError):
    """The server is full; the client may try again after `retry_after_s`."""

    code = "busy"
    status = 503


class TooMany(Busy):
    """This client is over its share; others may be served."""

    code = "too_many"
    status = 429


class Stopping(Busy):
    """The machine is being stopped because it was idle; see docs/wire.md."""

    code = "stopping"


class StageFailed(ParleError):
    """A stage of the turn failed or its replica died; the next turn may work."""

    code = "stage_failed"
    status = 500


class TurnTimeout(ParleError):
    """The turn took longer than the stack's limit."""

    code = "turn_timeout"
    status = 504


class CloudError(ParleError):
    """A provider of rented machines refused a request or did not answer. Never contains a token."""

    code = "cloud"


SHOWN_CHARACTERS = 60


def shown(text: str) -> str:
    """Somebody else's text as a message may quote it: short, and without characters that cannot be shown or sent."""
    cut = text[:SHOWN_CHARACTERS] + ("..." if len(text) > SHOWN_CHARACTERS else "")
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in cut)


def unknown_voice(voice: str, voices: Iterable[str], stage: str | None = None) -> InvalidField:
    """The error for a voice that the stack does not have; lists those it has."""
    return InvalidField(f"There is no voice '{shown(voice)}' here; choose one of: {', '.join(voices)}.", stage=stage)


def first_line(error: BaseException) -> str:
    """The first line of an exception's message; its type if it has none."""
    return next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)


def did_you_mean(kind: str, name: str, known: Iterable[str], *, prefix: str = "") -> str:
    """The sentence that refuses an unknown name: the nearest known one, or all of them.

    `prefix` is put before all names in the sentence and takes no part in the comparison.
    """
    name = shown(name)  # it may be of any length, and the comparison takes the square of that
    names = list(known)
    near = difflib.get_close_matches(name, names, n=1, cutoff=0.5)
    hint = f"did you mean '{prefix}{near[0]}'?" if near else f"known: {', '.join(prefix + one for one in names)}."
    return f"unknown {kind} '{prefix}{name}'; {hint}"
