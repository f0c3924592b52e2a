"""Everything that Parle takes from Ray's private modules. No other file of `serve_app` imports one.

Read against Ray 2.60.0. Private modules change without notice, so on another version whatever is missing here becomes
one line that names the version to install. What is borrowed, and why no public API will do:

- `SERVE_NAMESPACE`: Ray must be started in the namespace in which Serve later looks for its controller.
- `start_serve`: `serve.start` takes the same options, but does not return the client that the next two need.
- `deploy`: starts the applications of a file as `serve deploy` does, without a dashboard to post it to.
- `status`: `serve.status` waits without a limit; a controller that hangs must not hang the server.
- `dead_processes`: when one of Ray's own processes dies, Ray logs it and its callers wait.
- `remember`, `remembered`: the key-value store of the cluster; the public API has none, and an actor would be one more
  process.
- `shutting_down`: Serve waits for the requests of a replica that it ends, and tells its code only afterwards.
- `agent_kept`: a raylet ends when its dashboard agent dies; Ray has no option for that.
- `driver_of`: `serve run` does not look at what became of its graph, so the worker that builds it must find it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from pathlib import Path
from typing import Any, ParamSpec, TypeVar, cast

import ray
from ray.serve.config import gRPCOptions
from ray.serve.schema import ServeDeploySchema

from serve_app.errors import StackError, first_line

READ_AGAINST = "2.60.0"

KEEPER = str(Path(__file__).with_name("agent_keeper.py"))
_OURS = b"parle"
"""Our namespace in the key-value store."""

P = ParamSpec("P")
T = TypeVar("T")


def _missing(error: Exception) -> Exception:
    """A readable error on another version of Ray; on the version that was read, the error itself."""
    if ray.__version__ == READ_AGAINST:
        return error
    return StackError(
        f"Parle was written against Ray {READ_AGAINST}; this is Ray {ray.__version__}, which lacks something it needs "
        f"({first_line(error)}): pip install 'ray[serve]=={READ_AGAINST}'"
    )


try:
    from ray._private import ray_constants, services, worker
    from ray._private.state import state
    from ray.experimental.internal_kv import _internal_kv_get, _internal_kv_put
    from ray.serve._private import api
    from ray.serve._private.application_state import StatusOverview
    from ray.serve._private.client import ServeControllerClient
    from ray.serve._private.common import DeploymentStatus
    from ray.serve._private.constants import SERVE_NAMESPACE
    from ray.serve.generated import serve_pb2
except ImportError as missing:
    raise _missing(missing) from missing

__all__ = [
    "SERVE_NAMESPACE",
    "DeploymentStatus",
    "ServeControllerClient",
    "StatusOverview",
    "agent_kept",
    "dead_processes",
    "deploy",
    "driver_of",
    "remember",
    "remembered",
    "shutting_down",
    "start_serve",
    "status",
]


def _borrowed(function: Callable[P, T]) -> Callable[P, T]:
    """Turn what another version of Ray lacks into one readable line."""

    @wraps(function)
    def call(*args: P.args, **kwargs: P.kwargs) -> T:
        try:
            return function(*args, **kwargs)
        except (ImportError, AttributeError, TypeError, KeyError) as error:
            raise _missing(error) from error

    return call


@_borrowed
def start_serve(schema: ServeDeploySchema) -> ServeControllerClient:
    """Start Serve's controller and proxy as the file says, or connect to those that run."""
    return api.serve_start(
        http_options=schema.http_options.model_dump(),
        proxy_location=schema.proxy_location,
        grpc_options=gRPCOptions(**schema.grpc_options.model_dump()),
        controller_options=schema.controller_options,
        global_logging_config=schema.logging_config,
        global_tracing_config=schema.tracing_config,
    )


@_borrowed
def deploy(client: ServeControllerClient, schema: ServeDeploySchema) -> None:
    """Ask the controller to deploy the file's applications; returns before they run."""
    client.deploy_apps(schema)


@_borrowed
def status(client: ServeControllerClient, application: str, timeout_s: float) -> StatusOverview:
    """The application and its deployments as the controller has them now.

    Raises:
        RayError: the controller is gone, restarting, or has not answered in time.
    """
    answer = ray.get(client._controller.get_serve_status.remote(application), timeout=timeout_s)
    proto = serve_pb2.StatusOverview  # pyright: ignore[reportAttributeAccessIssue] - generated without stubs
    return StatusOverview.from_proto(proto.FromString(answer))


@_borrowed
def dead_processes() -> list[str]:
    """Names of Ray's own processes ("raylet", "gcs_server" ...) that this process started and that have ended."""
    node = worker._global_node
    return [] if node is None else [name for name, _ in cast(list[tuple[str, Any]], node.dead_processes())]


@_borrowed
def shutting_down() -> bool:
    """Whether Serve is ending this replica; called inside one."""
    me = worker.global_worker
    return me.actors[me.actor_id]._replica_impl._shutting_down


@_borrowed
def driver_of(job_id: str) -> tuple[str, int] | None:
    """The IP address and process id of the driver of a job; None where no such job is known."""
    for job in state.job_table():
        if job["JobID"] == job_id:
            return job["DriverIPAddress"], job["DriverPid"]
    return None


@contextmanager
def agent_kept() -> Iterator[None]:
    """A node that is started in the block keeps its dashboard agent: see agent_keeper.py."""
    try:
        built = services._build_python_executable_command_memory_profileable
    except AttributeError as error:
        raise _missing(error) from error

    def build(component: str, *args: Any, **options: Any) -> list[str]:
        command = built(component, *args, **options)
        return [*command, KEEPER] if component == ray_constants.PROCESS_TYPE_DASHBOARD_AGENT else command

    services._build_python_executable_command_memory_profileable = build
    try:
        yield
    finally:
        services._build_python_executable_command_memory_profileable = built


@_borrowed
def remember(key: bytes, value: bytes) -> None:
    """Keep a small value for as long as the cluster lives, in place of an earlier one."""
    _internal_kv_put(key, value, overwrite=True, namespace=_OURS)


@_borrowed
def remembered(key: bytes) -> bytes | None:
    """The value kept last under that key; None where there is none."""
    return _internal_kv_get(key, namespace=_OURS)
