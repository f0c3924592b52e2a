"""A YAML file with the line each of its keys stands on, so that a fault can be found in an editor."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import yaml

from serve_app.errors import StackErrors

Place = tuple[str | int, ...]
"""Keys and list indices from the top of the file."""


class WrongFile(StackErrors):
    """A file that says something nobody understands."""


class YamlFile:
    """What a file says (`data`) and where.

    Raises:
        WrongFile: it cannot be read, is no YAML, is no mapping, or has a key twice (YAML
            would take the last one without a word).
    """

    def __init__(self, path: Path) -> None:
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
            raise WrongFile([f"{path}: is no stack file: a mapping with 'applications' is expected"])
        self._walk(node, (), ())
        if self._faults:
            raise WrongFile(self._faults)

    def fault(self, place: Place, what: str) -> str:
        """The line that tells a person what is wrong and where."""
        name = self.name(place)
        return f"{self.path}:{self.line(place)}: {name}: {what}" if name else f"{self.path}:{self.line(place)}: {what}"

    def line(self, place: Place) -> int:
        """The line of a key, or of the nearest key around it."""
        while place and place not in self._lines:
            place = place[:-1]
        return self._lines.get(place, 1)

    def name(self, place: Place) -> str:
        """A place as it is read aloud: list items by their `name` where they have one."""
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
