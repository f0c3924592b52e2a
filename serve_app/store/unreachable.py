"""The line for a start that fails because of its store."""

from __future__ import annotations

from serve_app.config.store import StoreAddress
from serve_app.errors import StackError, first_line


def unreachable(address: StoreAddress, error: BaseException) -> StackError:
    """What happened, and what to do. Has no secret of the address in it."""
    cause = getattr(error, "orig", None) or error
    cause = getattr(cause, "__cause__", None) or cause
    why = type(cause).__name__
    if address.kind == "sqlite":
        return StackError(
            f"Conversations cannot be kept in the {address} ({why}: {first_line(cause)}): make it writable, name "
            "another with PARLE_STORE_URL=sqlite:///FILE, or keep them only while the server runs: "
            "PARLE_STORE_URL=memory."
        )
    return StackError(
        f"The {address} cannot be used ({why}): start it, or correct args.store.url or PARLE_STORE_URL; "
        "PARLE_STORE_URL=memory keeps conversations only while the server runs."
    )
