"""A run's rows as tables in Markdown, to paste into docs/gpu-checklist.md."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

Row = Mapping[str, Any]
OMITTED = ("log", "end")
"""Rows for whoever reads results.json."""
WIDEST = 90


def tables(results: Mapping[str, Any]) -> str:
    """All parts of `results.json`: a heading each, then one table for each kind of row."""
    about = results.get("machine", {})
    lines = [
        f"Card: {about.get('card') or 'none'}; "
        + ", ".join(f"{name} {value}" for name, value in about.items() if value and name != "card")
        + (". **Miniatures on a CPU: a rehearsal, not a measurement.**" if results.get("tiny") else "."),
    ]
    for name, part in results.get("parts", {}).items():
        ended = f" ({part['ended']})" if part.get("ended") else ""
        lines += ["", f"### {name}{ended}"]
        kinds = dict.fromkeys(row.get("what", "") for row in part.get("rows", []))
        for kind in kinds:
            if kind not in OMITTED:
                lines += ["", f"{kind}:", "", *_table([row for row in part["rows"] if row.get("what", "") == kind])]
    return "\n".join(lines)


def _table(rows: Sequence[Row]) -> list[str]:
    names = list(dict.fromkeys(name for row in rows for name in row if name != "what"))
    if not names:
        return ["| |", "| --- |"]
    lines = ["| " + " | ".join(names) + " |", "|" + " --- |" * len(names)]
    return lines + ["| " + " | ".join(_cell(row.get(name, "")) for name in names) + " |" for row in rows]


def _cell(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.3g}" if abs(value) < 100 else f"{value:,.0f}"
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {_cell(part)}" for name, part in value.items())
    if isinstance(value, list):
        return ", ".join(map(_cell, value))
    text = " ".join(str(value).split()).replace("|", "\\|")
    return text if len(text) <= WIDEST else text[: WIDEST - 1] + "…"
