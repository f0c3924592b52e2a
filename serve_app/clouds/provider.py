"""The interface of a provider, and what goes in and comes out of it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol

from serve_app.clouds.api import Call
from serve_app.errors import CloudError

Action = Literal["create", "start", "stop", "status"]

PUBLIC_KEY = re.compile(r"(ssh-(ed25519|rsa|dss)|ecdsa-sha2-\S+|sk-\S+) \S+")


@dataclass(frozen=True, slots=True)
class Wanted:
    """A machine to rent: one card. `max_price` is in US dollars an hour."""

    gpu: str
    name: str
    disk_gb: int
    max_price: float | None = None
    image: str | None = None
    """None: the provider's default, see its file."""
    ssh_key: str | None = None
    """The text of a public key, for a provider that does not keep it in the account."""


@dataclass(frozen=True, slots=True)
class Offer:
    """A machine that can be rented. `price` is in US dollars an hour, including the disk."""

    id: str
    gpu: str
    price: float
    where: str


@dataclass(frozen=True, slots=True)
class Instance:
    """A rented machine. `status` is the provider's own word, `ssh` the command to log in where the provider tells."""

    id: str
    status: str
    running: bool
    ssh: str | None = None
    price: float | None = None


class Provider(Protocol):
    """One provider's API: the request for each action, and how to read the answer. Does no I/O and knows no token."""

    name: str
    url: str
    token_names: tuple[str, ...]
    """Environment variables that may hold the token; the first one set is used."""
    instance_names: tuple[str, ...]
    """Environment variables that may hold the instance's id."""
    needs_ssh_key: bool

    def search(self, wanted: Wanted) -> Call: ...

    def offers(self, answer: dict[str, Any], wanted: Wanted) -> list[Offer]:
        """The offers in the answer that fit, cheapest first."""
        ...

    def create(self, wanted: Wanted, offer: Offer) -> Call: ...

    def created(self, answer: dict[str, Any]) -> str:
        """The id of the new instance."""
        ...

    def gone(self, http_status: int) -> bool:
        """Whether a refusal of `create` means that somebody else has just rented the offer."""
        ...

    def start(self, instance_id: str) -> Call: ...

    def stop(self, instance_id: str) -> Call: ...

    def status(self, instance_id: str) -> Call: ...

    def instance(self, answer: dict[str, Any], instance_id: str) -> Instance: ...

    def check_id(self, instance_id: str) -> str:
        """The id, if it is safe to put into a URL.

        Raises:
            CloudError: it cannot be an id of this provider.
        """
        ...


def public_key(file: Path) -> str:
    """The SSH key to put on a new machine.

    Raises:
        CloudError: no such file, or not a public key. A private key is never sent.
    """
    try:
        text = file.expanduser().read_text("utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        why = getattr(error, "strerror", None) or "not text"
        raise CloudError(f"cannot read the SSH key {file}: {why}; make one with: ssh-keygen -t ed25519") from None
    if "PRIVATE KEY" in text:
        raise CloudError(f"{file} is a private key, which must not leave this machine; name the .pub file beside it.")
    if not PUBLIC_KEY.match(text) or "\n" in text:
        raise CloudError(f"{file} is not one public SSH key, a line such as 'ssh-ed25519 AAAA... you@home'.")
    return text
