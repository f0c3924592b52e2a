"""scripts/ci_minutes.py: the table of CI steps in CONTRIBUTING.md."""

from __future__ import annotations

from scripts.ci_minutes import DOCUMENT, RUN, StepTests, junit_files, listed, read_junit, steps, table

JUNIT = """<?xml version="1.0" encoding="utf-8"?>
<testsuites><testsuite name="pytest" tests="3" time="7.5">
<testcase classname="tests.unit.test_a" name="test_quick" time="0.5" />
<testcase classname="tests.unit.test_a" name="test_slow[x]" time="7.0" />
<testcase classname="tests.unit.test_a" name="test_left_out" time="9.0"><skipped message="no card" /></testcase>
</testsuite></testsuites>
"""


def test_a_junit_file_tells_how_many_ran_and_which_took_longest(tmp_path):
    path, empty = tmp_path / "junit.xml", tmp_path / "empty.xml"
    path.write_text(JUNIT)
    empty.write_text("<testsuites><testsuite /></testsuites>")
    assert read_junit([path, empty]) == StepTests(ran=2, slowest="test_slow[x]", slowest_s=7.0)


def test_a_step_without_tests_has_no_slowest_one():
    assert read_junit([]) is None


SCRIPT = """\
step() {
  local name=$1
}
# step no make nothing
step types make types types-gpu
step test make test &
"""

MAKEFILE = """\
test: .dev ## all
ifdef ARGS
\tpytest $(ARGS)
else
\tpytest unit $(call JUNIT,unit)
\tpytest $(call JUNIT,test)
endif

lint:
\truff

test-browser:
\tpytest $(call JUNIT,browser)
"""


def test_steps_are_read_from_the_script_with_their_targets():
    assert steps(SCRIPT) == {"types": ["types", "types-gpu"], "test": ["test"]}


def test_the_junit_files_of_a_target_are_read_from_its_rule():
    assert junit_files(["lint", "test"], MAKEFILE) == ["unit", "test"]
    assert junit_files(["test-browser"], MAKEFILE) == ["browser"]


def test_the_table_lists_what_it_was_given():
    text = table({"lint": 6.0, "test": 90.0}, {"test": StepTests(2, "test_slow[x]", 7.0)}, 93.0)
    assert "| test | 1.5 | 2 | `test_slow[x]`, 7 s |" in text
    assert "| **all** | **1.6** | **2** | |" in text
    assert listed(f"<!-- ci-minutes -->\n{text}\n<!-- /ci-minutes -->") == ["lint", "test"]


def test_contributing_lists_the_steps_of_ci_run():
    assert listed(DOCUMENT.read_text("utf-8")) == list(steps(RUN.read_text("utf-8")))
