"""Exceptions: their one-line messages, and that each of ours arrives whole in another process."""

from __future__ import annotations

import ast
import builtins
import importlib
import inspect
import pickle
import re
from typing import Any, get_type_hints

import pytest
from support.paths import ROOT

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


# --- through pickle, as Ray passes them ----------------------------------------------------------------------


def _classes() -> dict[str, tuple[str, set[str]]]:
    """Every class of serve_app by name: its module, and the names of its bases. Read, so no model library loads."""
    found: dict[str, tuple[str, set[str]]] = {}
    for path in sorted((ROOT / "serve_app").rglob("*.py")):
        text = path.read_text("utf-8")
        module = ".".join(path.relative_to(ROOT).with_suffix("").parts)
        for node in ast.walk(ast.parse(text)) if re.search(r"^ *class \w+\(", text, re.MULTILINE) else ():
            if isinstance(node, ast.ClassDef):
                found[node.name] = (module, {ast.unparse(base).rpartition(".")[2] for base in node.bases})
    return found


def _exceptions() -> list[type[BaseException]]:
    classes = _classes()
    known = {name for name, kind in vars(builtins).items() if inspect.isclass(kind) and issubclass(kind, BaseException)}
    ours: dict[str, str] = {}
    while new := {name: module for name, (module, bases) in classes.items() if bases & known and name not in known}:
        known |= set(new)
        ours |= new
    return [getattr(importlib.import_module(module), name) for name, module in sorted(ours.items())]


EXCEPTIONS = _exceptions()
EXAMPLES: dict[Any, Any] = {str: "the reason", list[str]: ["one", "two"], int: 429, bool: True}


def _example(kind: type[BaseException]) -> BaseException:
    """One with a value for each argument it needs, and a stage where it has one."""
    wanted = inspect.signature(kind.__init__).parameters
    types = get_type_hints(kind.__init__)
    needed = {name: EXAMPLES[types[name]] for name, one in wanted.items() if one.default is one.empty and name in types}
    return kind(**needed, **({"stage": "tts"} if "stage" in wanted else {}))


@pytest.mark.parametrize("kind", EXCEPTIONS, ids=lambda kind: kind.__name__)
def test_each_of_our_exceptions_arrives_whole_in_another_process(kind: type[BaseException]) -> None:
    error = _example(kind)
    arrived = pickle.loads(pickle.dumps(error))
    assert (type(arrived), str(arrived), vars(arrived)) == (kind, str(error), vars(error))


def test_no_exception_of_ours_is_missed() -> None:
    assert {"StackErrors", "WrongFile", "Refused", "Busy", "TalkFailed"} <= {kind.__name__ for kind in EXCEPTIONS}
