"""What bench/gpu.py does without a card: its parts, their time, the tables it prints."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

import pytest

from bench import gpu
from bench.gpu_table import tables


def test_a_run_without_parts_leaves_out_what_must_be_named() -> None:
    usual = gpu.chosen(None)
    assert "stack" in usual
    assert "local-stack" not in usual
    assert gpu.chosen("local-stack, faults") == ["local-stack", "faults"]


def test_an_unknown_part_is_refused_with_those_there_are() -> None:
    with pytest.raises(SystemExit, match=r"no part 'stak'; there are: .*stack"):
        gpu.chosen("stack,stak")


def test_engines_that_take_turns_on_the_card_run_together() -> None:
    assert gpu.groups(["stack", "stt", "qwen3", "kokoro", "faults"]) == [
        ["stack"],
        ["stt", "qwen3", "kokoro"],
        ["faults"],
    ]


def test_each_part_has_its_time_unless_another_is_given() -> None:
    found = gpu.limits(["stack=12"])
    assert found["stack"] == 12
    assert found["faults"] == gpu.PARTS["faults"].seconds


def test_a_usual_run_fits_its_ten_minutes() -> None:
    assert sum(gpu.PARTS[name].seconds for name in gpu.chosen(None)) <= 660


def started(tmp_path: Path, *more: str) -> dict[str, Any]:
    gpu.main(["--out", str(tmp_path), "--models", str(tmp_path / "models"), "--checkpoints", "", *more])
    return json.loads((tmp_path / "results.json").read_text("utf-8"))


def test_a_part_leaves_out_what_is_not_at_hand(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))  # no MPS
    [skipped, _] = started(tmp_path, "--parts", "faults")["parts"]["faults"]["rows"]
    assert skipped["what"] == "skipped"


def test_a_part_that_is_cut_keeps_its_rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    script = 'import pathlib, time; pathlib.Path({!r}).write_text(\'{{"what": "ready"}}\\n\'); time.sleep(60)'
    options = argparse.Namespace(out=tmp_path, models=tmp_path, tiny=True, offline=True)
    python = tmp_path / "python"
    python.write_text(f'#!/bin/sh\nexec {sys.executable} -c "$SCRIPT"\n')
    python.chmod(0o755)
    monkeypatch.setenv("SCRIPT", script.format(str(tmp_path / "faults.jsonl")))
    monkeypatch.setattr(sys, "executable", str(python))
    monkeypatch.setattr(gpu, "SPARE_S", 3.0)
    found = gpu.run_part("faults", 0.0, options)
    assert found["rows"] == [{"what": "ready"}]
    assert found["ended"].startswith("cut")


def test_the_tables_have_a_column_for_each_figure() -> None:
    rows = [
        {"what": "talkers", "talkers": 1, "first_audio_ms": 512.3},
        {"what": "talkers", "talkers": 2, "first_audio_ms": 601.0, "error": "a | b"},
        {"what": "log", "lines": ["left out"]},
    ]
    results = {
        "machine": {"card": "H100", "torch": "2.11"},
        "parts": {"stack": {"rows": rows, "ended": "cut after 9 s"}},
    }
    text = tables(results)
    assert "Card: H100; torch 2.11." in text
    assert "### stack (cut after 9 s)" in text
    assert "| talkers | first_audio_ms | error |\n| --- | --- | --- |\n| 1 | 512 |  |\n| 2 | 601 | a \\| b |" in text
    assert "left out" not in text
    assert "rehearsal" not in text
    assert "rehearsal" in tables({**results, "tiny": True})
