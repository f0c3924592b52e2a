"""Compare the collected tests of two git revisions: nothing that was checked may be lost.

    python scripts/compare_tests.py OLD NEW      # NEW may be `.`, the files as they are now

A test is the same where its whole id is collected again, moved where its function name and parameters are, whatever
the file. Any other needs a line in tests/moved_tests.toml:

    "tests/unit/test_a.py::test_b" = "tests/server/test_c.py::test_d: the same on a real server"

A key without [parameters] stands for all of them. A test that an explanation names must exist. Exits with 1 where a
test of OLD is not accounted for.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import tempfile
import tomllib
from collections import Counter, defaultdict
from collections.abc import Collection, Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).parent.parent
MOVED = ROOT / "tests/moved_tests.toml"
ENVIRONMENTS = {
    ".venv": ["tests"],
    ".venv-gpu-engines": ["tests/gpu_engines", "tests/engines/test_*_contract.py", "tests/test_engine_*.py"],
}
"""What is collected with which environment; a pattern without a file is left out."""


def function(test: str) -> str:
    """`tests/a.py::test_b[x]` -> `tests/a.py::test_b`."""
    return test.partition("[")[0]


def name(test: str) -> str:
    """`tests/a.py::test_b[x]` -> `test_b[x]`."""
    return test.partition("::")[2]


@dataclass
class Comparison:
    """Where each test of the old revision is now."""

    same: list[str] = field(default_factory=list)
    moved: dict[str, str] = field(default_factory=dict)
    explained: dict[str, str] = field(default_factory=dict)
    unaccounted: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    """Explanations that name a test which is not there."""
    added: list[str] = field(default_factory=list)


def compare(before: Collection[str], after: Collection[str], explanations: Mapping[str, str]) -> Comparison:
    found = Comparison(same=sorted(set(before) & set(after)))
    free = defaultdict(list)
    for test in sorted(set(after) - set(before)):
        free[name(test)].append(test)
    for test in sorted(set(before) - set(after)):
        if homes := free[name(test)]:
            found.moved[test] = homes.pop(0)
        elif why := explanations.get(test) or explanations.get(function(test)):
            found.explained[test] = why
        else:
            found.unaccounted.append(test)
    found.added = sorted(test for tests in free.values() for test in tests)
    known = {function(test) for test in after}
    for key, why in explanations.items():
        for target in re.findall(r"tests/[\w/]+\.py::[\w:]+\w", why):
            if target not in known:
                found.wrong.append(f"{key}: {target} is not collected")
    return found


@contextmanager
def checkout(revision: str) -> Generator[Path]:
    """The files of a revision in a temporary worktree; `.` is the working tree itself."""
    if revision == ".":
        yield ROOT
        return
    with tempfile.TemporaryDirectory() as folder:
        tree = Path(folder) / "tree"
        subprocess.run(
            ["git", "-C", str(ROOT), "worktree", "add", "--quiet", "--detach", str(tree), revision], check=True
        )
        try:
            yield tree
        finally:
            subprocess.run(["git", "-C", str(ROOT), "worktree", "remove", "--force", str(tree)], check=True)


def collect(tree: Path, environment: str) -> list[str]:
    """The ids that pytest collects there."""
    python = ROOT / environment / "bin/python"
    paths = [str(path.relative_to(tree)) for pattern in ENVIRONMENTS[environment] for path in tree.glob(pattern)]
    run = subprocess.run(
        [python, "-m", "pytest", "--collect-only", "-q", "-p", "no:cacheprovider", *sorted(paths)],
        cwd=tree,
        env={**os.environ, "PYTHONPATH": str(tree), "HF_HUB_OFFLINE": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    tests = [line for line in run.stdout.splitlines() if re.match(r"\S+\.py::", line)]
    if run.returncode or f"{len(tests)} tests collected" not in run.stdout:
        sys.exit(
            f"{environment}: pytest could not collect the tests of {tree}\n{run.stdout[-3000:]}{run.stderr[-3000:]}"
        )
    return tests


def collected(revision: str, environments: Collection[str]) -> set[str]:
    tests = set[str]()
    with checkout(revision) as tree:
        for environment in environments:
            here = collect(tree, environment)
            print(f"{revision:>12}  {environment:<18} {len(here):>5} tests")
            tests |= set(here)
    return tests


def report(found: Comparison) -> str:
    moves = Counter(f"{old.partition('::')[0]} -> {new.partition('::')[0]}" for old, new in found.moved.items())
    lines = [f"  {count:>5}  {move}" for move, count in sorted(moves.items())]
    reasons = Counter(f"{function(test)} -> {why}" for test, why in found.explained.items())
    lines += [f"  {count:>5}  {reason}" for reason, count in sorted(reasons.items())]
    counts = {"same": found.same, "moved": found.moved, "explained": found.explained, "new": found.added}
    lines += [f"{len(tests):>7} {kind}" for kind, tests in counts.items()]
    lines += [f"{len(found.unaccounted):>7} not accounted for", *(f"  LOST {test}" for test in found.unaccounted)]
    lines += [f"  WRONG {line}" for line in found.wrong]
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("old")
    parser.add_argument("new")
    args = parser.parse_args()
    environments = [name for name in ENVIRONMENTS if (ROOT / name / "bin/python").exists()]
    for missing in ENVIRONMENTS.keys() - set(environments):
        print(f"{missing} is not there: its tests are left out")
    before, after = (collected(revision, environments) for revision in (args.old, args.new))
    found = compare(before, after, tomllib.loads(MOVED.read_text("utf-8")))
    print(f"\n{len(before)} before, {len(after)} after")
    print(report(found))
    sys.exit(1 if found.unaccounted or found.wrong else 0)


if __name__ == "__main__":
    main()
