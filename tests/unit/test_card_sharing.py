"""MPS beside the server: started, looked at, started again, ended, and done without where it cannot be had."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil
import pytest
from support import fake_mps_control
from support.cards import Present, nvml
from support.paths import ROOT
from support.waiting import wait_for

from serve_app.config.lint import read
from serve_app.config.stack import GpuConfig, StackArgs
from serve_app.errors import StackError
from serve_app.gpu import mps
from serve_app.gpu.mps import CONTROL, LIMIT_VARIABLE, LOG_VARIABLE, PIPE_VARIABLE, Control, MpsError
from serve_app.launch import card_sharing, mps_daemon
from serve_app.launch.card_sharing import CardSharing, expected, shared
from serve_app.launch.report import Report

GIB = 2**30
CARD = Present("NVIDIA L4", 23034 * 2**20)

Program = subprocess.Popen[str]
Join = Callable[..., Program]


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A card, and NVIDIA's control program; the folder that has the program."""
    nvml(monkeypatch, CARD)
    folder = tmp_path / "bin"
    folder.mkdir()
    program = folder / CONTROL
    source = Path(fake_mps_control.__file__).read_text("utf-8")
    program.write_text(source.replace("#!/usr/bin/env python3", f"#!{sys.executable} -IS", 1), "utf-8")
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setattr(mps, "DEFAULT_PIPE", tmp_path / "default")
    monkeypatch.setattr(card_sharing, "FOLDERS", tmp_path)
    for name in (PIPE_VARIABLE, LOG_VARIABLE, LIMIT_VARIABLE):
        monkeypatch.delenv(name, raising=False)
    return folder


@pytest.fixture
def join(machine: Path) -> Iterator[Join]:
    """Start a CUDA program; it has found MPS, or not, when this returns, and says which in `said`."""
    programs: list[Program] = []

    def start(*more: str) -> Program:
        program = subprocess.Popen(
            [sys.executable, str(machine / CONTROL), "join", *more], stdout=subprocess.PIPE, text=True
        )
        programs.append(program)
        return program

    yield start
    for program in programs:
        program.kill()
        program.wait()
        assert program.stdout is not None
        program.stdout.close()


@contextmanager
def running_already(pipe: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Control]:
    """The user's own MPS."""
    pipe.mkdir()
    environment = {**os.environ, PIPE_VARIABLE: str(pipe), LOG_VARIABLE: str(pipe)}
    subprocess.run([CONTROL, "-d"], env=environment, check=True)
    control = Control(pipe)
    yield control
    with suppress(MpsError):  # it has ended already
        control.quit(0)


def stranger(machine: Path) -> None:
    """A CUDA program that this process has not started: whoever did has ended."""
    code = "import subprocess, sys; subprocess.Popen(sys.argv[1:])"
    joining = [sys.executable, str(machine / CONTROL), "join"]
    with subprocess.Popen([sys.executable, "-c", code, *joining], stdout=subprocess.PIPE, text=True) as program:
        assert said(program).startswith("ready")


def said(program: Program) -> str:
    assert program.stdout is not None
    return program.stdout.readline().strip()


def stack(sharing: str = "auto") -> StackArgs:
    args = read(ROOT / "configs/local_stack.yaml").args
    return args.model_copy(update={"gpu": GpuConfig.model_validate({"sharing": sharing})})


def daemon_of(pipe: Path) -> psutil.Process:
    return psutil.Process(int((pipe / mps_daemon.PID_FILE).read_text("utf-8")))


def pipe_now() -> Path:
    return Path(os.environ[PIPE_VARIABLE])


def test_it_runs_while_the_server_does_and_is_gone_afterwards(machine: Path, join: Join) -> None:
    with shared(stack()) as sharing:
        assert sharing.line == "the stages share the card by MPS"
        pipe, daemon = pipe_now(), daemon_of(pipe_now())
        assert pipe.stat().st_mode & 0o077 == 0
        assert said(join()).startswith("ready")
        assert sharing.trouble() is None
    assert not daemon.is_running() or daemon.status() == psutil.STATUS_ZOMBIE
    assert not pipe.exists()
    assert PIPE_VARIABLE not in os.environ


def test_a_stages_process_is_held_to_its_share(machine: Path, join: Join, monkeypatch: pytest.MonkeyPatch) -> None:
    with shared(stack()):
        mps.hold_to_share(0.25)
        limit = f"0={23034 // 4}M"
        assert os.environ[LIMIT_VARIABLE] == limit
        assert said(join()) == f"ready {limit}"
    monkeypatch.delenv(LIMIT_VARIABLE)
    mps.hold_to_share(0.25)  # without MPS there is nobody to hold it
    assert LIMIT_VARIABLE not in os.environ


def test_one_process_on_a_card_shares_it_with_nobody(machine: Path) -> None:
    for args in (StackArgs(), StackArgs(stt=stack().stt)):
        assert expected(args) is None
        with shared(args) as sharing:
            assert sharing.line is None
            assert PIPE_VARIABLE not in os.environ


def test_the_users_own_mps_is_used_and_left_running(
    machine: Path, join: Join, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with running_already(tmp_path / "default", monkeypatch) as control:
        assert expected(stack()) == "the stages share the card by MPS, which runs already"
        with shared(stack()) as sharing:
            assert sharing.line == f"the stages share the card by MPS, which ran already ({control.pipe})"
            assert said(join()).startswith("ready")
        assert control.answers()


def test_time_slicing_is_kept_to_beside_the_users_mps(
    machine: Path, join: Join, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with running_already(tmp_path / "default", monkeypatch), shared(stack("time-slicing")) as sharing:
        assert sharing.line == "the stages share the card by time slicing, as gpu.sharing says"
        assert said(join()) == "without MPS"


@pytest.mark.parametrize(
    ("lacking", "why"),
    [
        ("program", f"{CONTROL} is not here; it comes with NVIDIA's driver"),
        ("whole card", "the card is divided by MIG"),
        ("permission", "its server does not become ready: [Server 7] Failed to initialize: operation not permitted"),
    ],
)
def test_where_it_cannot_be_had_one_line_says_why(
    machine: Path, lacking: str, why: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    if lacking == "program":
        (machine / CONTROL).unlink()
    elif lacking == "whole card":
        nvml(monkeypatch, Present("NVIDIA H100", 80 * GIB, divided=True))
    else:
        monkeypatch.setenv("FAKE_MPS", "broken")
        monkeypatch.setattr(mps_daemon, "START_S", 1.0)
    with shared(stack()) as sharing:
        assert sharing.line == f"the stages share the card by time slicing: {why}"
        assert PIPE_VARIABLE not in os.environ
    with pytest.raises(StackError) as refused, shared(stack("mps")):
        pass
    assert refused.value.message == f"gpu.sharing: mps: {why}."
    assert list(tmp_path.glob(f"{card_sharing.PREFIX}*")) == []


def test_an_mps_that_serves_another_user_is_not_joined(
    machine: Path, join: Join, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with running_already(tmp_path / "default", monkeypatch) as control:
        control.ask("start_server -uid 0")
        monkeypatch.setattr(os, "getuid", lambda: 4321)
        with shared(stack()) as sharing:
            assert sharing.line is not None
            assert "serves another user" in sharing.line
            assert said(join()) == "without MPS"


def test_a_process_that_is_ended_is_taken_off_the_card_first_and_the_others_live(machine: Path, join: Join) -> None:
    with shared(stack()) as sharing:
        one, other = join(), join()
        assert said(one).startswith("ready")
        assert said(other).startswith("ready")
        assert sharing.control is not None
        sharing.control.end([one.pid])
        assert said(one) == "terminated"
        assert one.wait(30) == -signal.SIGKILL
        [server] = sharing.control.servers()
        assert sharing.control.clients(server) == [other.pid]
        assert "terminate_client" in (pipe_now() / "control.log").read_text("utf-8")


def test_a_stage_that_dies_without_harm_to_the_others_leaves_them_at_work(machine: Path, join: Join) -> None:
    with shared(stack()) as sharing:
        one, other = join(), join()
        assert said(one).startswith("ready")
        assert said(other).startswith("ready")
        assert sharing.trouble() is None
        one.kill()
        one.wait()
        [server] = sharing.control.servers() if sharing.control else []
        wait_for(lambda: sharing.control is not None and sharing.control.clients(server) == [other.pid], 30, "its end")
        assert sharing.trouble() is None
        assert said(join()).startswith("ready")


def test_after_a_fatal_fault_all_start_again(machine: Path, join: Join) -> None:
    with shared(stack()) as sharing:
        healthy = join()
        assert said(healthy).startswith("ready")
        faulty = join("fault")
        assert said(faulty).startswith("ready")
        assert _trouble(sharing) == "the work of one stage, or its sudden end, has brought a fault on the card"
        assert said(join()).startswith("CUDA_ERROR_MPS_SERVER_NOT_READY")
        before = daemon_of(pipe_now()).pid
        sharing.recover()
        assert healthy.wait(30) == faulty.wait(30) == -signal.SIGKILL
        assert daemon_of(pipe_now()).pid != before
        assert said(join()).startswith("ready")
        assert sharing.trouble() is None


def test_a_fault_of_the_users_own_mps_starts_the_stages_again_once_though_others_keep_it(
    machine: Path, join: Join, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    screen = tmp_path / "screen"
    with (
        screen.open("w") as terminal,
        running_already(tmp_path / "default", monkeypatch) as control,
        shared(stack()) as sharing,
    ):
        report = Report(terminal.fileno())
        stranger(machine)
        [other] = control.clients(control.servers()[0])
        ours = join()
        assert said(ours).startswith("ready")
        card_sharing.watch(sharing, report)
        assert said(faulty := join("fault")).startswith("ready")
        wait_for(lambda: control.state(control.servers()[0]) == "FAULT", 30, "the fault")
        for _ in range(3):
            card_sharing.watch(sharing, report)
        assert ours.wait(30) == faulty.wait(30) == -signal.SIGKILL
        assert control.clients(control.servers()[0]) == [other], "who is not ours is left alone"
        [first, second] = screen.read_text("utf-8").splitlines()
        assert first.endswith("all stages of the card start again")
        assert second.endswith(
            f"the MPS in {control.pipe} takes no stage until its other programs have ended (process {other})"
        )
        psutil.Process(other).kill()
        wait_for(lambda: control.state(control.servers()[0]) == "ACTIVE", 30, "the server to be whole again")
        card_sharing.watch(sharing, report)
        assert said(again := join("fault")).startswith("ready")
        wait_for(lambda: control.state(control.servers()[0]) == "FAULT", 30, "the next fault")
        card_sharing.watch(sharing, report)
        assert again.wait(30) == -signal.SIGKILL
        assert len(screen.read_text("utf-8").splitlines()) == 3


def test_an_mps_that_dies_is_started_again(machine: Path, join: Join) -> None:
    with shared(stack()) as sharing:
        daemon_of(pipe_now()).kill()
        assert "no MPS answers" in _trouble(sharing)
        (pipe_now() / mps_daemon.PID_FILE).unlink()
        (pipe_now() / "control").unlink()
        sharing.recover()
        assert said(join()).startswith("ready")


def test_when_the_users_own_mps_ends_the_stages_start_again_once_and_share_by_time_slicing(
    machine: Path, join: Join, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    screen = tmp_path / "screen"
    with (
        screen.open("w") as terminal,
        running_already(tmp_path / "default", monkeypatch) as control,
        shared(stack()) as sharing,
    ):
        report = Report(terminal.fileno())
        client = join()
        assert said(client).startswith("ready")
        card_sharing.watch(sharing, report)
        assert screen.read_text("utf-8") == ""
        control.quit(0)
        wait_for(lambda: not control.answers(), 30, "its end")
        for _ in range(3):
            card_sharing.watch(sharing, report)
        assert client.wait(30) == -signal.SIGKILL
    [first, second] = screen.read_text("utf-8").splitlines()
    assert first.endswith("all stages of the card start again")
    assert second.endswith(f"the MPS in {control.pipe} has ended; the stages share the card by time slicing now")


def test_who_has_the_number_of_a_client_that_is_gone_is_left_alone(machine: Path) -> None:
    with subprocess.Popen(["sleep", "60"]) as stranger, shared(stack()) as sharing:
        gone = psutil.Process(stranger.pid)
        gone._ident = (stranger.pid, gone.create_time() - 1)  # pyright: ignore - psutil's own; it began earlier
        CardSharing("", sharing.control, True, {gone}).recover()
        assert stranger.poll() is None
        stranger.kill()


def test_two_servers_that_start_at_once_may_sweep_the_same(machine: Path, tmp_path: Path) -> None:
    dead = subprocess.Popen(["true"])
    dead.wait()
    # What another server removes after its name was read: a link to nowhere behaves the same.
    (tmp_path / f"{card_sharing.PREFIX}{dead.pid}-x").symlink_to(tmp_path / "nowhere")
    with shared(stack()) as sharing:
        assert sharing.line == "the stages share the card by MPS"


def test_what_a_killed_server_left_behind_is_ended_by_the_next(machine: Path, tmp_path: Path) -> None:
    dead = subprocess.Popen(["true"])
    dead.wait()
    left = tmp_path / f"{card_sharing.PREFIX}{dead.pid}-x"
    left.mkdir()
    subprocess.run([CONTROL, "-d"], env={**os.environ, PIPE_VARIABLE: str(left), LOG_VARIABLE: str(left)}, check=True)
    daemon = daemon_of(left)
    with shared(stack()):
        assert not daemon.is_running() or daemon.status() == psutil.STATUS_ZOMBIE
        assert not left.exists()


def test_a_cluster_shares_its_cards_as_its_machines_do(machine: Path) -> None:
    with shared(stack(), address="10.0.0.1:6379") as sharing:
        assert sharing.line == "the stages share their cards as the cluster's machines have it"
        assert PIPE_VARIABLE not in os.environ


def _trouble(sharing: CardSharing) -> str:
    for _ in range(100):
        if (why := sharing.trouble()) is not None:
            return why
    raise AssertionError("nothing was noticed")
