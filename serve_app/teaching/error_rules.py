"""Finds frequent errors of learners in spoken Portuguese: agreement, gender, subjunctive, prepositions, Spanish words.

Few rules that are sure, rather than many: what Brazilians say is right ("a gente vai", "fui na praia", "te vi", "pra
mim fazer" apart), and a wrong correction does more harm than a missed one. The words are in
`serve_app/data/teaching/error_rules.json`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from wordfreq import zipf_frequency

from serve_app.teaching.correction import Correction, corrected, nouns, rule_data
from serve_app.teaching.phrase_errors import MANY, NO_INFINITIVE, PHRASE_RULES
from serve_app.teaching.predicate_errors import PREDICATE_RULES
from serve_app.teaching.utterance_kind import is_foreign
from serve_app.teaching.verbs import irregular, is_infinitive, joined, third_person_plural
from serve_app.teaching.word_choice_errors import WORD_CHOICE_RULES
from serve_app.teaching.word_forms import plural

_ADVERBS = r"(?:(?:não|também|já|nunca|sempre|só|ainda|quase|agora|hoje|ontem|te|lhe|me|se) ){0,2}"
_WORD = r"[a-zà-ú]+"
_CLAUSE = re.compile(r"(?:^|[,.!?]|\b(?:e|mas|então|hoje|ontem|agora|oi|porque))\s*$", re.IGNORECASE)
"""What may stand before the first word of a clause."""

_QUOTED = re.compile(r"[\"“«][^\"”»]*[\"”»]|(?<!\w)['‘][^'’]*['’](?!\w)")
_ASKED = re.compile(
    r"\b(?:como (?:se|eu|você|a gente) (?:diz|digo|fala|falo|escreve|escrevo)|(?:o )?que (?:significa|quer dizer)"
    r"|qual (?:é )?a diferença)\b[^.!?]*|\b(?:é|is it) (?:o|a|um|uma) [a-zà-ú]+ (?:ou|or) (?:o|a|um|uma) [a-zà-ú]+",
    re.IGNORECASE,
)
_MAY_BE_SUBJUNCTIVE = re.compile(r"\b(?:que|caso|talvez|embora|quando|se|para que)\b[^,.]{0,20}$", re.IGNORECASE)
_PAST = re.compile(r"\b(?:ontem|anteontem|passad[oa]s?|domingo|sábado|atrás)\b", re.IGNORECASE)


def find_errors(text: str) -> list[Correction]:
    """The errors in the order of the text; none overlaps another."""
    found: list[Correction] = []
    if is_foreign(text):
        return found
    plain = text
    for about_words in (_QUOTED, _ASKED):  # "como se diz perro?", "é o problema ou a problema?"
        plain = about_words.sub(lambda match: " " * len(match[0]), plain)
    for correction in sorted((one for rule in _RULES for one in rule(plain)), key=lambda one: one.span):
        if correction.better.lower() != correction.said.lower() and (
            not found or correction.span[0] >= found[-1].span[1]
        ):
            found.append(correction)
    return found


def mended(text: str, corrections: Sequence[Correction]) -> str:
    """The text without these errors."""
    for correction in sorted(corrections, key=lambda one: one.span, reverse=True):
        start, end = correction.span
        text = text[:start] + correction.better + text[end:]
    return text


def _likely(*infinitives: str) -> str | None:
    """The most frequent of them, if it is a verb."""
    best = max(infinitives, key=lambda word: zipf_frequency(word, "pt"))
    return best if is_infinitive(best) and zipf_frequency(best, "pt") > 3 else None


def _eu(text: str) -> Iterator[Correction]:
    for match in re.finditer(rf"\beu {_ADVERBS}({_WORD})\b", text, re.IGNORECASE):
        word, before = match[1].lower(), text[: match.start()]
        if (len(word) < 2 and word != "é") or (word.endswith("mos") and re.search(r"\be $", before)):
            continue  # "você e eu somos"
        if is_infinitive(word) and (not _CLAUSE.search(before) or word in NO_INFINITIVE):
            continue  # "para eu fazer", "vale a pena eu ficar"
        subjunctive = bool(_MAY_BE_SUBJUNCTIVE.search(before))
        better = rule_data()["eu"].get(word) or _first_person(word, subjunctive=subjunctive)
        if re.search(r"\b(?:ontem|anteontem|passad[oa])\b", before, re.IGNORECASE):
            better = "fui" if word == "vai" else _past_of_regular(word) or better
        if better:
            yield corrected(match, 1, better, "person", subject="eu")
    for match in re.finditer(rf"\bmim {_ADVERBS}({_WORD})\b", text, re.IGNORECASE):
        before = text[: match.start()].rstrip()
        if before and not before.endswith((",", ".", "!", "?")):
            continue  # "para mim é bom"
        word = match[1].lower()
        better = rule_data()["eu"].get(word) or _first_person(word, subjunctive=False)
        if better:
            said = match[0]
            whole = f"eu{said[3 : match.start(1) - match.start()]}{better}"
            yield corrected(match, 0, whole, "person", subject="eu")


def _first_person(word: str, *, subjunctive: bool) -> str | None:
    """The form of "eu" for another form of a regular verb, None if the word is no such form."""
    if word in irregular()["eu"]:  # is one of "eu"
        return None
    if len(word) < 4 or word in rule_data()["hardly a verb"]:
        return None
    for ending, first, verb in (("ou", "ei", "ar"), ("eu", "i", "er"), ("iu", "i", "ir")):
        if word.endswith(ending) and is_infinitive(word[:-2] + verb):
            return joined(word[:-2], first)
    stem = word[:-1]
    if word.endswith("a") and not subjunctive and _likely(stem + "ar", stem + "er", stem + "ir") == stem + "ar":
        return stem + "o"
    if (
        word.endswith("e")
        and not subjunctive
        and _likely(stem + "er", stem + "ir", stem + "ar") in (stem + "er", stem + "ir")
    ):
        return (stem[:-1] + "ço" if stem.endswith("c") else stem + "o") if not stem.endswith("g") else stem[:-1] + "jo"
    if is_infinitive(word) and zipf_frequency(word, "pt") > 3 and word not in NO_INFINITIVE:
        stem = word[:-2]
        return stem[:-1] + "ço" if stem.endswith("c") and word.endswith("er") else stem + "o"
    return None


def _past_of_regular(word: str) -> str | None:
    """ "Viajei" for "viaja" or "viajar"."""
    stem = word.removesuffix("r").removesuffix("a")
    regular = word.endswith(("a", "ar")) and _likely(*(stem + ending for ending in ("ar", "er", "ir"))) == f"{stem}ar"
    return joined(stem, "ei") if regular else None


def _nos(text: str) -> Iterator[Correction]:
    for match in re.finditer(rf"\bnós {_ADVERBS}({_WORD})\b", text, re.IGNORECASE):
        word = match[1].lower()
        better = rule_data()["nós"].get(word)
        for ending, first, verb in (("ou", "amos", "ar"), ("eu", "emos", "er"), ("iu", "imos", "ir")):
            if not better and word.endswith(ending) and is_infinitive(word[:-2] + verb):
                better = joined(word[:-2], first)
        for ending, verbs in (("a", ("ar",)), ("o", ("ar",)), ("e", ("er", "ir"))):
            if not better and word.endswith(ending):
                likely = _likely(*(word[:-1] + verb for verb in ("ar", "er", "ir")))
                better = f"{likely[:-1]}mos" if likely and likely[-2:] in verbs else None
        if better:
            yield corrected(match, 1, better, "person", subject="nós")
    for match in re.finditer(rf"\ba gente {_ADVERBS}({_WORD}mos)\b", text, re.IGNORECASE):
        word = match[1].lower()
        better, stem, vowel = rule_data()["a gente"].get(word), word[:-4], word[-4:-3]
        if not better and vowel in "aei" and is_infinitive(stem + vowel + "r"):
            past = {"a": "ou", "e": "eu", "i": "iu"}[vowel] if _PAST.search(text) else ("a" if vowel == "a" else "e")
            better = stem + past
        if better:
            yield corrected(match, 1, better, "person", 0.85, subject="a gente")


def _others(text: str) -> Iterator[Correction]:
    for match in re.finditer(rf"\b(ele|ela|você) {_ADVERBS}({_WORD})\b", text, re.IGNORECASE):
        after_preposition = re.search(r"\b(?:com|para|pra|de|por|em|sobre|sem) $", text[: match.start()], re.IGNORECASE)
        if not after_preposition and (better := rule_data()["ele"].get(match[2].lower())):
            yield corrected(match, 2, better, "person", subject=match[1].lower())
    plurals = r"eles|elas|vocês|(?:as|os|meus|minhas|seus|suas) (?!mesm|outr)[a-zà-ú]+s"
    for match in re.finditer(rf"\b({plurals}) {_ADVERBS}({_WORD})\b", text, re.IGNORECASE):
        word = match[2].lower()
        if re.search(r"\b(?:entre|de|com|para|pra|por|sobre|sem|contra) $", text[: match.start()], re.IGNORECASE):
            continue  # "o desemprego entre os jovens aumentou"
        better = third_person_plural(word) if _is_third_singular(word) else None
        if better and better not in (word, "têm", "vêm"):  # which sound the same
            yield corrected(match, 2, better, "person", 0.85, subject=match[1].lower())


def _is_third_singular(word: str) -> bool:
    """A frequent verb in the form of "ele", and hardly anything else: not "casa", "conta"."""
    if word in (
        "é",
        "está",
        "vai",
        "foi",
        "tem",
        "teve",
        "fez",
        "quer",
        "faz",
        "pode",
        "vem",
        "veio",
        "deu",
        "viu",
        "diz",
    ):
        return True
    if word.endswith(("ou", "iu")) or (word.endswith("eu") and len(word) > 3):
        return any(is_infinitive(word[:-2] + verb) for verb in ("ar", "er", "ir"))
    if word in nouns() or len(word) < 4 or not word.endswith(("a", "e")):
        return False
    wanted = ("ar",) if word.endswith("a") else ("er", "ir")
    likely = _likely(*(word[:-1] + verb for verb in ("ar", "er", "ir")))
    return likely is not None and likely[-2:] in wanted and zipf_frequency(likely, "pt") > 4


_TURNED = {
    **{"o": "a", "um": "uma", "meu": "minha", "seu": "sua", "este": "esta", "esse": "essa", "do": "da", "no": "na"},
    **{"os": "as", "meus": "minhas", "seus": "suas", "dos": "das", "nos": "nas", "muitos": "muitas", "dois": "duas"},
    **{"ao": "à", "outro": "outra", "outros": "outras", "nosso": "nossa", "nossos": "nossas", "esses": "essas"},
}
_TO_MASCULINE = {feminine: masculine for masculine, feminine in _TURNED.items()}


def _gender(text: str) -> Iterator[Correction]:
    masculine = "|".join(noun + "s?" for noun in rule_data()["masculine in -a"])
    for match in re.finditer(rf"\b({'|'.join(_TO_MASCULINE)}) ({masculine})\b", text, re.IGNORECASE):
        if not re.search(r"\bdia $", text[: match.start()], re.IGNORECASE):
            yield corrected(match, 0, f"{_TO_MASCULINE[match[1].lower()]} {match[2]}", "gender")
    sure = "minhas?|suas?|umas?|esta|essas?|outras?|nossas?|duas|muitas"  # "a" and "na" may be something else
    for match in re.finditer(rf"\b({sure}) ({_WORD}(?:-{_WORD})?)\b", text, re.IGNORECASE):
        noun, wrong = match[2].lower(), match[1].lower()
        if (
            nouns().get(noun, ("", False))[0] == "o"
            and wrong in _TO_MASCULINE
            and noun not in rule_data()["masculine in -a"]
        ):
            yield corrected(match, 0, f"{_TO_MASCULINE[wrong]} {match[2]}", "gender")
    determiners = "|".join(_TURNED)
    for match in re.finditer(rf"\b({determiners}) ({_WORD}(?:-{_WORD})?)\b", text, re.IGNORECASE):
        noun = match[2].lower()
        if noun == "avós":
            continue  # of "avô" as well
        if noun == "avó":
            yield corrected(match, 0, f"{match[1]} avô", "gender", 0.8)
        elif _is_feminine(noun):
            yield corrected(match, 0, f"{_TURNED[match[1].lower()]} {match[2]}", "gender")
    for match in re.finditer(rf"\bmuit[oa] ({_WORD}s)\b", text, re.IGNORECASE):
        gender, many = nouns().get(match[1].lower(), ("", False))
        if many:
            yield corrected(match, 0, f"{'muitas' if gender == 'a' else 'muitos'} {match[1]}", "plural", 0.85)


def _is_feminine(noun: str) -> bool:
    return nouns().get(noun, ("o", False))[0] == "a"


def _plural(text: str) -> Iterator[Correction]:
    for match in re.finditer(rf"\b{MANY} (?:e um |e uma )?({_WORD})\b", text, re.IGNORECASE):
        noun = match[1].lower()
        if nouns().get(noun, ("", True))[1] or match[0].split()[0] == "1":
            continue
        yield corrected(match, 1, plural(noun), "plural")
    for match in re.finditer(
        rf"\b(?:meus|minhas|seus|suas|muitos|muitas|dos|das|uns|umas|os|as) ({_WORD})\b", text, re.IGNORECASE
    ):
        noun = match[1].lower()
        if not nouns().get(noun, ("", True))[1]:
            yield corrected(match, 1, plural(noun), "plural", 0.85)


def _spanish(text: str) -> Iterator[Correction]:
    words = rule_data()["spanish"]
    for match in re.finditer(r"[^\W\d_]+", text):
        if better := words.get(match[0].lower()):
            yield corrected(match, 0, better, "spanish")


def _subjunctive(text: str) -> Iterator[Correction]:
    now, past = rule_data()["subjunctive"], rule_data()["imperfect subjunctive"]
    important = "importante|preciso|necessário|melhor|possível|bom|pena|crucial|essencial|fundamental"
    wish = rf"(?:espero|quero|desejo|tomara|duvido|prefiro|peço|preciso|precisar|é (?:{important})) que"
    wished = r"(?:queria|esperava|gostaria|duvidava|pediu|pedi|preferia|era (?:importante|preciso)) que"
    subject = r"(?:[a-zà-ú]+ ){0,4}?"
    for trigger, forms in ((wish, now), (r"embora|talvez|caso|não é que", now), (wished, past | rule_data()["wished"])):
        verbs = "|".join(forms)
        for match in re.finditer(rf"\b({trigger}) {subject}({verbs})\b", text, re.IGNORECASE):
            if not _NEW_CLAUSE.search(_between(match)):
                yield corrected(match, 2, forms[match[2].lower()], "subjunctive", trigger=match[1].lower())
    someone = r"(?:eu|você|ele|ela|eles|elas|vocês|(?:o|a|os|as|meu|minha|meus|minhas) [a-zà-ú]+)"
    for match in re.finditer(
        rf"\b({wish}|caso|talvez) (?:{someone} )(?:(?:não|me|te|se|já) ){{0,2}}({_WORD})\b", text, re.IGNORECASE
    ):
        word = match[2].lower()
        if word not in now and (better := _regular_subjunctive(word)):
            yield corrected(match, 2, better, "subjunctive", trigger=match[1].lower())


_NEW_CLAUSE = re.compile(r"\b(?:que|quando|se|e|mas|porque)\b")


def _between(match: re.Match[str]) -> str:
    """What stands between the trigger and the verb."""
    return match[0][len(match[1]) : match.start(2) - match.start()]


def _regular_subjunctive(word: str) -> str | None:
    """ "Apareça" for "aparece", "votem" for "votam"; None if the word is no such form of a frequent regular verb."""
    many = word.endswith("m")
    stem, vowel = (word[:-2], word[-2:-1]) if many else (word[:-1], word[-1:])
    verbs = {"a": ("ar",), "e": ("er", "ir"), "o": ("ar",)}.get(vowel, ())
    likely = _likely(*(stem + verb for verb in ("ar", "er", "ir")))
    if len(stem) < 3 or likely is None or likely[-2:] not in verbs or word in nouns():
        return None
    if likely.endswith("ar"):
        stem = {"c": f"{stem[:-1]}qu", "g": f"{stem}u", "ç": f"{stem[:-1]}c"}.get(stem[-1], stem)
        return f"{stem}e{'m' * many}"
    stem = {"c": f"{stem[:-1]}ç", "g": f"{stem[:-1]}j"}.get(stem[-1], stem)
    return f"{stem}a{'m' * many}"


def _if(text: str) -> Iterator[Correction]:
    forms = rule_data()["imperfect subjunctive"]
    irregular = "|".join(form for form in forms if form.endswith("ria"))
    known = re.compile(r"\b(?:sei|sabe|sabia|saber|perguntou|pergunto|perguntei|dúvida|ver)\b[^,.]*$", re.IGNORECASE)
    for match in re.finditer(
        rf"\bse (eu|você|ele|ela|a gente|nós) (?:não )?({irregular}|[a-zà-ú]+ria)\b", text, re.IGNORECASE
    ):
        if known.search(text[: match.start()]):
            continue
        word = match[2].lower()
        better = forms.get(word) or (
            word[:-3] + "sse" if re.search("[aei]ria$", word) and is_infinitive(word[:-2]) else None
        )
        if better:
            yield corrected(match, 2, better, "if")
    imperfect = "|".join(form for form in forms if not form.endswith("ria") and form.endswith("a"))
    for match in re.finditer(rf"\bse (eu|você|ele|ela|a gente) (?:não )?({imperfect})\b", text, re.IGNORECASE):
        then = text[match.end() :]  # "se eu ia, ele ficava" tells what used to happen
        if (
            match[2].lower() != "ia"
            and not known.search(text[: match.start()])
            and re.search(r",.*\b\w+(?:ria|ava|ia)\b", then)
        ):
            yield corrected(match, 2, forms[match[2].lower()], "if", 0.8)


_RULES = (
    _spanish,
    _eu,
    _nos,
    _others,
    _gender,
    _plural,
    _subjunctive,
    _if,
    *PHRASE_RULES,
    *PREDICATE_RULES,
    *WORD_CHOICE_RULES,
)
