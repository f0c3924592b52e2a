"""The one-line messages made from exceptions and names."""

from __future__ import annotations

import pytest

from serve_app.errors import first_line


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (ValueError("no such file\nin this folder"), "no such file"),
        (RuntimeError("\n  out of memory"), "out of memory"),
        (OSError(), "OSError"),
    ],
    ids=["two lines", "an empty first line", "no words"],
)
def test_an_exception_is_told_in_one_line(error: Exception, line: str) -> None:
    assert first_line(error) == line
