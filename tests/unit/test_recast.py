"""An error that the rules found is put right in the reply, whatever else the reply is about."""

from __future__ import annotations

import pytest

from serve_app.teaching.error_rules import mended
from serve_app.teaching.heard_errors import sure_errors
from serve_app.teaching.plan import Plan, Said
from serve_app.teaching.planner import plan

RIGHT = {
    "É crucial que os jovens votam.": 'A gente diz "é crucial que os jovens votem".',
    "Haviam muitos críticos que discordavam disso, né?": 'A gente diz "havia muitos críticos que discordavam disso".',
    "Espero que você tem um bom dia.": 'A gente diz "espero que você tenha um bom dia".',
    "Caso você tem uma indicação de pedreiro, me fala.": 'A gente diz "caso você tenha uma indicação de pedreiro".',
    "Agora eu tenho muitos amigos, nós se encontramos toda sexta.": 'A gente diz "nós nos encontramos toda sexta".',
    "O autor chama Ruy Castro, você conhece ele?": 'A gente diz "o autor se chama Ruy Castro".',
    "Eu gosto jogar futebol. E você?": "Você gosta de jogar futebol.",
    "Eu tem um gato. Como se diz 'window' em português?": "Você tem um gato.",
    "Eu vai para casa agora. Tchau!": "Você vai para casa agora.",
    "Eu está muito cansado hoje.": "Você está muito cansado hoje.",
}


def reply(said: str, *, level: str = "B1", follow_ups: bool = True, style: str = "recast") -> Plan:
    errors = sure_errors(said, ())
    return plan(
        Said(said, mended(said, errors), level, error=errors[0] if errors else None, style=style),
        follow_ups=follow_ups,
        recast=style == "recast",
    )


@pytest.mark.parametrize(("said", "right"), RIGHT.items())
def test_what_was_found_is_put_right(said: str, right: str) -> None:
    made = reply(said)
    assert right in f"{made.begin} {made.end}"


def test_the_answer_comes_after_it() -> None:
    assert reply("Eu tem um gato. Como se diz 'window' em português?").begin.endswith(
        'Você tem um gato. Em português, "window" é "a janela". Em que frase você usaria isso?'
    )


def test_it_is_said_once() -> None:
    said = "Eu vai para casa agora. Tchau!"
    assert reply(said).begin.count("vai para casa") == 1


def test_a_long_sentence_is_quoted_in_part() -> None:
    made = reply("É importante que o prefeito tem respeito pelas pessoas que moram muito longe do centro da cidade.")
    quoted = made.begin.split('"')[1]
    assert "tenha" in quoted
    assert len(quoted.split()) <= 12


@pytest.mark.parametrize("said", ["Não entendi. Você pode repetir para mim, eu tem problema?", "Eu moro em Recife."])
def test_who_did_not_understand_or_made_no_error_hears_no_correction(said: str) -> None:
    assert "A gente diz" not in reply(said).begin


@pytest.mark.parametrize("style", ["none", "explicit", "prompt"])
def test_other_styles_put_nothing_beside_the_answer(style: str) -> None:
    assert "se chama" not in reply("O autor chama Ruy Castro, você conhece ele?", style=style).begin


def test_what_was_mended_keeps_its_subject() -> None:
    said = "O que mais me marcou foi a ambiguidade do narrador, embora às vezes é difícil de acompanhar."
    assert "embora às vezes seja difícil" in reply(said, level="C1").begin
