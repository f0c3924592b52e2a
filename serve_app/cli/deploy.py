"""`parle deploy` and `parle status`: change a running server from a second shell, and see what it runs with."""

from __future__ import annotations

import time
from pathlib import Path

import click

from serve_app.errors import StackErrors

DASHBOARD = click.option(
    "-a",
    "--address",
    envvar="RAY_DASHBOARD_ADDRESS",
    show_envvar=True,
    default="http://127.0.0.1:8265",
    show_default=True,
    help="Ray's dashboard; `parle serve` prints its address.",
)
URL = click.option("--url", help="The server, if it is not reached where it listens.")
KEY = click.option("--key", envvar="PARLE_API_KEY", show_envvar=True, help="API key, where the server asks for one.")


@click.command("deploy")
@click.argument("file", type=click.Path(path_type=Path))
@DASHBOARD
@URL
@KEY
def deploy(file: Path, address: str, url: str | None, key: str | None) -> None:
    """Change a running server to the stack of FILE, without a stop where that is possible.

    The file is checked first: with an error in it nothing is sent. `user_config`, `num_replicas`
    and timings change in place; a change in `args` restarts the stages. Waits until all of it runs.
    Exit code: 0, or 1 with one line for each error or each deployment that keeps its old settings.

    \b
      parle deploy configs/cpu_stack.yaml
      parle deploy configs/cpu_stack.yaml -a http://127.0.0.1:8266
    """
    from serve_app.config import lint
    from serve_app.launch import dashboard, preflight

    stack = lint.read(file)
    preflight.check_settings(stack)
    begun = time.monotonic()
    ray = dashboard.Dashboard(address)
    ray.deploy(stack)
    ray.await_running(stack.application)
    refused = dashboard.refused_settings(url or ray.url(ray.serving(), stack.application), key)
    if refused:
        raise StackErrors([f"{name} keeps its old settings. {why}" for name, why in refused.items()])
    click.echo(f"{file}: deployed, and running after {time.monotonic() - begun:.1f} s")


@click.command("status")
@DASHBOARD
@URL
@KEY
def status(address: str, url: str | None, key: str | None) -> None:
    """Show what runs: the deployments, and which of them keep old settings because the new ones are wrong.

    `serve status` does not show the latter: for Serve such a deployment is healthy.
    Exit code: 0 if all of it runs with the settings it was given, else 1.

    \b
      parle status
      parle status -a http://127.0.0.1:8266
    """
    from serve_app.launch import dashboard, serve_status
    from serve_app.launch.ray_private import DeploymentStatus

    ray = dashboard.Dashboard(address)
    serving = ray.serving()
    faults: list[str] = []
    for name, application in serving.applications.items():
        here = url or ray.url(serving, name)
        click.echo(f"{name}: {application.status.value.lower().replace('_', ' ')} at {here}")
        for deployment, one in application.deployments.items():
            click.echo(f"  {deployment:15} {one.status.value.lower()}, replicas: {len(one.replicas)}")
            if one.message and one.status is not DeploymentStatus.HEALTHY:
                faults.append(f"{deployment}: {serve_status.reason(one.message)}")
        if application.status.value != "RUNNING":
            faults.append(f"{name}: {serve_status.reason(application.message)}")
            continue
        for deployment, why in dashboard.refused_settings(here, key).items():
            faults.append(f"{deployment} keeps its old settings. {why}")
    if not serving.applications:
        faults.append(f"nothing is served by the Ray of {address}.")
    if faults:
        raise StackErrors(faults)
