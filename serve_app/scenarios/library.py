"""The scenarios there are: those that ship with Parle, and a folder of the operator's own."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from serve_app.config.yaml_faults import explained
from serve_app.config.yaml_file import WrongFile, YamlFile
from serve_app.errors import InvalidField, did_you_mean
from serve_app.package_data import data_file
from serve_app.protocols import LEVELS
from serve_app.scenarios.scenario import Scenario, for_level
from serve_app.sentences import cuts, speakable, whole_sentences

FREE_TALK = "conversa"
MOST_FILES = 200
FIRST_WORDS, FIRST_CHARACTERS = 2, 5
LARGEST_FILE = 200_000
"""Bytes."""


class Library:
    """Scenarios by their ids, in the order in which a list shows them."""

    def __init__(self, scenarios: Iterable[Scenario]) -> None:
        self._scenarios = {scenario.id: scenario for scenario in scenarios}

    def __iter__(self) -> Iterator[Scenario]:
        return iter(self._scenarios.values())

    def find(self, scenario_id: str | None) -> Scenario | None:
        """The scenario; None if there is none of that id, as after the operator's file was removed."""
        return None if scenario_id is None else self._scenarios.get(scenario_id)

    def check(self, scenario_id: str | None) -> None:
        """Refuse a scenario that there is not.

        Raises:
            InvalidField: the message names the nearest there is.
        """
        if scenario_id is not None and scenario_id not in self._scenarios:
            raise InvalidField(f"scenario: {did_you_mean('scenario', scenario_id, self._scenarios)}")


@cache
def shipped() -> Library:
    """Those of `serve_app/data/scenarios`: free talk first, then by level and title."""
    return Library(sorted(_of_folder(data_file("scenarios")), key=_shown_at))


def library(folder: Path | None) -> Library:
    """The shipped ones and those of `folder`, which replace shipped ones of the same name.

    Raises:
        WrongFile: the folder cannot be read, or a file has errors; one line for each.
    """
    if folder is None:
        return shipped()
    return Library([*shipped(), *sorted(_of_folder(folder), key=_shown_at)])


def read_scenario(path: Path) -> Scenario:
    """The scenario of one file.

    Raises:
        WrongFile: with all errors, one line each: file, line, key, what would be right.
    """
    try:
        if path.stat().st_size > LARGEST_FILE:
            raise WrongFile([f"{path}: is larger than {LARGEST_FILE // 1000} kB"])
    except OSError as error:
        raise WrongFile([f"{path}: {error.strerror}"]) from None
    file = YamlFile(path, "is no scenario: a mapping with 'title', 'setting' and so on is expected")
    data: dict[str, Any] = file.data
    if "id" in data:
        raise WrongFile([file.fault(("id",), "the id of a scenario is the name of its file; leave it out")])
    try:
        return Scenario.model_validate({"id": path.stem, **data})
    except ValidationError as error:
        faults = [
            (file.line(place), f"{path}: the name of the file becomes the id: a-z, 0-9 and - only")
            if place == ("id",)
            else (file.line(place), file.fault(place, what))
            for place, what in explained(error, {"id": path.stem, **data})
        ]
        raise WrongFile([text for _, text in sorted(set(faults))]) from None


def kept_texts() -> Iterator[str]:
    """What is spoken of the shipped scenarios, piece by piece: its sound can be kept."""
    for scenario in shipped():
        for text in scenario.texts():
            yield first_piece(text)
            yield from (sentence.strip() for sentence in whole_sentences(text))


def openers() -> Iterator[tuple[str, str]]:
    """The first piece of every opener, with each level that hears it."""
    for scenario in shipped():
        low, high = (LEVELS.index(level) for level in scenario.levels)
        for level in LEVELS[low : high + 1]:
            yield from ((first_piece(text), level) for text in for_level(scenario.opener, level))


def first_piece(text: str) -> str:
    """What the voice is given first of a text: as serve_app.lesson.speech_cutter cuts it."""
    pieces = (speakable(text[:position]) for position, _ in cuts(text, final=True))
    long_enough = (one for one in pieces if len(one.split()) >= FIRST_WORDS and len(one) >= FIRST_CHARACTERS)
    return next(long_enough, text)


def _of_folder(folder: Path) -> list[Scenario]:
    try:
        paths = sorted(path for path in folder.iterdir() if path.suffix in (".yaml", ".yml"))
    except OSError as error:
        raise WrongFile([f"scenarios_folder: {folder}: {error.strerror}"]) from None
    if len(paths) > MOST_FILES:
        raise WrongFile([f"scenarios_folder: {folder}: has more than {MOST_FILES} files"])
    found, faults = [], []
    for path in paths:
        try:
            found.append(read_scenario(path))
        except WrongFile as error:
            faults += error.faults
    if faults:
        raise WrongFile(faults)
    return found


def _shown_at(scenario: Scenario) -> tuple[bool, bool, int, int, str]:
    low, high = (LEVELS.index(level) for level in scenario.levels)
    return scenario.kind != "talk", scenario.kind != "placement", low, high, scenario.title
