"""Answers a learner's questions about words from data: translation, meaning, difference, plural, gender, tense ...

The planner asks `answer` before it plans anything else; None means that the utterance is no question about words.
"""

from __future__ import annotations

import json
import re
from functools import cache

from serve_app.package_data import data_file
from serve_app.teaching.glossary import entry_of, translate
from serve_app.teaching.how_to_say import how_to_say, is_portuguese, meaning
from serve_app.teaching.spoken_signs import spelt
from serve_app.teaching.verb_tenses import PERSONS, Tense, conjugate
from serve_app.teaching.word_answer import WordAnswer, fold, plain_quotes
from serve_app.teaching.word_forms import article, feminine, forms, masculine, plural

__all__ = ["WordAnswer", "answer"]

_OF = r"(?:\s+(?:d[eoa]s?|del|of|for|to))?(?:\s+(?:a palavra|the word|la palabra|palavra|o verbo|the verb|verbo|[oa]s?|uma?))?"
_WORD = r"\s*\"?(?P<word>[\w-]+(?: (?:de|do|da) \w+)?)\"?"
_ASKS = r"\b(?:como|qual|how|what|what's|c[oó]mo|cuál)\b.*?"
_TENSES: dict[str, Tense] = {"pres": "present", "fut": "future", "imp": "imperfect"}
_TENSE = r"(?P<tense>pret[eé]rito imperfeito|pret[eé]rito(?: perfeito)?|imperfeito|passado|past(?: tense)?|presente?|futur[oe])"
_BEGINNING = {"present": "", "past": "Ontem ", "imperfect": "Antes ", "future": "Amanhã "}


def _asking(of: str, within: str | None = None) -> tuple[re.Pattern[str], ...]:
    """Patterns for "qual é o plural de X" and, in a question, "como fica X no plural"."""
    before = rf"\b{of}(?:\s+(?:d[eoa]s?|del|of|for|to)){_OF}{_WORD}"
    after = rf"{_ASKS}(?<!\w){_WORD.removeprefix(chr(92) + 's*')}[\s,]+(?:no|na|in the|en|ao) {within or of}\b"
    return re.compile(before, re.IGNORECASE), re.compile(after, re.IGNORECASE)


_PLURAL = _asking("plural")
_FEMININE = _asking(r"(?:feminin[oae]|femenino|female)")
_MASCULINE = _asking(r"(?:masculin[oae]|male)")
_OPPOSITE = _asking(r"(?:contr[aá]rio|oposto|ant[oôó]nimo|opposite|opuesto)")
_IN_TENSE = _asking(_TENSE)
_CONJUGATE = re.compile(rf"\b(?:conjuga\w*|conjugate|conjugation){_OF}{_WORD}", re.IGNORECASE)
_ARTICLE = (
    re.compile(r"\"?\b(?:o|um)\b\"? \"?(?P<word>[\w-]+)\"?,? (?:ou|or) \"?(?:a|uma) (?P=word)\b", re.IGNORECASE),
    re.compile(r"\"?\b(?:a|uma)\b\"? \"?(?P<word>[\w-]+)\"?,? (?:ou|or) \"?(?:o|um) (?P=word)\b", re.IGNORECASE),
    re.compile(r"\b\"?(?:o|um|a|uma)\"? (?:ou|or) \"?(?:a|uma|o|um)\"? \"?(?P<word>[\w-]{3,})\"?", re.IGNORECASE),
    re.compile(rf"{_WORD} (?:é|is|es) (?:uma palavra )?(?:masculin|feminin|femenin)\w+,? (?:ou|or|o)\b", re.IGNORECASE),
    re.compile(rf"\b(?:is){_OF}{_WORD} (?:masculine|feminine) or\b", re.IGNORECASE),
    re.compile(rf"\b(?:gênero|género|genero|gender|artigo|article)(?: (?:d[eoa]|of|for)){_OF}{_WORD}", re.IGNORECASE),
)
_SPELL = re.compile(
    r"\b(?:como (?:é que )?(?:se |a gente )(?:escreve|soletra)|c[oó]mo se (?:escribe|deletrea)"
    rf"|how (?:do|would) (?:you|i|we) (?:spell|write)|how to (?:spell|write)|como (?:eu |você )?(?:escrevo|escreve)(?= \")){_OF}{_WORD}"
    r"(?:,? (?:em|in|en) portugu\w+)?(?:,? por favor)?\s*(?:[?.!,]|$)",
    re.IGNORECASE,
)
_DIFFERENCE = re.compile(
    r"\b(?:diferen(?:ça|cia|te)s?|difference|different)(?: d[eo]| de uso)? (?:entre|between|from|de)\b|\bquando (?:eu |a gente |se )?"
    r"(?:devo |posso )?(?:us[oae]r?|diz|digo)\b|\bwhen (?:do|should) (?:i|you|we) (?:use|say)\b|\bcu[aá]ndo (?:se )?us[oae]\b",
    re.IGNORECASE,
)
_EITHER = re.compile(r"\"([^\"]+)\",? (?:ou|or|o) (?:é |digo |diz )?\"([^\"]+)\"", re.IGNORECASE)


def answer(utterance: str, level: str | None = None) -> WordAnswer | None:
    """What the tutor says to a question about words, without the question that follows; None: it is none.

    At A1 a tense is answered with the forms of "eu" and "você" alone.
    """
    text = plain_quotes(utterance)
    return (
        _difference(text)
        or _plural(text)
        or _gendered(text)
        or _opposite(text)
        or _tense(text, short=level == "A1")
        or _article(text)
        or _spelling(text)
        or meaning(text)
        or how_to_say(text)
    )


def _word(patterns: tuple[re.Pattern[str], ...], text: str) -> str | None:
    """The word asked about, spelt as the glossary or the tables spell it."""
    for pattern in patterns:
        if found := pattern.search(text):
            return found["word"].lower()
    return None


@cache
def _differences() -> dict[tuple[str, ...], str]:
    """{the two words in alphabetical order, with accents and, if that is free, without: answer}"""
    rows = json.loads(data_file("teaching/differences.json").read_text("utf-8"))
    exact = {tuple(sorted(row["words"])): row["text"] for row in rows}
    return {tuple(sorted(fold(word) for word in words)): text for words, text in exact.items()} | exact


def _told_apart(first: str, second: str) -> str | None:
    pairs = [tuple(sorted(word.lower().strip(' ,.?!"') for word in (first, second)))]
    pairs.append(tuple(sorted(fold(word) for word in pairs[0])))
    return next((_differences()[pair] for pair in pairs if pair in _differences()), None)


def _difference(text: str) -> WordAnswer | None:
    lead = _DIFFERENCE.search(text)
    if lead is None:
        either = _EITHER.search(text)
        told = _told_apart(either[1], either[2]) if either else None
        return WordAnswer(told) if told else None
    rest = text[lead.end() :]
    quoted = re.findall(r"\"([^\"]+)\"", rest)
    if len(quoted) >= 2:
        if told := _told_apart(quoted[0], quoted[1]):
            return WordAnswer(told)
        return (
            WordAnswer(f'A gente diz "{quoted[0]}"', whole=False)
            if "ifferen" in lead[0].lower() or "iferen" in lead[0]
            else None
        )
    sentence = re.split(r"[?!;]|\.(?=\s|$)", rest)[0].replace('"', "")
    for between in re.finditer(
        r"\s+(?:e|and|y|ou|or|para|from)\s+(?:(?:quando|when|a palavra) (?:\w+ )??)?|\s*[/,]\s*", f"{sentence} "
    ):
        pair = sentence[: between.start()], sentence[between.end() :]
        for first, second in (pair, tuple(re.sub(r"^\W*(?:o|a|os|as|the|usar|us[oa])\s+", "", word) for word in pair)):
            second = re.sub(r"^(?:quando |when )?(?:eu |se |i )?(?:usar|us[oae]|use)\s+", "", second)
            if told := _told_apart(first, re.sub(r"\s+(?:em|in|en) portugu\w+\s*$", "", second)):
                return WordAnswer(told)
    verbs = re.fullmatch(r"\s*(\w+[aei]r) (?:e|and|y) (\w+[aei]r)\s*(?:(?:em|in|en) portugu\w+)?\s*", sentence)
    return (
        WordAnswer(f'A gente diz "{verbs[1]}"', whole=False)
        if verbs and is_portuguese(f"{verbs[1]} {verbs[2]}")
        else None
    )


def _in_tables(word: str) -> str:
    """A Portuguese word with the accents that the learner or Whisper left out; a foreign one in Portuguese."""
    if (known := entry_of(word)) is not None:
        return known[0].partition(" ")[2] if known[0].startswith(("o ", "a ")) else known[0]
    if is_portuguese(word):
        return word
    translation = translate(word, "en")
    return re.sub(r"^[oa]s? ", "", translation.portuguese[0]) if translation else word


def _plural(text: str) -> WordAnswer | None:
    word = _word(_PLURAL, text)
    if word is None or word in ("é", "fica"):
        return None
    word = _in_tables(word)
    first, space, rest = word.partition(" ")
    many = plural(word) if word in forms().plural else plural(first) + space + rest
    known = entry_of(word)
    noun = known is not None and known[0].startswith(("o ", "a ")) and many not in (word,)
    if noun and known is not None:
        one, two = ("um", "dois") if known[0].startswith("o ") else ("uma", "duas")
        return WordAnswer(f'A gente diz "{one} {word}" e "{two} {many}".')
    if many == word:
        return WordAnswer(f'É igual: "{word}", um ou muitos.')
    return WordAnswer(f'Para um, a gente diz "{word}", e para muitos, "{many}".')


def _gendered(text: str) -> WordAnswer | None:
    for patterns, form, whom in ((_FEMININE, feminine, "mulher"), (_MASCULINE, masculine, "homem")):
        word = _word(patterns, text)
        if word is None:
            continue
        word = _in_tables(word)
        other = form(word)
        if other is None:
            return WordAnswer(f'O {"feminino" if whom == "mulher" else "masculino"} de "{word}" é "', whole=False)
        if other == word:
            return WordAnswer(f'É igual: "{word}", para homem e para mulher.')
        return WordAnswer(f'O {"feminino" if whom == "mulher" else "masculino"} de "{word}" é "{other}".')
    return None


def _opposite(text: str) -> WordAnswer | None:
    word = _word(_OPPOSITE, text)
    if word is None or word in ("isso", "isto", "que"):
        return None
    word = _in_tables(word)
    other = forms().opposite.get(word) or forms().opposite.get(masculine(word) or "")
    if other is None:
        return WordAnswer(f'O contrário de "{word}" é "', whole=False)
    return WordAnswer(f'O contrário de "{word}" é "{other}".')


def _tense(text: str, *, short: bool) -> WordAnswer | None:
    found = next(filter(None, (pattern.search(text) for pattern in (*_IN_TENSE, _CONJUGATE))), None)
    if found is None:
        return None
    infinitive = found["word"].lower()
    tense: Tense = "present"
    if "tense" in found.groupdict():
        named = found["tense"].lower()
        tense = (
            "imperfect" if "imperf" in named else next((t for k, t in _TENSES.items() if named.startswith(k)), "past")
        )
    if infinitive not in forms().verbs and not is_portuguese(infinitive):
        return None
    said = conjugate(infinitive, tense)
    if said is None:
        return None
    parts = [f"{person} {form}" for person, form in zip(PERSONS, said, strict=True)][: 2 if short else 4]
    sentence = f"{_BEGINNING[tense]}{', '.join(parts[:-1])} e {parts[-1]}."
    return WordAnswer(sentence[0].upper() + sentence[1:])


def _article(text: str) -> WordAnswer | None:
    word = _word(_ARTICLE, text)
    if word is None:
        return None
    known = entry_of(word)
    known_article = known[0][:1] if known and known[0].startswith(("o ", "a ")) else None
    the = forms().article.get(word) or known_article or article(word)
    if the is None:
        return WordAnswer('A gente diz "', whole=False)
    return WordAnswer(f'A gente diz "{the} {word}".')


def _spelling(text: str) -> WordAnswer | None:
    found = _SPELL.search(text)
    if found is None:
        return None
    word = found["word"].lower()
    quoted = f'"{found["word"]}' in text
    if known := entry_of(word):
        word = word if " " in word else re.sub(r"^[oa]s? ", "", known[0])
    elif not is_portuguese(word) and (translation := translate(word, "en")):
        word = re.sub(r"^[oa]s? ", "", translation.portuguese[0])
    elif not quoted and not is_portuguese(word):
        return None
    if word in ("isso", "isto", "seu", "sua", "meu", "it", "that", "this") or " " in word:
        return None
    return WordAnswer(f'A gente escreve "{word}" assim: {spelt(word)}.')
