"""How the stages' processes share a card while the server runs: NVIDIA's MPS where it can be had, else time slicing.

Under MPS they work side by side; without it the driver lets one after the other have the card, and a stage of many
small kernels waits for those that always have work (docs/sharing.md). CUDA looks for MPS when it is initialised, so it
must run before Ray starts. With MPS the stages are no longer apart: a fault of one may end the work of all, and so may
one that is killed in the middle of its work. Then MPS is started again, and all stages with it.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Generator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from serve_app.config.stack import StackArgs
from serve_app.errors import StackError
from serve_app.gpu import mps
from serve_app.gpu.budget import on_card
from serve_app.gpu.cards import divided_cards
from serve_app.gpu.mps import CONTROL, LOG_VARIABLE, PIPE_VARIABLE, Control, MpsError
from serve_app.launch import mps_daemon
from serve_app.launch.report import Report

PREFIX = "parle-mps-"
FOLDERS = Path("/tmp")
CLUSTER = "the stages share their cards as the cluster's machines have it"


@dataclass
class CardSharing:
    """How the card is shared. `line` says it to the user; None where no two processes share a card.

    `control` is MPS's where it is on; `owned` if it was started here, and so is ended here.
    """

    line: str | None = None
    control: Control | None = None
    owned: bool = False
    _clients: set[psutil.Process] = field(default_factory=set)
    """Not by number alone: that of a client that is gone may soon be somebody else's."""
    _faulty: set[int] = field(default_factory=set)
    """Servers with a fault for which the stages were ended; it stays until their other clients have left."""

    def trouble(self) -> str | None:
        """Why all stages must start again; None where all is well. To be asked again and again.

        A client that is gone is no reason by itself: where its end has harmed the others, the server says FAULT.
        """
        if self.control is None:
            return None
        before = self._clients
        try:
            states = {server: self.control.state(server) for server in self.control.servers()}
            self._clients = self._ours()
        except MpsError as error:
            return str(error)
        faulty = {server for server, state in states.items() if state == "FAULT"}
        self._faulty &= faulty
        if faulty - self._faulty:
            self._clients |= before
            return "the work of one stage, or its sudden end, has brought a fault on the card"
        return None

    def recover(self) -> str | None:
        """Start MPS again where it is ours, and end the stages' processes: Serve starts all of them again.

        Returns what the user should know or do; None where all is as it was.
        """
        control, clients = self.control, self._clients | self._ours(quiet=True)
        self._clients = set()
        if control is None:
            return None
        try:
            if self.owned:
                mps_daemon.end(control)
                mps_daemon.start(control)
                return None
            return self._await_others(control, clients)
        except MpsError as error:
            self.control = None
            why = f"MPS does not start again: {error}" if self.owned else f"the MPS in {control.pipe} has ended"
            return f"{why}; the stages share the card by time slicing now"
        finally:
            _end(control, clients)  # only now: a stage that comes back must find the new MPS

    def _await_others(self, control: Control, ours: set[psutil.Process]) -> str | None:
        """The user's MPS is not started again here: after a fault it takes new clients once all old ones have left."""
        self._faulty = {server for server in control.servers() if control.state(server) == "FAULT"}
        clients = {client for server in self._faulty for client in control.clients(server)}
        if not (others := sorted(clients - {client.pid for client in ours})):
            return None
        return (
            f"the MPS in {control.pipe} takes no stage until its other programs have ended "
            f"(process {', '.join(map(str, others))})"
        )

    def _ours(self, quiet: bool = False) -> set[psutil.Process]:
        """The clients that belong to this server."""
        if self.control is None:
            return set()
        try:
            found = {client for server in self.control.servers() for client in self.control.clients(server)}
        except MpsError:
            if quiet:
                return set()
            raise
        if not self.owned:
            return {child for child in psutil.Process().children(recursive=True) if child.pid in found}
        ours: set[psutil.Process] = set()
        for client in found:
            with suppress(psutil.NoSuchProcess):
                ours.add(psutil.Process(client))
        return ours

    def kill(self) -> None:
        """At once, for an end in a hurry: our processes leave the user's MPS, or ours ends with them."""
        if self.control is not None:
            _end(self.control, self._ours(quiet=True))
            if self.owned:
                mps_daemon.end(self.control, after_s=0)


def _end(control: Control, clients: set[psutil.Process]) -> None:
    control.end([client.pid for client in clients if client.is_running()])


def watch(sharing: CardSharing, report: Report) -> None:
    """Start all stages again where they cannot go on together, and say so. To be called again and again."""
    if (why := sharing.trouble()) is None:
        return
    report.step(f"{why}: all stages of the card start again")
    if (left := sharing.recover()) is not None:
        report.step(left)


def expected(args: StackArgs) -> str | None:
    """What `parle serve` would do on this machine, in one line; None where no two processes share a card."""
    if not _shared(args):
        return None
    if args.gpu.sharing == "time-slicing":
        return _sliced(None)
    try:
        found = _look()
    except MpsError as error:
        return f"gpu.sharing: mps: {error}" if args.gpu.sharing == "mps" else _sliced(str(error))
    return _line("MPS, which runs already" if found else "MPS, which would be started")


@contextmanager
def shared(args: StackArgs, address: str | None = None) -> Generator[CardSharing]:
    """MPS, or not, while the block runs; in it, processes that are started find what they need in the environment.

    `address` is a cluster's: there the cards are other machines' and shared as those say.

    Raises:
        StackError: the YAML insists on MPS, and it cannot be had.
    """
    before = {name: os.environ.get(name) for name in (PIPE_VARIABLE, LOG_VARIABLE)}
    sharing = CardSharing()
    try:
        if _shared(args):
            sharing = _begin(args) if address is None else CardSharing(CLUSTER)
        yield sharing
    finally:
        if sharing.control is not None and sharing.owned:
            mps_daemon.end(sharing.control)
        if os.environ.get(PIPE_VARIABLE) != before[PIPE_VARIABLE]:
            _forget(os.environ.get(PIPE_VARIABLE))
        for name, value in before.items():
            os.environ.pop(name, None)
            if value is not None:
                os.environ[name] = value


def _shared(args: StackArgs) -> bool:
    return sum(on_card(config) and config.num_gpus < 1 for config in args.stages().values()) > 1


def _begin(args: StackArgs) -> CardSharing:
    _sweep()
    if args.gpu.sharing == "time-slicing":
        return _slice(None)
    try:
        if (control := _look()) is not None:
            mps_daemon.await_server(control)
            os.environ[PIPE_VARIABLE] = str(control.pipe)
            return CardSharing(_line(f"MPS, which ran already ({control.pipe})"), control)
        control = _own()
    except MpsError as error:
        if args.gpu.sharing == "mps":
            raise StackError(f"gpu.sharing: mps: {error}.") from None
        return _slice(str(error))
    return CardSharing(_line("MPS"), control, owned=True)


def _slice(why: str | None) -> CardSharing:
    if _found().answers():  # the stages would join it unasked: let them look where there is none
        os.environ[PIPE_VARIABLE] = str(_new_folder())
    return CardSharing(_sliced(why))


def _line(how: str) -> str:
    return f"the stages share the card by {how}"


def _sliced(why: str | None) -> str:
    return _line("time slicing") + (f": {why}" if why else ", as gpu.sharing says")


def _found() -> Control:
    return mps.control_here() or Control(mps.DEFAULT_PIPE)


def _look() -> Control | None:
    """The MPS that runs already; None where one could be started.

    Raises:
        MpsError: MPS cannot be used here.
    """
    if shutil.which(CONTROL) is None:
        raise MpsError(f"{CONTROL} is not here; it comes with NVIDIA's driver")
    if divided_cards():
        raise MpsError("the card is divided by MIG")
    control = _found()
    if not control.answers():
        return None
    for server in control.servers():
        with suppress(psutil.NoSuchProcess):
            if (owner := psutil.Process(server).uids().real) != os.getuid():
                raise MpsError(f"the MPS in {control.pipe} serves another user (uid {owner})")
    return control


def _own() -> Control:
    """Start MPS for this server alone."""
    folder = _new_folder()
    control = Control(folder)
    try:
        mps_daemon.start(control)
    except BaseException:  # also a signal: nothing of it is left
        mps_daemon.end(control, after_s=0)
        _forget(str(folder))
        raise
    os.environ[PIPE_VARIABLE] = os.environ[LOG_VARIABLE] = str(folder)
    return control


def _new_folder() -> Path:
    return Path(tempfile.mkdtemp(prefix=f"{PREFIX}{os.getpid()}-", dir=FOLDERS))


def _forget(folder: str | None) -> None:
    if folder is not None and Path(folder).parent == FOLDERS and Path(folder).name.startswith(PREFIX):
        shutil.rmtree(folder, ignore_errors=True)


def _sweep() -> None:
    """End what a server left behind that was killed before it could."""
    for folder in FOLDERS.glob(f"{PREFIX}*"):
        owner = folder.name.removeprefix(PREFIX).partition("-")[0]
        with suppress(FileNotFoundError):  # another server that starts now has swept it
            if owner.isdigit() and not psutil.pid_exists(int(owner)) and folder.stat().st_uid == os.getuid():
                mps_daemon.end(Control(folder), after_s=0)
                _forget(str(folder))
