"""Scenario files: what they hold, what is refused, and which step is done by what was said."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from serve_app.config import lint
from serve_app.config.yaml_file import WrongFile
from serve_app.errors import InvalidField
from serve_app.launch import preflight
from serve_app.lesson.speech_cutter import FIRST_CHARACTERS, FIRST_WORDS, Pace, PieceCutter
from serve_app.package_data import data_file
from serve_app.scenarios.library import first_piece, kept_texts, library, openers, read_scenario, shipped
from serve_app.scenarios.progress import Progress, heard, next_step
from serve_app.scenarios.scenario import Scenario, Signs, for_level

SMALLEST = re.findall(r"```yaml\n(.*?)```", Path("docs/lessons.md").read_text("utf-8"), re.DOTALL)[0]


def scenario(tmp_path: Path, text: str, name: str = "taxi.yaml") -> Scenario:
    path = tmp_path / name
    path.write_text(text, "utf-8")
    return read_scenario(path)


def faults(tmp_path: Path, text: str, name: str = "taxi.yaml") -> list[str]:
    with pytest.raises(WrongFile) as error:
        scenario(tmp_path, text, name)
    return [fault.removeprefix(f"{tmp_path}/") for fault in error.value.faults]


def test_the_smallest_scenario_of_the_docs_is_one(tmp_path: Path) -> None:
    taxi = scenario(tmp_path, SMALLEST)
    assert (taxi.id, taxi.kind, taxi.levels) == ("taxi", "role-play", ["A1", "C2"])
    assert for_level(taxi.opener, "C1") == ["Boa tarde! Para onde vamos?"]


NO_SIGN = "give at least one of words, patterns, answer, answer_words"
BROKEN = "is no regular expression: missing ), unterminated subpattern at position 0"
WORDS = "words: [praia, aeroporto, hotel, centro]"


@pytest.mark.parametrize(
    ("old", "new", "fault"),
    [
        ("goal:", "gaol:", "4: gaol: unknown key 'gaol'; did you mean 'goal'?"),
        ("ask:", "asks:", "9: steps.0.asks: unknown key 'asks'; did you mean 'ask'?"),
        ("vamos?\n", "vamos\n", "5: opener: what the tutor says ends with one of . ! ? …, not 'rde! Para onde vamos'"),
        (WORDS, "patterns: ['(']", f"10: steps.0.done.patterns.0: {BROKEN}"),
        (WORDS, "words: []", f"10: steps.0.done: {NO_SIGN}"),
        (WORDS, "words: [no]", "10: steps.0.done.words.0: input should be a valid string, not False"),
        ("opener: Boa", "opener: {A1: Oi., Z: Oi.}\n#", "5: opener.Z: unknown band or level 'Z'; known: A, B, C, A1"),
        ("setting:", "kind: role\nsetting:", "2: kind: input should be 'role-play', 'talk' or 'placement', not 'role'"),
        ("closing: Certo, vamos lá!", "", "1: closing: a scenario of kind role-play needs 'closing'"),
        ("setting:", "id: taxi\nsetting:", "2: id: the id of a scenario is the name of its file; leave it out"),
        ("setting:", "levels: [B1, A1]\nsetting:", "2: levels: the lowest level comes first"),
        ("goal: Dizer", "goal: [a", "5: expected ',' or ']', but got ':'"),
    ],
)
def test_an_error_is_told_with_its_line_and_what_would_be_right(tmp_path: Path, old: str, new: str, fault: str) -> None:
    assert old in SMALLEST
    [told, *_] = faults(tmp_path, SMALLEST.replace(old, new))
    assert told.startswith(f"taxi.yaml:{fault}")


def test_a_file_name_that_is_no_id_is_refused(tmp_path: Path) -> None:
    [fault] = faults(tmp_path, SMALLEST, "No Táxi.yaml")
    assert fault == "No Táxi.yaml: the name of the file becomes the id: a-z, 0-9 and - only"


def test_an_operator_adds_scenarios_and_replaces_shipped_ones(tmp_path: Path) -> None:
    (tmp_path / "taxi.yaml").write_text(SMALLEST, "utf-8")
    (tmp_path / "padaria.yaml").write_text(SMALLEST, "utf-8")
    (tmp_path / "leia-me.txt").write_text("de outra coisa", "utf-8")
    mine = library(tmp_path)
    assert {one.id for one in mine} == {one.id for one in shipped()} | {"taxi"}
    padaria = mine.find("padaria")
    assert padaria is not None
    assert padaria.title == "No táxi"


def test_all_files_of_a_folder_are_checked(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(SMALLEST.replace("goal:", "gaol:"), "utf-8")
    (tmp_path / "b.yaml").write_text("- uma lista", "utf-8")
    with pytest.raises(WrongFile) as error:
        library(tmp_path)
    assert any("b.yaml: is no scenario" in fault for fault in error.value.faults)
    assert any("a.yaml:4: gaol" in fault for fault in error.value.faults)
    with pytest.raises(WrongFile, match=r"scenarios_folder: .*: No such file or directory"):
        library(tmp_path / "longe")


def test_the_check_of_a_stack_names_the_line_of_a_wrong_scenario(tmp_path: Path) -> None:
    stack = tmp_path / "stack.yaml"
    text = Path("configs/cpu_stack.yaml").read_text("utf-8")
    stack.write_text(
        text.replace("follow_ups: true", f"follow_ups: true\n            scenarios_folder: {tmp_path}/cenas")
    )
    (tmp_path / "cenas").mkdir()
    (tmp_path / "cenas/taxi.yaml").write_text(SMALLEST.replace("goal:", "gaol:"), "utf-8")
    with pytest.raises(WrongFile, match=r"cenas/taxi\.yaml:4: gaol: unknown key 'gaol'; did you mean 'goal'\?"):
        preflight.check_settings(lint.read(stack))


def test_an_unknown_scenario_is_refused_with_the_nearest() -> None:
    shipped().check(None)
    shipped().check("padaria")
    with pytest.raises(InvalidField, match="unknown scenario 'padara'; did you mean 'padaria'\\?"):
        shipped().check("padara")


def test_an_opener_begins_with_words_that_can_be_spoken_alone() -> None:
    for text, _ in openers():
        assert len(text.split()) >= FIRST_WORDS, text
        assert len(text) >= FIRST_CHARACTERS, text
        assert text in set(kept_texts())


def test_the_first_piece_is_the_one_that_the_voice_is_given() -> None:
    for one in shipped():
        for text in one.texts():
            cutter = PieceCutter(Pace())
            cutter.feed(text)
            cutter.finish()
            assert cutter.next_piece(0.0) == first_piece(text)


def test_every_shipped_scenario_is_whole() -> None:
    assert {one.id for one in shipped()} == {path.stem for path in data_file("scenarios").glob("*.yaml")}
    assert next(iter(shipped())).kind == "talk"
    for one in shipped():
        if one.kind == "role-play":
            assert len(one.steps) >= 4, one.id
            assert one.words, one.id
            assert one.reactions, one.id


def test_a_sign_is_a_word_its_plural_a_pattern_or_an_answer_to_the_question() -> None:
    signs = Signs(words=["pão de queijo", "café"], patterns=[r"\bquer\w+ leite"], answer=["^sim"], answer_words=6)
    for said in ("Dois pão de queijo.", "Três cafés, por favor", "Eu queria leite"):
        assert signs.seen_in(said, asked=False), said
    for said in ("Sim, quero.", "Eu vou levar um bolo para casa"):
        assert signs.seen_in(said, asked=True), said
        assert not signs.seen_in(said, asked=False), said
    assert not signs.seen_in("A cafeteira", asked=True)


def test_steps_are_done_in_any_order_and_asked_for_in_theirs(tmp_path: Path) -> None:
    padaria = shipped().find("padaria")
    assert padaria is not None
    progress = heard(padaria, Progress("padaria", asked=("pao",)), "Quanto custa o café?")
    assert progress.done == ("bebida", "preco")
    step = next_step(padaria, progress)
    assert step is not None
    assert step.id == "pao"


def test_a_step_that_is_not_done_is_left_for_a_while_and_in_the_end() -> None:
    padaria = shipped().find("padaria")
    assert padaria is not None
    progress, asked = Progress("padaria"), []
    while (step := next_step(padaria, progress)) is not None:
        asked.append(step.id)
        progress = progress.having_asked(step.id)
    ids = [step.id for step in padaria.steps]
    assert asked == [one for one in ids for _ in range(2)] * 2
    assert Progress.of(progress.data()) == progress
