"""Where in a YAML file a value is wrong, and what would be right."""

from __future__ import annotations

from typing import Any, cast

from pydantic import ValidationError

from serve_app.config.yaml_file import Place


def explained(error: ValidationError, data: Any) -> list[tuple[Place, str]]:
    """Pydantic's errors, one for each place in the file."""
    faults: dict[Place, list[str]] = {}
    for fault in error.errors():
        place = _place(fault["loc"], data)
        what = fault["msg"].removeprefix("Value error, ")
        if fault["type"] == "missing":
            what = f"'{fault['loc'][-1]}' is missing"
        elif fault["type"] != "value_error":
            what = f"{what[0].lower()}{what[1:]}, not {fault['input']!r:.60}"
        elif (head := what.partition(": "))[1] and _place((*place, head[0]), data) != place:
            place, what = (*place, head[0]), head[2]
        faults.setdefault(place, []).append(" ".join(what.split()))
    return [(place, "; or ".join(dict.fromkeys(what))) for place, what in faults.items()]


def _place(loc: tuple[str | int, ...], data: Any) -> Place:
    """A pydantic location without the names of union members, which are not in the file."""
    place: Place = ()
    for part in loc:
        inside = part in data if isinstance(data, dict) else isinstance(data, list) and part in range(len(data))
        if inside:
            place, data = (*place, part), cast(Any, data)[part]
    return place
