"""Write the table "where the minutes go" of CONTRIBUTING.md from the last run of .ci/run.

    python scripts/ci_minutes.py            # after .ci/run: write the table
    python scripts/ci_minutes.py --check    # exit with 1 where the table's steps are not those of .ci/run

.ci/run has lines `step NAME make TARGET...` and leaves `.parle/ci-times.json`, {step: seconds} and "all". The targets
that run pytest leave `.parle/junit-FILE.xml`, where the Makefile says `$(call JUNIT,FILE)`.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

ROOT = Path(__file__).parent.parent
DOCUMENT = ROOT / "CONTRIBUTING.md"
RUN = ROOT / ".ci/run"
MAKEFILE = ROOT / "Makefile"
RESULTS = ROOT / ".parle"
PLACE = re.compile(r"(<!-- ci-minutes -->\n).*?(<!-- /ci-minutes -->)", re.DOTALL)


@dataclass(frozen=True)
class StepTests:
    """What the JUnit files say of one step."""

    ran: int
    slowest: str
    slowest_s: float


def read_junit(paths: Iterable[Path]) -> StepTests | None:
    """None where no test ran."""
    cases = [case for path in paths for case in ElementTree.parse(path).iter("testcase")]
    cases = [case for case in cases if case.find("skipped") is None]
    if not cases:
        return None
    seconds, slowest = max((float(case.get("time", 0)), case.get("name", "")) for case in cases)
    return StepTests(len(cases), slowest, seconds)


def steps(script: str) -> dict[str, list[str]]:
    """The steps of .ci/run in their order, and the make targets of each."""
    found = re.findall(r"^\s*step\s+([\w-]+)\s+make\s+([^&|;\n]+)", script, re.MULTILINE)
    return {step: targets.split() for step, targets in found}


def junit_files(targets: Iterable[str], makefile: str) -> list[str]:
    """The names of the JUnit files that these make targets write."""
    rules = [re.search(rf"^{re.escape(target)}:.*\n((?:\t.*\n|\w.*\n)*)", makefile, re.MULTILINE) for target in targets]
    return [name for rule in rules if rule for name in re.findall(r"\$\(call JUNIT,([\w-]+)\)", rule[1])]


def table(seconds: dict[str, float], tests: dict[str, StepTests | None], all_s: float) -> str:
    """The steps run in two lanes, so `all_s` is less than their sum."""
    lines = ["| step | minutes | tests | slowest test |", "| --- | ---: | ---: | --- |"]
    for step, took in seconds.items():
        of = tests.get(step)
        cells = (of.ran, f"`{of.slowest}`, {of.slowest_s:.0f} s") if of else ("", "")
        lines.append(f"| {step} | {took / 60:.1f} | {cells[0]} | {cells[1]} |")
    total = sum(of.ran for of in tests.values() if of)
    lines.append(f"| **all** | **{all_s / 60:.1f}** | **{total}** | |")
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
        if listed(document) != list(expected):
            sys.exit(
                f"CONTRIBUTING.md lists {listed(document)}, .ci/run has {list(expected)}: run scripts/ci_minutes.py"
            )
        return
    seconds: dict[str, float] = json.loads((RESULTS / "ci-times.json").read_text("utf-8"))
    all_s = seconds.pop("all", 0)
    if set(seconds) != set(expected):
        sys.exit(f".parle/ci-times.json has {sorted(seconds)}, .ci/run has {sorted(expected)}: run .ci/run first")
    makefile = MAKEFILE.read_text("utf-8")
    tests: dict[str, StepTests | None] = {}
    for step, targets in expected.items():
        files = [RESULTS / f"junit-{name}.xml" for name in junit_files(targets, makefile)]
        if missing := [file.name for file in files if not file.exists()]:
            sys.exit(f".parle has no {', '.join(missing)}: run .ci/run first")
        tests[step] = read_junit(files)
    text = table({step: seconds[step] for step in expected}, tests, all_s)
    DOCUMENT.write_text(PLACE.sub(lambda place: f"{place[1]}{text}\n{place[2]}", document), "utf-8")


if __name__ == "__main__":
    main()
