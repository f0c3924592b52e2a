"""`parle cloud`: rent, start, stop or look at a machine."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import click

from serve_app.errors import CloudError

if TYPE_CHECKING:
    from serve_app.clouds.api import Call
    from serve_app.clouds.machines import Machines
    from serve_app.clouds.provider import Wanted

# httpx and pydantic are imported where they are used: `parle --help` must not wait for them.

NAMES = ("tensordock", "vast")
CARDS = ("RTX 3090", "RTX 4090")
"""The cards that the shares in `configs/local_stack.yaml` are meant for."""


def _provider(command: Callable[..., Any]) -> Callable[..., Any]:
    return click.option("--provider", type=click.Choice(NAMES), required=True, help="The machine's provider.")(command)


def _instance(command: Callable[..., Any]) -> Callable[..., Any]:
    return click.option(
        "--instance", metavar="ID", help="By default TENSORDOCK_INSTANCE_ID or VAST_INSTANCE_ID of the environment."
    )(command)


def _dry_run(command: Callable[..., Any]) -> Callable[..., Any]:
    return click.option("--dry-run", is_flag=True, help="Show the requests without sending them; needs no token.")(
        command
    )


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
def cloud() -> None:
    """Rent, start, stop or look at a machine of TensorDock or Vast.ai.

    Tokens are read from the environment only: TENSORDOCK_API_TOKEN, VAST_API_KEY. deploy/tensordock
    and deploy/vast explain every step from an account to a lesson.

    \b
      parle cloud create --provider vast --gpu "RTX 4090" --dry-run
      parle cloud status --provider tensordock
      parle cloud stop --provider vast --instance 1234567
    """


@cloud.command()
@_provider
@click.option("--gpu", type=click.Choice(CARDS, case_sensitive=False), default=CARDS[0], show_default=True)
@click.option("--disk", type=click.IntRange(40, 2000), default=100, show_default=True, help="Size of the disk in GB.")
@click.option("--name", default="parle", show_default=True, help="The machine's name in the provider's console.")
@click.option("--max-price", type=click.FloatRange(min=0, min_open=True), help="Highest price in US dollars an hour.")
@click.option("--image", help="Image to boot; by default the provider's Ubuntu.")
@click.option(
    "--ssh-key",
    type=click.Path(path_type=Path),
    default=Path("~/.ssh/id_ed25519.pub"),
    show_default=True,
    help="Public key to log in with (TensorDock; Vast.ai takes those of the account).",
)
@click.option("--yes", is_flag=True, help="Rent without confirmation.")
@_dry_run
def create(
    provider: str,
    gpu: str,
    disk: int,
    name: str,
    max_price: float | None,
    image: str | None,
    ssh_key: Path,
    yes: bool,
    dry_run: bool,
) -> None:
    """Rent the cheapest machine that fits. It costs money from then on until it is deleted.

    \b
      parle cloud create --provider tensordock --gpu "RTX 4090" --max-price 0.60
    """
    from serve_app.clouds import machines
    from serve_app.clouds.provider import Wanted, public_key

    key = public_key(ssh_key) if machines.PROVIDERS[provider].needs_ssh_key else None
    wanted = Wanted(gpu, name, disk, max_price, image, key)
    if dry_run:
        _show(machines.planned(machines.PROVIDERS[provider], "create", wanted, ""), provider)
        return
    rented = machines.connect(provider)
    new = _rent(rented, wanted, yes)
    click.echo(f"rented instance {new}; it takes minutes to start\n")
    click.echo(f"  export {rented.provider.instance_names[0]}={new}")
    click.echo(f"  parle cloud status --provider {provider}")


def _rent(rented: Machines, wanted: Wanted, yes: bool) -> str:
    """Rent the first offer that is still there and whose price the user accepts; returns the new instance's id."""
    from serve_app.clouds.machines import Taken

    for offer in rented.offers(wanted):
        click.echo(f"{offer.gpu} in {offer.where}: ${offer.price:.3f} an hour")
        if not yes and not click.confirm("Rent it?"):
            raise CloudError("nothing was rented.")
        try:
            return rented.create(wanted, offer)
        except Taken as error:
            click.echo(error.message)
    raise CloudError("nothing was rented: somebody else has taken every offer; try again.")


@cloud.command()
@_provider
@_instance
@_dry_run
def start(provider: str, instance: str | None, dry_run: bool) -> None:
    """Start a stopped instance.

    \b
      parle cloud start --provider tensordock
    """
    _ask(provider, "start", instance, dry_run)


@cloud.command()
@_provider
@_instance
@_dry_run
def stop(provider: str, instance: str | None, dry_run: bool) -> None:
    """Stop a running instance at once, even during a lesson. Its disk is kept and still costs money.

    \b
      parle cloud stop --provider vast
    """
    _ask(provider, "stop", instance, dry_run)


@cloud.command()
@_provider
@_instance
@_dry_run
def status(provider: str, instance: str | None, dry_run: bool) -> None:
    """Show an instance's status, and how to reach it.

    \b
      parle cloud status --provider vast
    """
    from serve_app.clouds import machines

    found = machines.instance_id(provider, instance)
    if dry_run:
        _show(machines.planned(machines.PROVIDERS[provider], "status", None, found), provider)
        return
    seen = machines.connect(provider).status(found)
    click.echo(f"{seen.id}  {seen.status}" + (f"  ${seen.price:.3f} an hour" if seen.price is not None else ""))
    if seen.running and seen.ssh:
        click.echo(f"  log in     {seen.ssh}")
        click.echo(f"  tunnel     {seen.ssh} -N -L 8000:127.0.0.1:8000")


def _ask(provider: str, action: Literal["start", "stop"], instance: str | None, dry_run: bool) -> None:
    from serve_app.clouds import machines

    found = machines.instance_id(provider, instance)
    if dry_run:
        _show(machines.planned(machines.PROVIDERS[provider], action, None, found), provider)
        return
    rented = machines.connect(provider)
    (rented.start if action == "start" else rented.stop)(found)
    click.echo(f"{rented.provider.name} accepts the {action} of {found}; see: parle cloud status")


def _show(calls: list[Call], provider: str) -> None:
    from serve_app.clouds import machines

    for call in calls:
        click.echo(f"would send {call.method} {machines.PROVIDERS[provider].url}{call.path}")
        if call.body is not None:
            click.echo(json.dumps(call.body, indent=2))
