"""A YAML file with the line number of each key, for error messages.

Built on PyYAML, with which Ray Serve reads the same file: YAML 1.1, where `off` is false.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import yaml

from serve_app.errors import StackErrors

Place = tuple[str | int, ...]
"""Keys and list indices from the top of the file."""


class WrongFile(StackErrors):
    """The file has errors; `faults` has one line for each."""


class YamlFile:
    """The content of a file (`data`) and the lines of its keys.

    Raises:
        WrongFile: it cannot be read, is not YAML or not a mapping, or has a key twice (PyYAML would
            silently use the last one).
    """

    def __init__(
        self, path: Path, expected: str = "is no stack file: a mapping with 'applications' is expected"
    ) -> None:
        """`expected` says of a file that holds no mapping what it should hold."""
        self.path = path
        self._lines: dict[Place, int] = {}
        self._faults: list[str] = []
        try:
            loader = yaml.SafeLoader(path.read_text("utf-8"))
            node = loader.get_single_node()
            self.data: Any = None if node is None else loader.construct_document(node)
        except OSError as error:
            raise WrongFile([f"{path}: {error.strerror}"]) from None
        except UnicodeDecodeError:
            raise WrongFile([f"{path}: is no text in UTF-8"]) from None
        except yaml.MarkedYAMLError as error:
            mark = error.problem_mark or error.context_mark
            raise WrongFile([f"{path}:{mark.line + 1 if mark else 1}: {error.problem or error.context}"]) from None
        except (yaml.YAMLError, ValueError, RecursionError) as error:
            raise WrongFile([f"{path}: {str(error).splitlines()[0]}"]) from None
        if node is None or not isinstance(self.data, dict):
            raise WrongFile([f"{path}: {expected}"])
        self._walk(node, (), ())
        if self._faults:
            raise WrongFile(self._faults)

    def fault(self, place: Place, what: str) -> str:
        """An error message with file, line and key."""
        name = self.name(place)
        return f"{self.path}:{self.line(place)}: {name}: {what}" if name else f"{self.path}:{self.line(place)}: {what}"

    def line(self, place: Place) -> int:
        """The line of a key, or of the nearest enclosing key."""
        while place and place not in self._lines:
            place = place[:-1]
        return self._lines.get(place, 1)

    def name(self, place: Place) -> str:
        """A place as text, `a.b.c`: list items that have a `name` are called by it."""
        parts: list[str] = []
        value: Any = self.data
        for part in place:
            try:
                value = cast(Any, value)[part]
            except (KeyError, IndexError, TypeError):
                value = None
            named = isinstance(part, int) and isinstance(value, dict) and isinstance(value.get("name"), str)
            parts.append(str(value["name"]) if named and value is not None else str(part))
        return ".".join(parts)

    def _walk(self, node: yaml.Node, place: Place, above: tuple[int, ...]) -> None:
        if id(node) in above:
            self._faults.append(f"{self.path}:{node.start_mark.line + 1}: an alias contains itself")
            return
        above = (*above, id(node))
        if isinstance(node, yaml.MappingNode):
            seen: set[str] = set()
            for key, value in node.value:
                inner = (*place, key.value)
                self._lines.setdefault(inner, key.start_mark.line + 1)
                if key.tag != "tag:yaml.org,2002:str" and key.tag != "tag:yaml.org,2002:merge":
                    self._faults.append(self.fault(inner, "a key must be text; put it in quotes"))
                if key.value in seen:
                    self._faults.append(f"{self.path}:{key.start_mark.line + 1}: {self.name(inner)}: is there twice")
                seen.add(key.value)
                self._walk(value, inner, above)
        elif isinstance(node, yaml.SequenceNode):
            for index, item in enumerate(node.value):
                self._lines.setdefault((*place, index), item.start_mark.line + 1)
                self._walk(item, (*place, index), above)
