"""The mechanical checks of the tutor's replies, on replies that a person has judged."""

from __future__ import annotations

from pathlib import Path
from typing import get_args

import pytest

from bench.tutor_checks import faults
from bench.tutor_conversations import Conversation, Kind, Line, Part, conversations
from bench.tutor_replies import Reply
from bench.tutor_sheet import Row, agreement, sheet
from serve_app.protocols import LEVELS

BEFORE = ("Olha só. Você mora em Recife. O que você faz em Recife?",)

FAULTS = (
    ("Eu moro em Porto Alegre faz seis meses.", "Eu moro em Porto Alegre faz seis meses. Onde?", "first-person echo"),
    ("Minha mãe está no hospital.", "Sinto muito. Como está minha mãe?", "first-person echo"),
    ("Eu está muito cansado hoje.", "Puxa. Eu estou muito cansado hoje. Por quê?", "first-person echo"),
    ("Eu moro em Olinda.", "Olha só. Você mora em Olinda. Com quem?", "opening repeated"),
    ("Eu sou médica.", "Ah, sim. Você é médica. O que você faz em Recife?", "question repeated"),
    ("Eu sou médica.", "Ah, sim. Você tiene trabajo. Onde?", "other languages"),
    ("De que cidade eu falei?", "Deixa eu pensar. Eu falei de Olinda. O que mais?", "first-person echo"),
    (
        "Não sou contra, só acho que falta debate.",
        "Ah. Você é contra, só acho que falta debate. E?",
        "first-person echo",
    ),
    ("Minha avó me ensinou a dançar.", "Ah. A avó, que me ensinou a dançar. Onde?", "first-person echo"),
    ("Eu não consegui tirar foto.", "Ah. Você não consegui tirar foto. Por quê?", "verb in the wrong person"),
    ("Nós comemos e caminhamos.", "Ah. Vocês comeram e caminhamos. Onde?", "verb in the wrong person"),
    ("Eu sou médica.", "[A1] Ah, sim. Você é médica. Onde?", "parts of the prompt"),
)

FINE = (
    ("Eu moro em Porto Alegre faz seis meses.", "Que bom. Você mora em Porto Alegre há seis meses. E o trabalho?"),
    ("Eu gosto de café. E você?", "Eu gosto de café. Você toma café de manhã?"),
    ("Eu perdi meu emprego.", "Eu sinto muito que você perdeu seu emprego. O que aconteceu?"),
    ("Eu não tenho trabalho agora.", "Que pena. Você não tem trabalho agora. O que você quer fazer?"),
    ("Caso você tenha uma indicação, me fala.", "Sei. Então me fala onde você mora. É longe?"),
    ("Não entendi.", "Claro, de novo. O que você faz em Recife?"),
    ("Como se diz 'dog'?", "'Dog' é \"cachorro\". Você tem um cachorro?"),
)


@pytest.mark.parametrize(("said", "reply", "fault"), FAULTS)
def test_a_fault_is_found_and_no_other(said: str, reply: str, fault: str) -> None:
    assert [name for name, found in faults(reply, Line(said), "A1", BEFORE).items() if found] == [fault]


@pytest.mark.parametrize(("said", "reply"), FINE)
def test_a_good_reply_has_no_fault(said: str, reply: str) -> None:
    assert not any(faults(reply, Line(said), "A1", BEFORE).values())


@pytest.mark.parametrize(
    ("reply", "cheerful", "cold"),
    [
        ("Que legal! Seu avô morreu. Quando?", True, True),
        ("Sinto muito. Seu avô morreu. Quando?", False, False),
        ("Ah, entendi. Seu avô morreu. Quando?", False, True),
        ("Sinto muito. Que bom que você está aqui. Quando?", True, False),
    ],
)
def test_bad_news_wants_sympathy_and_no_cheer(reply: str, cheerful: bool, cold: bool) -> None:
    found = faults(reply, Line("Meu avô morreu.", bad_news=True), "A1")
    assert (found["cheerful answer to bad news"], found["bad news without sympathy"]) == (cheerful, cold)


def test_an_answer_must_be_said_and_not_asked() -> None:
    line = Line("Como se chama o meu gato?", answer="Bruno")
    assert faults("Boa pergunta. O seu gato é o Bruno?", line, "A1")["question without an answer"]
    assert not faults("Ele se chama Bruno. Ele é bonito?", line, "A1")["question without an answer"]


def test_each_part_of_the_conversations_has_all_levels() -> None:
    for part in get_args(Part):
        chosen = conversations(part)
        if part in ("blind", "blind2"):
            assert {one.level for one in chosen} == set(LEVELS[:5])
        else:
            assert sorted(one.level for one in chosen) == sorted(LEVELS[:5] * 4)
        assert {len(one.lines) for one in chosen} == {8}
    said = [line.said for part in get_args(Part) for one in conversations(part) for line in one.lines]
    assert len(set(said)) > 850


def test_the_last_part_is_passed_by_its_examples_and_not_by_an_echo() -> None:
    chosen = conversations("blind2")
    for one in chosen:
        earlier: list[str] = []
        for line in one.lines:
            assert bool(line.example) == bool(line.right or line.answer or line.bad_news), line.said
            assert bool(line.kind) == bool(line.answer), line.said
            if line.example is None:
                continue
            found = [name for name, fault in faults(line.example, line, one.level, earlier).items() if fault]
            assert not found, (line.said, line.example, found)
            earlier.append(line.example)
            echo = faults(f"Você disse: {line.said}", line, one.level)
            assert echo.get("error not recast", True), line.said
            if line.kind not in ("request", "goodbye"):
                assert echo.get("question without an answer", True), line.said
            for text in ("Entendo. Que coisa! O que você acha disso?", "Boa pergunta! Não sei dizer. Me conta mais."):
                dull = faults(text, line, one.level)
                assert dull.get("error not recast", True), line.said
                assert dull.get("question without an answer", True), line.said
    asked = [line for one in chosen for line in one.lines if line.kind and line.kind != "goodbye"]
    assert len(asked) >= 60
    assert {line.kind for line in asked} == set(get_args(Kind)) - {"goodbye"}
    assert all(one.asks_for_fact(line) for one in chosen for line in one.lines if line.kind == "memory")
    assert len({one.first_language for one in chosen}) >= 10


def test_an_error_may_be_recast_in_either_person_and_an_answer_may_quote_a_question() -> None:
    line = Line("Ontem eu foi na praia.", right=r"\b(?:fui\b|você foi\b)")
    assert not faults("Ah, você foi à praia. Com quem?", line, "A1")["error not recast"]
    asked = Line("Como eu pergunto o preço?", answer="quanto custa", kind="say")
    assert not faults("A gente diz: “Quanto custa?”", asked, "A1")["question without an answer"]
    assert faults("Quanto custa?", asked, "A1")["question without an answer"]
    advised = Line("Me dá uma ideia.", answer="bilhete", kind="advice")
    assert not faults("Que tal um bilhete?", advised, "A1")["question without an answer"]


def test_a_sheet_that_was_filled_in_says_how_far_the_checks_agree(tmp_path: Path) -> None:
    line = Line("Meu avô morreu.", bad_news=True)
    one = Conversation("one", "A1", "German", (line,))
    texts = ("Que bom! Quando?", "Sinto muito. Quando?", "Que pena. Você morreu. Quando?")
    replies = [Reply(one, line, line.said, text, faults(text, line, "A1")) for text in texts]
    rows = [Row.model_validate_json(row) for row in sheet(replies, 3).splitlines()]
    path = tmp_path / "sheet.jsonl"
    path.write_text(sheet(replies, 3), "utf-8")
    with pytest.raises(ValueError, match="line 1: fill in"):
        agreement(path)
    fits = {texts[0]: False, texts[1]: True, texts[2]: False}
    filled = [row.model_copy(update={"grammatical": True, "fits": fits[row.reply]}) for row in rows]
    filled[0] = filled[0].model_copy(update={"disagree": ["too long"]})
    path.write_text("\n".join(row.model_dump_json() for row in filled), "utf-8")
    found = agreement(path)
    assert found["fits"] == pytest.approx(1 / 3)
    assert found["checks and person agree whether it fits"] == pytest.approx(2 / 3)
    assert found["of those that the checks pass, fit"] == 0.5
    assert found["right: too long"] == pytest.approx(2 / 3)
