"""The units for systemd: they start what there is, leave time for a stop, and restart after a failure only."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
from support.paths import ROOT

from serve_app.cli.main import cli
from serve_app.launch import child_process

UNITS = sorted((ROOT / "deploy").glob("*/*.service"))


def settings_of(unit: Path) -> dict[str, str]:
    return dict(re.findall(r"^(\w+)=(.+)$", unit.read_text("utf-8"), re.MULTILINE))


def test_there_is_one_for_any_machine() -> None:
    assert ROOT / "deploy/systemd/parle.service" in UNITS


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.parent.name)
def test_a_unit_restarts_after_a_failure_and_waits_for_running_turns(unit: Path) -> None:
    settings = settings_of(unit)
    assert settings["Restart"] == "on-failure", "a stop that was asked for ends with 0"
    assert settings["KillSignal"] == "SIGINT"
    assert float(settings["TimeoutStopSec"]) > child_process.STOP_S


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.parent.name)
def test_a_unit_starts_a_stack_that_there_is(unit: Path) -> None:
    program, command, *arguments = shlex.split(settings_of(unit)["ExecStart"])
    assert program.endswith("/.venv/bin/parle")
    parsed = cli.commands[command].make_context(command, arguments)
    assert (ROOT / parsed.params["file"]).is_file()
