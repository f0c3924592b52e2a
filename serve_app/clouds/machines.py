"""One provider's machines: rent, start, stop and look, for `parle cloud` and the watchdog."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping

from serve_app.clouds.api import Api, Call, Refused, Retries
from serve_app.clouds.provider import Action, Instance, Offer, Provider, Wanted
from serve_app.clouds.tensordock import TensorDock
from serve_app.clouds.vast import Vast
from serve_app.errors import CloudError

PROVIDERS: dict[str, Provider] = {"tensordock": TensorDock(), "vast": Vast()}
URL = "PARLE_CLOUD_URL"
"""Another address of the provider's API: a proxy, or a test."""


class Taken(CloudError):
    """Somebody else has rented the offer; another may be free."""


class Machines:
    """The machines of one account at one provider."""

    def __init__(self, provider: Provider, api: Api) -> None:
        self.provider = provider
        self._api = api

    def offers(self, wanted: Wanted) -> list[Offer]:
        """Machines that can be rented now, cheapest first.

        Raises:
            CloudError: there is none, or no answer.
        """
        found = self.provider.offers(self._api.send(self.provider.search(wanted)), wanted)
        if not found:
            under = f" for at most ${wanted.max_price:g} an hour" if wanted.max_price is not None else ""
            raise CloudError(f"{self.provider.name} has no {wanted.gpu} with {wanted.disk_gb} GB of disk{under} now.")
        return found

    def create(self, wanted: Wanted, offer: Offer) -> str:
        """Rent an offer; returns the id of the new instance.

        Raises:
            Taken: somebody else has just rented it.
            CloudError: the provider refuses, or it is unknown whether it rented.
        """
        try:
            return self.provider.created(self._api.send(self.provider.create(wanted, offer)))
        except Refused as error:
            if self.provider.gone(error.http_status):
                raise Taken(f"somebody else has just taken it from {self.provider.name}; try again.") from None
            raise

    def start(self, instance_id: str) -> None:
        """Ask for a start; it takes minutes, or longer while somebody else uses the card.

        Raises:
            CloudError: refused, or no answer.
        """
        self._api.send(self.provider.start(self.provider.check_id(instance_id)))

    def stop(self, instance_id: str) -> None:
        """Ask for a stop; the disk is kept and still costs money.

        Raises:
            CloudError: refused, or no answer.
        """
        self._api.send(self.provider.stop(self.provider.check_id(instance_id)))

    def status(self, instance_id: str) -> Instance:
        """The instance's present state.

        Raises:
            CloudError: there is none, or no answer.
        """
        answer = self._api.send(self.provider.status(self.provider.check_id(instance_id)))
        return self.provider.instance(answer, instance_id)


def connect(
    name: str,
    environment: Mapping[str, str] = os.environ,
    *,
    retries: Retries | None = None,
    sleep: Callable[[float], object] = time.sleep,
) -> Machines:
    """Machines of a provider, with the token from the environment.

    Raises:
        CloudError: there is no token.
    """
    provider = PROVIDERS[name]
    token_name, token = _first(provider.token_names, environment)
    if not token:
        raise CloudError(f"{provider.token_names[0]} is not set: the API token of your {provider.name} account.")
    url = environment.get(URL) or provider.url
    return Machines(provider, Api(provider.name, url, token, token_name, retries=retries, sleep=sleep))


def instance_id(name: str, given: str | None, environment: Mapping[str, str] = os.environ) -> str:
    """The instance given on the command line or in the environment.

    Raises:
        CloudError: none is given, or it cannot be an id of this provider.
    """
    provider = PROVIDERS[name]
    found = given or _first(provider.instance_names, environment)[1]
    if not found:
        raise CloudError(f"which instance? Set {provider.instance_names[0]}, or give --instance ID.")
    return provider.check_id(found)


def _first(names: tuple[str, ...], environment: Mapping[str, str]) -> tuple[str, str]:
    """The first variable that is set and its value, without the line break that a file may end with."""
    values = ((name, environment.get(name, "").strip()) for name in names)
    return next(((name, value) for name, value in values if value), (names[0], ""))


def planned(provider: Provider, action: Action, wanted: Wanted | None, instance: str) -> list[Call]:
    """The requests of an action, in order, for a dry run; `<...>` stands for what only an answer would tell."""
    match action:
        case "create":
            assert wanted is not None
            offer = Offer("<cheapest>", f"<{wanted.gpu}>", 0.0, "")
            return [provider.search(wanted), provider.create(wanted, offer)]
        case "start":
            return [provider.start(instance)]
        case "stop":
            return [provider.stop(instance)]
        case "status":
            return [provider.status(instance)]
