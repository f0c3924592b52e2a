"""How the stages' processes share a card while the server runs: NVIDIA's MPS where it can be had, else time slicing.

Under MPS they work side by side; without it the driver lets one after the other have the card, and a stage of many
small kernels waits for those that always have work (docs/sharing.md). CUDA looks for MPS when it is initialised, so it
must run before Ray starts. With MPS the stages are no longer apart: a fault of one may end the work of all, and so may
one that is killed in the middle of its work. Then MPS is started again, and all stages with it.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Generator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from serve_app.config.stack import StackArgs
from serve_app.errors import StackError, first_line
from serve_app.gpu import mps
from serve_app.gpu.budget import on_card
from serve_app.gpu.cards import divided_cards
from serve_app.gpu.mps import CONTROL, LOG_VARIABLE, PIPE_VARIABLE, Control, MpsError

START_S = 20.0
QUIT_S = 2
PREFIX = "parle-mps-"
FOLDERS = Path("/tmp")
CLUSTER = "the stages share their cards as the cluster's machines have it"
PID_FILE = "nvidia-cuda-mps-control.pid"


@dataclass
class CardSharing:
    """How the card is shared. `line` says it to the user; None where no two processes share a card.

    `control` is MPS's where it is on; `owned` if it was started here, and so is ended here.
    """

    line: str | None = None
    control: Control | None = None
    owned: bool = False
    _clients: set[int] = field(default_factory=set)

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
        if "FAULT" in states.values():
            self._clients |= before
            return "the work of one stage, or its sudden end, has brought a fault on the card"
        return None

    def recover(self) -> None:
        """Start MPS again where it is ours, and end the stages' processes: Serve starts all of them again.

        Raises:
            StackError: MPS does not start again; the stages share the card by time slicing from then on.
        """
        control, clients = self.control, self._clients | self._ours(quiet=True)
        self._clients = set()
        if control is None:
            return
        try:
            if self.owned:
                _end_daemon(control)
                _start_daemon(control)
        except MpsError as error:
            self.control = None
            raise StackError(f"MPS does not start again: {error}") from None
        finally:
            control.end(clients)  # only now: a stage that comes back must find the new MPS

    def _ours(self, quiet: bool = False) -> set[int]:
        """The clients that belong to this server."""
        if self.control is None:
            return set()
        try:
            found = {client for server in self.control.servers() for client in self.control.clients(server)}
        except MpsError:
            if quiet:
                return set()
            raise
        return found if self.owned else found & {child.pid for child in psutil.Process().children(recursive=True)}

    def kill(self) -> None:
        """At once, for an end in a hurry: our processes leave the user's MPS, or ours ends with them."""
        if self.control is not None:
            self.control.end(self._ours(quiet=True))
            if self.owned:
                _end_daemon(self.control, after_s=0)


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
            _end_daemon(sharing.control)
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
            _await_server(control)
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
        _start_daemon(control)
    except BaseException:  # also a signal: nothing of it is left
        _end_daemon(control, after_s=0)
        _forget(str(folder))
        raise
    os.environ[PIPE_VARIABLE] = os.environ[LOG_VARIABLE] = str(folder)
    return control


def _new_folder() -> Path:
    return Path(tempfile.mkdtemp(prefix=f"{PREFIX}{os.getpid()}-", dir=FOLDERS))


def _start_daemon(control: Control) -> None:
    """The daemon, and a server of this user that is ready: it fails now where it cannot work, not in a stage."""
    # The server would number the cards anew, and Ray gives each stage a number of the machine's own.
    environment = {name: value for name, value in os.environ.items() if name != "CUDA_VISIBLE_DEVICES"}
    environment |= {PIPE_VARIABLE: str(control.pipe), LOG_VARIABLE: str(control.pipe)}
    try:
        done = subprocess.run(
            [CONTROL, "-d"], env=environment, capture_output=True, text=True, timeout=START_S, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise MpsError(f"{CONTROL} does not start: {first_line(error)}") from None
    if done.returncode:
        said = (done.stdout + done.stderr).strip() or _last_log(control) or f"exit code {done.returncode}"
        raise MpsError(f"{CONTROL} does not start: {said.splitlines()[0]}")
    _await_server(control)


def _await_server(control: Control) -> None:
    """Wait until a server can take clients.

    Raises:
        MpsError: none can.
    """
    if not control.servers():
        control.ask(f"start_server -uid {os.getuid()}", limit_s=START_S)
    patience, state = time.monotonic() + START_S, "no server starts"
    while time.monotonic() < patience:
        if servers := control.servers():
            state = control.state(servers[0])
            if state == "ACTIVE":
                return
        time.sleep(0.1)
    raise MpsError(f"its server does not become ready: {_last_log(control) or state}")


def _last_log(control: Control) -> str | None:
    """The last line of the server's log, or of the daemon's, which says why it cannot work."""
    for name in ("server.log", "control.log"):
        with suppress(OSError):
            lines = (control.pipe / name).read_text("utf-8", "replace").splitlines()
            if told := [line.strip() for line in lines if line.strip()]:
                return told[-1]
    return None


def _end_daemon(control: Control, after_s: int = QUIT_S) -> None:
    """End our daemon and its servers, whatever state they are in."""
    family: list[psutil.Process] = []
    with suppress(OSError, ValueError, psutil.NoSuchProcess):
        daemon = psutil.Process(int((control.pipe / PID_FILE).read_text("utf-8").strip()))
        family = [daemon, *daemon.children(recursive=True)]
    with suppress(MpsError):
        control.quit(after_s)
    _, alive = psutil.wait_procs(family, after_s)
    for process in alive:
        with suppress(psutil.NoSuchProcess):
            process.kill()


def _forget(folder: str | None) -> None:
    if folder is not None and Path(folder).parent == FOLDERS and Path(folder).name.startswith(PREFIX):
        shutil.rmtree(folder, ignore_errors=True)


def _sweep() -> None:
    """End what a server left behind that was killed before it could."""
    for folder in FOLDERS.glob(f"{PREFIX}*"):
        owner = folder.name.removeprefix(PREFIX).partition("-")[0]
        if owner.isdigit() and not psutil.pid_exists(int(owner)) and folder.stat().st_uid == os.getuid():
            _end_daemon(Control(folder), after_s=0)
            _forget(str(folder))
