"""How the end of a transcript is read: more is coming, or not."""

import pytest

from serve_app.turn_taking.clauses import reading


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Eu gosto de", "unfinished"),
        ("Ontem eu fui ao...", "unfinished"),
        ("Eu não fui porque", "unfinished"),
        ("Eu acho que", "unfinished"),
        ("Eu comprei um", "unfinished"),
        ("O meu prato favorito é", "open"),
        ("Eu moro em Curitiba,", "open"),
        ("Eu comprei um, é...", "filler"),
        ("Hum...", "filler"),
        ("O filme foi ruim, quer dizer,", "filler"),
        ("Deixa eu pensar.", "hold"),
        ("Eu preciso de um, como se diz,", "hold"),
        ("Um momento", "hold"),
        ("Eu moro em Curitiba.", "complete"),
        ("Sim, eu tenho.", "complete"),
        ("Tudo bem.", "complete"),
        ("Não", "complete"),
        ("Que horas são?", "question"),
        ("Muito bem, e você?", "question"),
        ("...", None),
        ("", None),
    ],
)
def test_the_end_is_read(text: str, expected: str | None) -> None:
    assert reading(text) == expected
