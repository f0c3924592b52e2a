"""Write the table "where the minutes go" of CONTRIBUTING.md from the last run of .ci/run.

    python scripts/ci_minutes.py            # after .ci/run: write the table
    python scripts/ci_minutes.py --check    # exit with 1 where the table's steps are not those of .ci/run

.ci/run leaves `.parle/ci-times.json`, {step: seconds}, and for each step that runs pytest `.parle/junit-STEP.xml`.
A step is named by `step NAME command` in .ci/run, or else by its make target.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

ROOT = Path(__file__).parent.parent
DOCUMENT = ROOT / "CONTRIBUTING.md"
RUN = ROOT / ".ci/run"
RESULTS = ROOT / ".parle"
PLACE = re.compile(r"(<!-- ci-minutes -->\n).*?(<!-- /ci-minutes -->)", re.DOTALL)


@dataclass(frozen=True)
class StepTests:
    """What a JUnit file says of one step."""

    ran: int
    slowest: str
    slowest_s: float


def read_junit(path: Path) -> StepTests | None:
    """None where no test ran."""
    cases = [case for case in ElementTree.parse(path).iter("testcase") if case.find("skipped") is None]
    if not cases:
        return None
    seconds, slowest = max((float(case.get("time", 0)), case.get("name", "")) for case in cases)
    return StepTests(len(cases), slowest, seconds)


def steps(script: str) -> list[str]:
    """The steps of .ci/run in their order."""
    found = re.findall(r"^\s*(?:step\s+(\S+)|make\s+([a-z][\w-]*))", script, re.MULTILINE)
    return [step or target for step, target in found]


def table(seconds: dict[str, float], tests: dict[str, StepTests | None]) -> str:
    lines = ["| step | minutes | tests | slowest test |", "| --- | ---: | ---: | --- |"]
    for step, took in seconds.items():
        of = tests.get(step)
        cells = (of.ran, f"`{of.slowest}`, {of.slowest_s:.0f} s") if of else ("", "")
        lines.append(f"| {step} | {took / 60:.1f} | {cells[0]} | {cells[1]} |")
    total = sum(of.ran for of in tests.values() if of)
    lines.append(f"| **all** | **{sum(seconds.values()) / 60:.1f}** | **{total}** | |")
    return "\n".join(lines)


def listed(document: str) -> list[str]:
    """The steps that the table names."""
    place = PLACE.search(document)
    rows = re.findall(r"^\| (\w[\w-]*) \|", place[0], re.MULTILINE) if place else []
    return rows[1:]  # the first is the table's head


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true")
    document = DOCUMENT.read_text("utf-8")
    expected = steps(RUN.read_text("utf-8"))
    if parser.parse_args().check:
        if listed(document) != expected:
            sys.exit(f"CONTRIBUTING.md lists {listed(document)}, .ci/run has {expected}: run scripts/ci_minutes.py")
        return
    seconds: dict[str, float] = json.loads((RESULTS / "ci-times.json").read_text("utf-8"))
    if set(seconds) != set(expected):
        sys.exit(f".parle/ci-times.json has {sorted(seconds)}, .ci/run has {sorted(expected)}: run .ci/run first")
    junit = {step: RESULTS / f"junit-{step}.xml" for step in expected}
    tests = {step: read_junit(path) for step, path in junit.items() if path.exists()}
    text = table({step: seconds[step] for step in expected}, tests)
    DOCUMENT.write_text(PLACE.sub(lambda place: f"{place[1]}{text}\n{place[2]}", document), "utf-8")


if __name__ == "__main__":
    main()
