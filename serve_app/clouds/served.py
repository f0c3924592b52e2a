"""Auto-stop for `parle serve --stop-after`: the watchdog with the real server and the real machine."""

from __future__ import annotations

import math
import os
import signal
import threading
from collections.abc import Mapping
from typing import Any

import httpx
from pydantic import BaseModel, ValidationError
from ray import serve
from ray.exceptions import RayError
from ray.serve.exceptions import RayServeException
from ray.serve.handle import DeploymentHandle

from serve_app.access.tokens import own_headers
from serve_app.clouds import machines
from serve_app.clouds.api import Refused
from serve_app.clouds.autostop import Activity, Machine, Say, Times, Unknown, Watchdog
from serve_app.clouds.machines import Machines
from serve_app.errors import CloudError, StackError

ANSWER_S = 10.0
INGRESS = "Ingress"
DRY_RUN = "dry-run"
"""The choice of --cloud that stops nothing."""
SHORTEST_MIN = 0.1
LONGEST_WARNING_S = 60.0


class _Activity(BaseModel):
    turns: int
    sessions: int
    idle_s: float


class _Info(BaseModel):
    activity: _Activity


def activity_of(url: str) -> Activity:
    """A server's activity, from /api/info.

    Raises:
        Unknown: it does not answer, or its answer cannot be read.
    """
    try:
        answer = httpx.get(f"{url}/api/info", headers=own_headers(), timeout=ANSWER_S, verify=False).raise_for_status()
        said = _Info.model_validate_json(answer.content).activity
    except (httpx.HTTPError, ValidationError) as error:
        raise Unknown(type(error).__name__) from None
    return Activity(said.turns, said.sessions, said.idle_s)


class ServedHere:
    """The server of this process: read over its public HTTP API, controlled through Ray, which only this process can.

    There is one ingress replica (`prepare` ensures it), so it knows every client.
    """

    def __init__(self, url: str, application: str) -> None:
        self._url = url
        self._application = application
        self._handle: DeploymentHandle[Any] | None = None

    def activity(self) -> Activity:
        return activity_of(self._url)

    def warn(self, in_s: float) -> None:
        self._call("warn_of_stop", in_s)

    def close(self) -> bool:
        return bool(self._call("close_for_stop"))

    def reopen(self) -> None:
        self._call("reopen")

    def _call(self, method: str, *args: Any) -> Any:
        try:
            if self._handle is None:
                self._handle = serve.get_deployment_handle(INGRESS, self._application)
            return getattr(self._handle, method).remote(*args).result(timeout_s=ANSWER_S)
        except (RayError, RayServeException, TimeoutError) as error:
            raise Unknown(type(error).__name__) from None


class RentedMachine:
    """The machine this process runs on."""

    def __init__(self, rented: Machines, instance_id: str) -> None:
        self._machines = rented
        self._id = instance_id

    def __str__(self) -> str:
        return f"{self._machines.provider.name} instance {self._id}"

    def stop(self) -> None:
        self._machines.stop(self._id)

    def running(self) -> bool:
        return self._machines.status(self._id).running


class ServedDryRun(ServedHere):
    """The same server in a dry run: clients are neither warned nor refused."""

    def warn(self, in_s: float) -> None:
        pass

    def close(self) -> bool:
        return True

    def reopen(self) -> None:
        pass


class NoMachine:
    """In a dry run: a stop is reported and not sent."""

    def __str__(self) -> str:
        return "nothing: a dry run"

    def stop(self) -> None:
        raise CloudError("dry run: here the provider would be asked to stop this machine.")

    def running(self) -> bool:
        return True


class AutoStop:
    """The auto-stop asked for on the command line, already checked; `begin` runs it once the server is ready."""

    def __init__(self, machine: Machine, times: Times, server: type[ServedHere] = ServedHere) -> None:
        self._machine = machine
        self._times = times
        self._server = server

    def __str__(self) -> str:
        return f"{self._times.idle_s / 60:g} min without client activity stop {self._machine}"

    def begin(self, url: str, application: str, say: Say, over: threading.Event) -> None:
        """Watch the server in a thread until `over`. When the machine stops, this process ends as after Ctrl-C."""
        server = self._server(url, application)
        watchdog = Watchdog(server, self._machine, self._times, say, stopped=_end, over=over)
        threading.Thread(target=watchdog.run, name="auto-stop", daemon=True).start()


def _end() -> None:
    os.kill(os.getpid(), signal.SIGTERM)


def prepare(
    minutes: float,
    cloud: str | None,
    address: str | None,
    environment: Mapping[str, str] = os.environ,
    *,
    several: bool = False,
) -> AutoStop:
    """Check everything that a stop will need now, while the user is still watching. `several`: of the Ingress.

    Raises:
        StackError: the machine cannot be stopped from here.
        CloudError: no token, no instance, or the provider does not know them.
    """
    if not (math.isfinite(minutes) and minutes >= SHORTEST_MIN):
        raise StackError(f"--stop-after takes minutes, {SHORTEST_MIN} or more.")
    if address is not None:
        raise StackError("--stop-after stops the machine that it runs on; with --address the server runs elsewhere.")
    if several:
        raise StackError("--stop-after needs one Ingress, which knows of every client; this stack may have several.")
    idle_s = minutes * 60
    times = Times(idle_s, warning_s=min(LONGEST_WARNING_S, idle_s / 2))
    if cloud == DRY_RUN:
        return AutoStop(NoMachine(), times, ServedDryRun)
    name = cloud or _this_cloud(environment)
    rented = machines.connect(name, environment)
    instance_id = machines.instance_id(name, None, environment)
    _check_answers(rented, instance_id)
    return AutoStop(RentedMachine(rented, instance_id), times)


def _this_cloud(environment: Mapping[str, str]) -> str:
    named = [
        name
        for name, provider in machines.PROVIDERS.items()
        if any(environment.get(variable) for variable in provider.instance_names)
    ]
    if len(named) == 1:
        return named[0]
    variables = " or ".join(provider.instance_names[0] for provider in machines.PROVIDERS.values())
    raise StackError(f"--stop-after: which provider's machine is this? Set {variables}, or give --cloud.")


def _check_answers(rented: Machines, instance_id: str) -> None:
    """Find a wrong token or instance at the start, not at the first stop.

    A key that may start and stop but not read (HTTP 403) is enough, and a provider that is down for the moment does not
    keep the server from starting.
    """
    try:
        rented.status(instance_id)
    except Refused as error:
        if error.http_status != 403:
            raise
    except CloudError:
        return
