"""Signed tokens that stand for a key for some hours: for browsers, which should not keep the key, and for Parle itself.

A token names its key and a piece of the key's hash, so it ends with the key. It is signed with a secret that `parle
serve` makes at every start, unless PARLE_TOKEN_SECRET has one; several ingress replicas need the same.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Mapping, MutableMapping

from itsdangerous import BadData, URLSafeTimedSerializer

from serve_app.access.keys import Key, Keys

SECRET_VARIABLE = "PARLE_TOKEN_SECRET"
TOKEN_S = 12 * 3600
"""How long a token holds. A page that is in use gets a new one before that."""
OWN = Key("parle", "")
"""Stands for `parle serve` itself: it asks its own server how busy it is, and warms it up."""
_MARK = 16
"""Characters of the key's hash that a token holds."""


class Tokens:
    """Issues and checks tokens for the keys of one server."""

    def __init__(self, keys: Keys, secret: str) -> None:
        self._keys = keys
        self._signer = URLSafeTimedSerializer(secret, salt="parle token")

    def issue(self, key: Key) -> str:
        """A token of letters, digits and `-_.` only, which fits into a header."""
        return str(self._signer.dumps([key.name, key.digest[:_MARK]]))

    def find(self, token: str) -> Key | None:
        """The key that a token stands for, None if it is forged or too old, or if its key is gone."""
        try:
            name, mark = self._signer.loads(token, max_age=TOKEN_S)
        except (BadData, ValueError, TypeError):
            return None
        known = (OWN, *self._keys.known())
        return next((key for key in known if (key.name, key.digest[:_MARK]) == (name, mark)), None)


def secret_in(environment: Mapping[str, str] = os.environ) -> str:
    """The secret that tokens are signed with; without one in the environment, one that only this process has."""
    return environment.get(SECRET_VARIABLE) or secrets.token_urlsafe(32)


def share_secret(environment: MutableMapping[str, str] = os.environ) -> None:
    """Make a secret, for this process and those that it starts, unless there is one."""
    if not environment.get(SECRET_VARIABLE):
        environment[SECRET_VARIABLE] = secrets.token_urlsafe(32)


def own_headers(environment: Mapping[str, str] = os.environ) -> dict[str, str]:
    """What Parle sends to its own server: a token of its own, which a server without keys ignores."""
    if not (secret := environment.get(SECRET_VARIABLE)):
        return {}
    return {"Authorization": f"Bearer {Tokens(Keys(None, {}), secret).issue(OWN)}"}
