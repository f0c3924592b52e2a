"""Phrases that learners take over from their own language: "sou vinte anos", "gosto jogar", "desde dois anos"."""

from __future__ import annotations

import re
from collections.abc import Iterator

from serve_app.teaching.correction import Correction, corrected, nouns, rule_data
from serve_app.teaching.verbs import irregular, is_infinitive

MANY = (
    r"(?:dois|duas|três|quatro|cinco|seis|sete|oito|nove|dez|onze|doze|quinze|vinte|trinta|quarenta|cinquenta|cem|\d+)"
)
NO_INFINITIVE = frozenset(("mar", "lugar", "bar", "lar", "ar", "jantar", "par", "celular"))

_WORD = r"[a-zà-ú]+"
_SPAN = rf"(?:{MANY}(?: e {_WORD})?|um|uma) (?:anos?|m[eê]s(?:es)?|semanas?)"
_PLACE = r"(?:em|com) (?:(?!há |faz |por |de |desde )[a-zà-ú]+ ?){1,3}?"
_HERE = rf"(?:aqui|no brasil|português|nesta cidade|n[oa] [a-zà-ú]+|{_PLACE})"
_OWNERS = r"(?:o|a|os|as|meu|minha|meus|minhas|seu|sua|seus|suas|esse|essa|este|esta|esses|essas)"
_INFINITIVE_FOLLOWS = re.compile(
    r" (?:(?:não|já|nunca|se|dela|dele|deles|delas) )?([a-zà-ú]+(?:[aeio]r|rem))\b", re.IGNORECASE
)


def _fixed(text: str) -> Iterator[Correction]:
    for match in re.finditer(r"\b(haviam) (?=muit|pouc|vári|mais|pessoas|algu|dois|duas|três|\d)", text, re.IGNORECASE):
        yield corrected(match, 1, "havia", "impersonal")
    impersonal = {"haverão": "haverá", "houveram": "houve"}
    for match in re.finditer(
        r"\b(haverão|houveram) (?=muit|pouc|vári|mais|pessoas|algu|dois|duas|três|tant|problemas|\d)",
        text,
        re.IGNORECASE,
    ):
        yield corrected(match, 1, impersonal[match[1].lower()], "impersonal")
    for match in re.finditer(rf"\b(fazem) (?={MANY} (?:anos|meses|dias|horas|semanas))", text, re.IGNORECASE):
        yield corrected(match, 1, "faz", "impersonal")
    for match in re.finditer(rf"\b(desde) (?={MANY} (?:anos?|meses|mês|dias?|horas?|semanas?)\b)", text, re.IGNORECASE):
        yield corrected(match, 1, "há", "since")
    for match in re.finditer(r"\b(gost(?:o|a|amos|am|ei|ou|ava|aria)) ([a-zà-ú]+[aei]r)\b", text, re.IGNORECASE):
        if is_infinitive(match[2].lower()):
            yield corrected(match, 0, f"{match[1]} de {match[2]}", "preposition")
    for match in re.finditer(r"\b(vou|vai|vamos|vão) a ([a-zà-ú]+[aei]r)\b", text, re.IGNORECASE):
        if is_infinitive(match[2].lower()) and match[2].lower() not in NO_INFINITIVE:
            yield corrected(match, 0, f"{match[1]} {match[2]}", "preposition")
    for country, gender in rule_data()["countries"].items():
        for match in re.finditer(rf"\b([Dd]e|[Ee]m|[Pp]ara) ({country})\b", text):
            with_article = {"de": f"d{gender}", "em": f"n{gender}", "para": f"para {gender}"}[match[1].lower()]
            yield corrected(match, 0, f"{with_article} {country}", "country", 0.85)
    for match in re.finditer(rf"\b(de|em) (o|os|a|as) (?=({_WORD})\b)", text, re.IGNORECASE):
        verb = _INFINITIVE_FOLLOWS.match(text, match.end(3))  # "apesar de as provas serem"
        if match[3].lower() in nouns() and not (verb and is_infinitive(verb[1].lower().removesuffix("em"))):
            yield corrected(match, 0, f"{'d' if match[1].lower() == 'de' else 'n'}{match[2]} ", "preposition")
    for match in re.finditer(r"\bpor (o|a|os|as) (?=[a-zà-ú]{3})", text, re.IGNORECASE):
        yield corrected(match, 0, f"pel{match[1]} ", "preposition")
    for match in re.finditer(r"\b([Ee]u chamo) (?=[A-ZÀ-Ú])", text):
        yield corrected(match, 1, "eu me chamo", "name")
    for wrong, better in (
        ("mais bom", "melhor"),
        ("mais grande", "maior"),
        ("mais ruim", "pior"),
        ("mais boa", "melhor"),
    ):
        for match in re.finditer(rf"\b({wrong})\b", text, re.IGNORECASE):
            yield corrected(match, 1, better, "comparison")
    for match in re.finditer(r"\b(?:eu )?(sou|fui) (ido|indo)\b", text, re.IGNORECASE):
        said, message = text[match.start(1) : match.end(2)], rule_data()["messages"]["person"]
        message = message.format(subject="eu", better="fui")
        yield Correction((match.start(1), match.end(2)), said, "fui", "person", message)


def _age(text: str) -> Iterator[Correction]:
    """ "Eu sou vinte anos": we have years."""
    forms = {"sou": "tenho", "é": "tem", "são": "têm", "estou": "tenho", "está": "tem", "era": "tinha"}
    subjects = r"(?:^|\b(?:eu|ele|ela|você|eles|elas|e|mas|que|meu \w+|minha \w+)\b)[ ,]*"
    for match in re.finditer(
        rf"{subjects}(sou|é|são|estou|está|era) (?={MANY}(?: e {_WORD})? anos\b(?! (?:de|que|mais|melhor)))",
        text,
        re.IGNORECASE,
    ):
        yield corrected(match, 1, forms[match[1].lower()], "age")


def _duration(text: str) -> Iterator[Correction]:
    """ "Moro aqui dois meses", "moro em Recife de um ano": since when."""
    lasting = (
        "(?:estou|está|estamos) (?:morando|vivendo|trabalhando|estudando|aprendendo)|moro|mora|moramos"
        "|trabalho|trabalha|trabalhamos|estudo|estuda|estudamos|aprendo|vivo|vive|vivemos"
    )
    for match in re.finditer(
        rf"\b(?:{lasting}) (?:{_HERE})( (?:desde |de |por )?)(?={_SPAN}(?:[.,!?;]|$| e\b))", text, re.IGNORECASE
    ):
        yield corrected(match, 1, " há ", "since")
    for match in re.finditer(r"\b(desde) (?=um(?:a)? (?:ano|mês|dia|hora|semana)\b)", text, re.IGNORECASE):
        yield corrected(match, 1, "há", "since")


def _name(text: str) -> Iterator[Correction]:
    """ "Ele chama Bruno"."""
    for match in re.finditer(
        r"\b(?i:ele|ela|que|(?:meu|minha|o|a|nosso|nossa) [a-zà-ú]+) (chama|chamava) "
        r"(?=[A-ZÀ-Ú][a-zà-ú]+(?: [A-ZÀ-Ú][a-zà-ú]+)*(?:[.,!?;]|$| e\b))",
        text,
    ):
        yield corrected(match, 1, f"se {match[1]}", "name")


def _must(text: str) -> Iterator[Correction]:
    """ "Tive que fiquei": an infinitive follows."""
    for match in re.finditer(
        rf"\b(?:tenho|tem|tive|teve|tinha|temos|vou ter|preciso|precisa) que (?:eu )?({_WORD})\b", text, re.IGNORECASE
    ):
        word = match[1].lower()
        for ending, infinitive in (("ei", "ar"), ("i", "er"), ("i", "ir")):
            stem = word.removesuffix(ending)
            stem = {"qu": stem[:-2] + "c", "gu": stem[:-1]}.get(stem[-2:], stem) if ending == "ei" else stem
            if word.endswith(ending) and word not in irregular()["eu"] and is_infinitive(stem + infinitive):
                yield corrected(match, 1, stem + infinitive, "infinitive")
                break


def _gender(owner: str) -> str:
    return {"meu": "o", "seu": "o", "minha": "a", "sua": "a"}.get(owner, "")


def _liking(text: str) -> Iterator[Correction]:
    """ "Não gosta meu trabalho", "gosto muito o mate": of what."""
    verbs = r"gost(?:o|a|amos|am|ei|ou|ava|avam|aria)"
    for match in re.finditer(rf"\b{verbs}(?: muito| mais| também)? ({_OWNERS}) (?={_WORD})", text, re.IGNORECASE):
        word = match[1].lower()
        article = "" if word[0] in "oae" else {"o": "o ", "a": "a "}.get(_gender(word), "e ")
        better = f"d{article}{word}"
        yield corrected(match, 1, better, "gostar")


def _reflexive(text: str) -> Iterator[Correction]:
    """ "Nós se encontramos", "eu se chamo", "eu sentia sozinho"."""
    for subject, better in (("nós", "nos"), ("eu", "me")):
        for match in re.finditer(rf"\b{subject} (?:não |sempre |também )?(se) (?={_WORD})", text, re.IGNORECASE):
            yield corrected(match, 1, better, "reflexive", subject=subject)
    feelings = (
        r"(?:(?:muito|tão|bem|mais|um pouco) )?(?:sozinh|cansad|trist|feliz|perdid|nervos|mal\b|bem\b|melhor|culpad)"
    )
    for match in re.finditer(
        rf"\beu (?:não |sempre |também )?(sinto|sentia|senti) (?={feelings})", text, re.IGNORECASE
    ):
        yield corrected(match, 1, f"me {match[1].lower()}", "reflexive", subject="eu")


PHRASE_RULES = (_fixed, _age, _duration, _name, _must, _liking, _reflexive)
