"""Words that agree with a noun across another word: "todo noite", "muito gente", "no mesma loja", "um carro bonita"."""

from __future__ import annotations

import re
from collections.abc import Iterator

from serve_app.teaching.correction import Correction, corrected, nouns, rule_data
from serve_app.teaching.verbs import is_infinitive, likely_verb, third_person_plural

_WORD = r"[a-zà-ú]+"
_FEMININE = {
    **{
        "o": "a",
        "os": "as",
        "um": "uma",
        "no": "na",
        "do": "da",
        "ao": "à",
        "num": "numa",
        "pelo": "pela",
        "nos": "nas",
    },
    **{"dos": "das", "este": "esta", "esse": "essa", "meu": "minha", "seu": "sua", "nosso": "nossa", "dois": "duas"},
}
_MASCULINE = {feminine: masculine for masculine, feminine in _FEMININE.items()}
_BEFORE_NOUN = (
    "mesm",
    "outr",
    "própri",
    "primeir",
    "segund",
    "terceir",
    "últim",
    "próxim",
    "nov",
    "velh",
    "pequen",
    "cert",
)
_OWNERS = "meus?|minhas?|seus?|suas?|nossos?|nossas?"
_SPANS = frozenset(("anos", "meses", "dias", "semanas", "horas", "minutos", "vezes"))
_START = r"(?:^|[.,!?;:] ?|\b(?:mas|que|porque|então|hoje|ontem|depois|e) )"


def _gender(noun: str) -> str:
    return nouns().get(noun, ("", False))[0]


def _turned(word: str, gender: str) -> str:
    """The word in the gender of the noun: "mesma" for "mesmo", "todas" for "todos"."""
    return re.sub("[oa](s?)$", rf"{gender}\1", word)


def _all_and_much(text: str) -> Iterator[Correction]:
    for match in re.finditer(rf"\b(tod[oa]) (?:(o|a) )?({_WORD})\b", text, re.IGNORECASE):
        noun = match[3].lower()
        gender = _gender(noun) if not nouns().get(noun, ("", True))[1] else ""
        if gender and not match[1].lower().endswith(gender) and (match[2] is None or match[2].lower() == gender):
            yield corrected(match, 1, _turned(match[1].lower(), gender), "gender")
    for match in re.finditer(rf"\b(tod[oa]s) (os|as) ({_WORD}s)\b", text, re.IGNORECASE):
        gender = _gender(match[3].lower())
        if gender == match[2].lower()[0] != match[1].lower()[-2]:
            yield corrected(match, 1, _turned(match[1].lower(), gender), "gender")
    masses = {"a": "|".join(rule_data()["masses"]["a"]), "o": "|".join(rule_data()["masses"]["o"])}
    for gender, other in (("a", "o"), ("o", "a")):
        for match in re.finditer(
            rf"\b((?:muit|tant|pouc|quant){other}) ({masses[gender]})\b(?! mais\b)", text, re.IGNORECASE
        ):
            yield corrected(match, 1, _turned(match[1].lower(), gender), "gender")


def _three(text: str) -> Iterator[Correction]:
    """Article, adjective and noun: the noun decides."""
    before = "|".join({*_FEMININE, *_MASCULINE})
    adjectives = rf"(?:{'|'.join(_BEFORE_NOUN)})[oa]s?"
    for match in re.finditer(rf"\b({before}) ({adjectives}) ({_WORD})\b", text, re.IGNORECASE):
        gender = _gender(match[3].lower())
        determiner, adjective = match[1].lower(), match[2].lower()
        agree = (determiner in _FEMININE) == (adjective.rstrip("s")[-1] == "o")
        if not gender or (agree and match[3].lower().endswith("a") and is_infinitive(f"{match[3].lower()}r")):
            continue  # "o outro conta uma história"
        turned = (_FEMININE if gender == "a" else _MASCULINE).get(determiner, determiner)
        better = f"{turned} {_turned(adjective, gender)}"
        if better != f"{determiner} {adjective}":
            yield corrected(
                re.compile(rf"{match[1]} {match[2]}").match(text, match.start()) or match, 0, better, "gender"
            )


def _first_two(match: re.Match[str], text: str) -> re.Match[str]:
    """The match of its first two words alone."""
    return re.compile(rf"{match[1]} {match[2]}").match(text, match.start()) or match


def _owner(text: str) -> Iterator[Correction]:
    """ "O minha família": of "a meu ver" and "dei a meu pai" nothing is said."""
    for match in re.finditer(r"\b(o|do|no|ao|pelo|os|dos|nos) (minhas?|suas?|nossas?)\b", text, re.IGNORECASE):
        yield corrected(match, 1, {"ao": "à"}.get(match[1].lower()) or _FEMININE[match[1].lower()], "gender")
    for match in re.finditer(
        rf"\b(o|a|os|as|do|da|no|na|dos|das|nos|nas) ({_OWNERS}) ({_WORD})\b", text, re.IGNORECASE
    ):
        gender = _gender(match[3].lower())
        turn = _FEMININE if gender == "a" else _MASCULINE
        article, owner = match[1].lower(), match[2].lower()
        if gender and match[3].lower() != "avós" and article in turn and (owner in turn or owner.rstrip("s") in turn):
            better = turn.get(owner) or f"{turn[owner.rstrip('s')]}s"
            yield corrected(_first_two(match, text), 0, f"{turn[article]} {better}", "gender")
    for match in re.finditer(r"\b(da|na|pela|das|nas) (meus?|seus?|nossos?)\b", text, re.IGNORECASE):
        yield corrected(match, 1, _MASCULINE[match[1].lower()], "gender")


def _after_noun(text: str) -> Iterator[Correction]:
    """ "Um apartamento pequena". Not how somebody is: "cheguei em casa cansado"."""
    adjectives = "|".join(rule_data()["after a noun"])
    for match in re.finditer(
        rf"\b(?:um|uma|o|a|meu|minha|esse|essa|este|esta|num|numa) ({_WORD}) (?:(?:muito|bem|tão) )?"
        rf"((?:{adjectives})[oa])\b(?! (?:que|do que|de))",
        text,
        re.IGNORECASE,
    ):
        noun, adjective = match[1].lower(), match[2].lower()
        gender, many = nouns().get(noun, ("", False))
        if gender and not many and not adjective.endswith(gender) and noun != "gente":
            yield corrected(match, 2, _turned(adjective, gender), "adjective", 0.85, noun=noun)
    for match in re.finditer(
        rf"\b(?:os|as|uns|umas|meus|minhas) ({_WORD}s) ((?:{adjectives})[oa]s)\b", text, re.IGNORECASE
    ):
        gender, many = nouns().get(match[1].lower(), ("", False))
        if gender and many and match[2].lower()[-2] != gender:
            yield corrected(match, 2, _turned(match[2].lower(), gender), "adjective", 0.85, noun=match[1].lower())


def _two_people(text: str) -> Iterator[Correction]:
    """ "Meu marido e eu gosta": nós."""
    people = "|".join(rule_data()["people"])
    for match in re.finditer(rf"\b(?:e eu|eu e (?:o |a )?(?:meu|minha) {_WORD}) ({_WORD})\b", text, re.IGNORECASE):
        if match[0].lower().startswith("e eu") and not re.search(
            rf"(?:^|[.,!?] )(?:[oa] )?(?:meu|minha|meus|minhas|ele|ela|você|[A-ZÀ-Ú]{_WORD})(?: (?:{people}))? $",
            text[: match.start()],
        ):
            continue
        word = match[1].lower()
        better = rule_data()["nós"].get(word)
        for ending in ("a", "o", "e"):
            if not better and word.endswith(ending):
                likely = likely_verb(*(word[:-1] + verb for verb in ("ar", "er", "ir")))
                fits = likely is not None and (likely.endswith("ar") or ending != "a")
                better = f"{likely[:-1]}mos" if likely and fits and is_infinitive(likely) else None
        if better and word not in nouns():
            yield corrected(match, 1, better, "person", 0.85, subject="nós")


def _which(text: str) -> Iterator[Correction]:
    """ "Filmes que faz pensar": the verb after "que" agrees with what stands before it."""
    verbs = "mora|trabalha|vive|chega|ajuda|está|faz(?= (?:pensar|rir|chorar|sucesso|mal|bem|parte)\\b)"
    for match in re.finditer(rf"\b(?P<noun>{_WORD}s) que (?:não |mais )?(?P<verb>{verbs})\b", text, re.IGNORECASE):
        noun, before = match["noun"].lower(), text[: match.start()]
        alone = noun not in _SPANS and not re.search(
            r"\b(?:de|do|da|dos|das|mais|menos|em|com)(?: \w+)?\s*$", re.sub(r"gost\w+ de $", "", before), re.IGNORECASE
        )
        better = third_person_plural(match["verb"].lower())
        if nouns().get(noun, ("", False))[1] and alone and better and better not in ("têm", "vêm"):
            yield corrected(match, "verb", better, "person", 0.85, subject=noun)


def _far(text: str) -> Iterator[Correction]:
    """ "A viola do nosso acompanhante foi roubado": the first noun decides, not the one beside the verb."""
    for match in re.finditer(
        rf"{_START}(?P<det>o|a|meu|minha|essa|esse|nosso|nossa) (?P<noun>{_WORD}) d[aeo]s? "
        rf"(?:(?:meu|minha|nosso|nossa|seu|sua) )?(?P<other>{_WORD}) (?:foi|está|era|é|ficou|estava) (?:muito |bem )?"
        r"(?P<word>[a-zà-ú]{2,}(?:ad|id)[oa])(?=[.,!?;]|$| (?:por|pel[oa]|n[oa]|d[oa]|em|de|ontem|hoje)\b)",
        text,
        re.IGNORECASE,
    ):
        gender, word = _gender(match["noun"].lower()), match["word"].lower()
        owner = {"o": "o", "meu": "o", "esse": "o", "nosso": "o"}.get(match["det"].lower(), "a")
        verb = any(is_infinitive(word[:-3] + ending) for ending in ("ar", "er", "ir"))
        if (
            (gender or owner) == owner
            and not word.endswith(owner)
            and verb
            and match["noun"].lower() not in ("maioria", "parte")
        ):
            yield corrected(match, "word", _turned(word, owner), "adjective", 0.85, noun=match["noun"].lower())


AGREEMENT_RULES = (_all_and_much, _three, _owner, _after_noun, _two_people, _which, _far)
