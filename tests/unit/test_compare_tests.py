"""scripts/compare_tests.py: which test went where."""

from __future__ import annotations

from scripts.compare_tests import compare, report


def test_a_test_that_is_collected_again_is_the_same():
    found = compare(["tests/a.py::test_x[1]"], ["tests/a.py::test_x[1]"], {})
    assert found.same == ["tests/a.py::test_x[1]"]
    assert found.unaccounted == []


def test_a_test_is_found_by_name_and_parameters_in_another_file():
    before = ["tests/a.py::test_x[1]", "tests/a.py::test_x[2]"]
    found = compare(before, ["tests/unit/b.py::test_x[1]", "tests/unit/b.py::test_x[2]"], {})
    assert found.moved == {f"tests/a.py::test_x[{n}]": f"tests/unit/b.py::test_x[{n}]" for n in (1, 2)}


def test_other_parameters_are_another_test():
    found = compare(["tests/a.py::test_x[1]"], ["tests/a.py::test_x[one]"], {})
    assert found.unaccounted == ["tests/a.py::test_x[1]"]
    assert found.added == ["tests/a.py::test_x[one]"]


def test_one_test_does_not_stand_for_two_of_the_same_name():
    found = compare(["tests/a.py::test_x", "tests/b.py::test_x"], ["tests/c.py::test_x"], {})
    assert found.moved == {"tests/a.py::test_x": "tests/c.py::test_x"}
    assert found.unaccounted == ["tests/b.py::test_x"]


def test_a_file_that_keeps_its_test_does_not_lend_it_to_another():
    found = compare(["tests/a.py::test_x", "tests/b.py::test_x"], ["tests/b.py::test_x"], {})
    assert found.same == ["tests/b.py::test_x"]
    assert found.unaccounted == ["tests/a.py::test_x"]


def test_an_explanation_covers_all_parameters_or_one():
    before = ["tests/a.py::test_x[1]", "tests/a.py::test_x[2]", "tests/a.py::test_y[1]", "tests/a.py::test_y[2]"]
    found = compare(before, [], {"tests/a.py::test_x": "gone with the feature", "tests/a.py::test_y[1]": "as well"})
    assert found.explained.keys() == set(before[:3])
    assert found.unaccounted == ["tests/a.py::test_y[2]"]


def test_an_explanation_must_name_tests_that_exist():
    explanations = {
        "tests/a.py::test_x": "tests/b.py::test_z: the same on a real server",
        "tests/a.py::test_y": "tests/b.py::test_nothing, faster",
    }
    found = compare(["tests/a.py::test_x", "tests/a.py::test_y"], ["tests/b.py::test_z[1]"], explanations)
    assert found.wrong == ["tests/a.py::test_y: tests/b.py::test_nothing is not collected"]


def test_the_report_names_what_is_lost():
    before = ["tests/a.py::test_x", "tests/a.py::test_y", "tests/a.py::test_z[1]", "tests/a.py::test_z[2]"]
    told = report(compare(before, ["tests/b.py::test_y"], {"tests/a.py::test_z": "gone with the feature"}))
    assert "2  tests/a.py::test_z -> gone with the feature" in told
    assert "1  tests/a.py -> tests/b.py" in told
    assert "1 not accounted for\n  LOST tests/a.py::test_x" in told
