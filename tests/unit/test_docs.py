"""What the documentation says exists: links, files, make targets, every key of the YAML, the layers of the code."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from types import UnionType
from typing import Any, TypeGuard, Union, get_args, get_origin

import pytest
from pydantic import BaseModel
from pydantic.fields import FieldInfo
from support.paths import ROOT

from scripts import figures
from serve_app.config import lint
from serve_app.config.limits import Limits
from serve_app.config.stack import CefrConfig, GpuConfig, LlmConfig, StackArgs, SttConfig, TtsConfig
from serve_app.config.store import StoreSettings
from serve_app.config.user_config import SETTINGS

PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *ROOT.glob("deploy/*/*.md")])
"""The pages people read."""
FOLDERS = r"serve_app|tests|docs|deploy|scripts|configs|bench|examples|constraints|\.ci"
CONFIGURATION = (ROOT / "docs/configuration.md").read_text("utf-8")
STAGES = {"stt": SttConfig, "cefr": CefrConfig, "llm": LlmConfig, "tts": TtsConfig}

page = pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))


def anchors(text: str) -> set[str]:
    """Of the headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@page
def test_a_relative_link_leads_to_a_file_and_a_heading(page: Path):
    text = page.read_text("utf-8")
    links = [*re.findall(r"\]\(([^)\s]+)\)", text), *re.findall(r'<img src="([^"]+)"', text)]
    broken = []
    for link in links:
        if re.match(r"[a-z]+:", link):
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path) if path else page
        if not target.exists() or (anchor and anchor not in anchors(target.read_text("utf-8"))):
            broken.append(link)
    assert broken == []


@page
def test_a_file_that_is_named_exists(page: Path):
    named = re.findall(rf"(?<![\w/.-])((?:{FOLDERS})/[\w./*-]*[\w*/])", page.read_text("utf-8"))
    assert [name for name in named if not list(ROOT.glob(name.removesuffix("/")))] == []


@page
def test_a_make_target_that_is_named_exists(page: Path):
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE))
    assert set(re.findall(r"(?:`|^    |^\| *)make ([a-z-]+)", page.read_text("utf-8"), re.MULTILINE)) <= targets


@pytest.mark.parametrize(("file", "marker"), sorted(figures.latency() | figures.soak() | figures.turn_taking()))
def test_a_table_is_the_one_of_the_data_file(file: str, marker: str):
    found = re.search(rf"<!-- {marker} -->\n(.*?)<!-- /{marker} -->", (ROOT / file).read_text("utf-8"), re.DOTALL)
    assert found is not None
    assert found[1].strip() == (figures.latency() | figures.soak() | figures.turn_taking())[file, marker].strip()


# --- docs/configuration.md ---------------------------------------------------------------------------------


def rows(heading: str) -> list[list[str]]:
    """The cells of the tables below a heading, without the heads of the tables."""
    section = re.search(rf"^#+ {re.escape(heading)}\n(.*?)(?=^#|\Z)", CONFIGURATION, re.MULTILINE | re.DOTALL)
    assert section is not None
    lines = [line for line in section[1].splitlines() if line.startswith("|")]
    cells = [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines]
    return [row for row in cells if row[0].startswith("`")]


def default(field: FieldInfo) -> str:
    """As the table has it."""
    if field.is_required():
        return "required"
    value = field.get_default(call_default_factory=True)
    if value is None:
        return "none"
    return f"`{getattr(value, 'engine', value)}`"


def keys(model: type[BaseModel]) -> Iterator[tuple[str, str]]:
    """The leaves and their defaults; what a nested model has follows after a dot."""
    for name, field in model.model_fields.items():
        union = get_args(field.annotation) if get_origin(field.annotation) in (Union, UnionType) else ()
        inner = next((kind for kind in (field.annotation, *union) if is_model(kind)), None)
        if inner is None:
            yield name, default(field)
        else:
            yield from ((f"{name}.{key}", value) for key, value in keys(inner))


def is_model(kind: Any) -> TypeGuard[type[BaseModel]]:
    return isinstance(kind, type) and issubclass(kind, BaseModel)


def engines() -> Iterator[tuple[str, str, str]]:
    for stage, union in STAGES.items():
        for config in get_args(get_args(union)[0]):
            [engine] = get_args(config.model_fields["engine"].annotation)
            for key, value in keys(config):
                if key != "engine":
                    yield f"`{stage}.{key}`", f"`{engine}`", value


def test_every_key_of_the_stack_is_documented_with_its_default():
    written = {row[0]: row[1] for row in rows("The stack")}
    expected = {f"`{name}`": default(field) for name, field in StackArgs.model_fields.items()}
    assert written == expected | dict.fromkeys(("`limits`", "`store`", "`gpu`"), "see below")
    assert {tuple(row[:2]) for row in rows("`gpu`")} == {(f"`{key}`", value) for key, value in keys(GpuConfig)}


def test_every_key_of_every_engine_is_documented_with_its_default():
    assert {tuple(row[:3]) for row in rows("The engines")} == set(engines())


def test_every_limit_is_documented_with_its_default():
    assert {tuple(row[:2]) for row in rows("`limits`")} == {(f"`{key}`", value) for key, value in keys(Limits)}


def test_every_key_of_the_store_is_documented_with_its_default():
    url = f"`{StoreSettings().url.get_secret_value()}`"  # whose own text is ***
    expected = {(f"`{key}`", url if key == "url" else value) for key, value in keys(StoreSettings)}
    assert {tuple(row[:2]) for row in rows("`store`")} >= expected


def test_every_key_of_user_config_is_documented_with_its_default():
    expected = {
        (f"`{deployment}`", f"`{key}`", "the built-in prompt" if key == "prompt.system" else value)
        for deployment, model in SETTINGS.items()
        for key, value in keys(model)
    }
    assert {tuple(row[:3]) for row in rows("`deployments`")} == expected


def test_the_example_is_a_stack_that_check_accepts(tmp_path: Path):
    [example] = re.findall(r"```yaml\n(.*?)```", CONFIGURATION, re.DOTALL)
    path = tmp_path / "stack.yaml"
    path.write_text(example, "utf-8")
    assert lint.read(path).args.stages().keys() == {"stt", "cefr", "llm", "tts"}


# --- docs/architecture.md ----------------------------------------------------------------------------------


def test_the_layers_are_those_that_the_import_contract_checks():
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["importlinter"]["contracts"]
    [layers] = [contract["layers"] for contract in contracts if contract["type"] == "layers"]
    text = (ROOT / "docs/architecture.md").read_text("utf-8")
    place = re.search(r"<!-- layers -->\n```\n(.*?)```\n<!-- /layers -->", text, re.DOTALL)
    assert place is not None
    assert [line.split("  ")[0].strip() for line in place[1].strip().splitlines()] == layers
