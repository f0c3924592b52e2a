"""Facts a learner tells of themselves, by a few rules that are sure: "moro em Lyon", "tenho um gato".

What is kept is the few words that a rule names, never the sentence around them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

LONGEST = 80
"""Characters of a fact."""

_NAME = r"[A-ZÀ-Ý][\wÀ-ÿ'’-]+"
_PLACE = rf"{_NAME}(?: (?:(?:de|do|da|dos|das) )?{_NAME}){{0,3}}"
_ONE = r"(?P<value>(?:uma?|dois|duas|três|quatro|cinco) (?:{})s?)\b"
_PETS = r"gat[oa]|cachorr[oa]|pássaro|papagaio|coelh[oa]|cavalo|tartaruga|hamster"
_FAMILY = r"irmão|irmã|irmãos|filh[oa]|net[oa]"
_WORK = (
    r"professora?|médic[oa]|enfermeir[oa]|advogad[oa]|engenheir[oa]|estudante|programadora?|arquitet[oa]|jornalista"
    r"|cozinheir[oa]|garçom|garçonete|motorista|vendedora?|tradutora?|músic[oa]|pintora?|dentista|designer|contadora?"
    r"|psicólog[oa]|cientista|pesquisadora?|secretári[oa]|bombeir[oa]|policial|escritora?|fotógraf[oa]|farmacêutic[oa]"
)
_BEGIN = r"(?:^|[.!?…;,] |\b(?:e|mas|[Ee]u|aqui) )"
_RULES: tuple[tuple[str, str, re.Pattern[str]], ...] = tuple(
    (about, text, re.compile(f"{_BEGIN}{pattern}"))
    for about, text, pattern in (
        ("name", "Você se chama {}", rf"(?:[Mm]e chamo|[Mm]eu nome é) (?P<value>{_NAME})(?! {_NAME} e\b)"),
        ("home", "Você mora {}", rf"(?:[Mm]oro|[Vv]ivo) (?:agora )?(?P<value>(?:em|no|na|nos|nas) {_PLACE})"),
        ("origin", "Você é {}", rf"(?:[Ss]ou|[Vv]enho) (?P<value>(?:de|do|da|dos|das) {_PLACE})"),
        ("age", "Você tem {}", r"[Tt]enho (?P<value>(?:\d{1,2}|\w+(?: e \w+)?) anos)(?! d[eo]\b)"),
        ("work", "Você é {}", rf"[Ss]ou (?:um |uma )?(?P<value>{_WORK})\b"),
        ("pet", "Você tem {}", rf"[Tt]enho {_ONE.format(_PETS)}"),
        ("family", "Você tem {}", rf"[Tt]enho {_ONE.format(_FAMILY)}"),
    )
)
_NUMBERS = re.compile(
    r"(?:\d+|dez|onze|doze|treze|(?:qua|ca)torze|quinze|dezesseis|dezessete|dezoito|dezenove"
    r"|(?:vinte|trinta|quarenta|cinquenta|sessenta|setenta|oitenta|noventa)(?: e \w+)?) anos"
)
_DOUBTFUL = re.compile(
    r"\b(?:se|caso|imagin\w+|sonh\w+|talvez|quando|ele|ela|eles|elas|diss\w+|diz|dizem|fal(?:a|ou)|como se|era|foi"
    r"|finj\w+|personagem|exemplo)\b|[\"“”«»:?]",
    re.IGNORECASE,
)
"""A sentence with one of these may be about somebody else, or about what is not so."""
_SENTENCE = re.compile(r"[^.!?…]+[.!?…]*")
_SEVERAL = ("pet", "family")
"""Of these a learner may have more than one."""


def facts_in(text: str, doubtful: frozenset[str] = frozenset()) -> Iterator[tuple[str, str, str]]:
    """What is told in `text`: what it is about, the fact as the tutor says it, the words that matter.

    `doubtful` are words (in lower case) that were heard badly: a fact with one of them is none.
    """
    for sentence in _SENTENCE.findall(text):
        if _DOUBTFUL.search(sentence):
            continue
        for about, form, pattern in _RULES:
            if (match := pattern.search(sentence.strip())) is None:
                continue
            value = match["value"]
            words = {word.lower() for word in re.findall(r"[\wÀ-ÿ]+", match[0])}
            if words & doubtful or len(value) > LONGEST - 20 or (about == "age" and not _NUMBERS.fullmatch(value)):
                continue
            name = f"{about}:{value.split()[-1].lower()}" if about in _SEVERAL else about
            yield name, form.format(value), value
