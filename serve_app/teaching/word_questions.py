"""Answers a learner's questions about words from data: translation, meaning, difference, plural, gender, tense ...

The planner asks `answer` before it plans anything else; None means that the utterance is no question about words.
"""

from __future__ import annotations

import json
import re
from functools import cache

from serve_app.package_data import data_file
from serve_app.teaching.glossary import entry_of, translate, without_article
from serve_app.teaching.how_to_say import how_to_say, is_portuguese, meaning
from serve_app.teaching.spoken_signs import spelt
from serve_app.teaching.verb_tenses import PERSONS, Tense, conjugate
from serve_app.teaching.word_answer import WordAnswer, fold, plain_quotes
from serve_app.teaching.word_forms import article, feminine, forms, masculine, plural
from serve_app.teaching.word_uses import use_of

__all__ = ["WordAnswer", "answer"]

LONGEST = 400
"""Letters at the end of an utterance where the question is looked for: the patterns take long for a long text."""

_A_WORD = r"(?:a palavra|the word|la palabra|palavra|o verbo|the verb|verbo|[oa]s?|uma?)"
_OF = rf"\s+(?:(?:d[eoa]s?|del|of|for|to)\s+)?(?:{_A_WORD}\s+)?"
_WORD = r"\"?(?P<word>[\w-]+(?: (?:de|do|da) \w+)?)\"?"
_HOW = r"\b(?:como|qual|how|what|what's|c[oó]mo|cuál)\b.*?"
_ASKS = re.compile(
    r"\?|\b(?:como|qual|que|quando|how|what|sei|sabe|saber|c[oó]mo|cuál|qué|exemplo|frase)\b", re.IGNORECASE
)
_IN_PORTUGUESE = re.compile(r"[\s,]+(?:em|in|en) portugu\w+", re.IGNORECASE)

_TENSES: dict[str, Tense] = {
    "subj": "subjunctive",
    "pres": "present",
    "fut": "future",
    "imp": "imperfect",
    "pretérito imp": "imperfect",
}
_TENSE = (
    r"(?P<tense>subjuntivo|subjunctive|pretérito imperfeito|pretérito(?: perfeito)?|imperfeito|passado"
    r"|past(?: tense)?|presente?|futur[oe])"
)
_BEGINNING = {"present": "", "past": "Ontem ", "imperfect": "Antes ", "future": "Amanhã ", "subjunctive": "Que "}
_BEFORE_OPERAND = ("é", "fica", "diz")


def _patterns(*patterns: str) -> tuple[re.Pattern[str], ...]:
    return tuple(re.compile(pattern, re.IGNORECASE) for pattern in patterns)


def _asking(of: str) -> tuple[re.Pattern[str], ...]:
    """Patterns for "qual é o plural de X" and, in a question, "como fica X no plural"."""
    return _patterns(
        rf"(?<!\w){of}\s+(?:d[eoa]s?|del|of|for|to){_OF}{_WORD}",
        rf"{_HOW}(?<!\w){_WORD}[\s,]+(?:no|na|in the|en|ao) {of}\b",
    )


_PLURAL = _asking("plural")
_FEMININE = _asking(r"(?:feminin[oae]|femenino|female)")
_MASCULINE = _asking(r"(?:masculin[oae]|male)")
_OPPOSITE = _asking(r"(?<!ao )(?<!pelo )(?:contr[aá]rio|oposto|ant[oôó]nimo|opposite|opuesto)")
_IN_TENSE = (*_asking(_TENSE), *_patterns(rf"\b(?:conjuga\w*|conjugate|conjugation){_OF}{_WORD}"))
_ARTICLE = _patterns(
    r"\b(?:o|um) (?P<word>[\w-]+)\"?,? (?:ou|or) \"?(?:a|uma) (?P=word)\b",
    r"\b(?:a|uma) (?P<word>[\w-]+)\"?,? (?:ou|or) \"?(?:o|um) (?P=word)\b",
    r"\b(?:o|um|a|uma)\"? (?:ou|or) \"?(?:a|uma|o|um)\"? \"?(?P<word>[\w-]{3,})\"?",
    rf"{_WORD} (?:é|is|es) (?:uma palavra )?(?:masculin|feminin|femenin)\w+,? (?:ou|or|o)\b",
    rf"\bis{_OF}{_WORD} (?:masculine|feminine) or\b",
    rf"\b(?:gênero|género|genero|gender|artigo|article) (?:d[eoa]|of|for){_OF}{_WORD}\s*[?.!]*$",
)
_SPELL = _patterns(
    r"\b(?:como (?:é que )?(?:se |a gente )(?:escreve|soletra)|como (?:eu |você )?(?:escrevo|escreve)(?= \")"
    r"|c[oó]mo se (?:escribe|deletrea)|how (?:do|would) (?:you|i|we) (?:spell|write)|how to (?:spell|write))"
    rf"{_OF}{_WORD}(?:,? por favor)?\s*(?:[?.!,]|$)",
)
_DIFFERENCE = re.compile(r"\b(?:diferenças?|diferencia|difference)(?: de uso)? (?:entre|between|de)\b", re.IGNORECASE)
_SAME = re.compile(
    r"\"?(\w[\w -]{1,25}?)\"? (?:e|ou) \"?(\w[\w -]{1,25}?)\"? (?:são|é|significam|querem dizer)"
    r" (?:a mesma coisa|igua(?:l|is)|o mesmo|sinônimos|diferentes)\b",
    re.IGNORECASE,
)
_WHICH = re.compile(
    r"\b(?:quando (?:eu |a gente |se )?(?:devo |posso )?(?:us[oae]r?|diz|digo)"
    r"|when (?:do|should) (?:i|you|we) (?:use|say)|cu[aá]ndo (?:se )?us[oae])\b(?=.*\?)",
    re.IGNORECASE,
)
_EITHER = re.compile(r"\"([^\"]+)\",? (?:ou|or|o) (?:é |digo |diz )?\"([^\"]+)\"", re.IGNORECASE)
_ABOUT_USE = re.compile(
    r"\b(?:quando|como|onde|por qu?e|para que|o que é)\b.*"
    r"\b(?:us[aoe]\w*|funciona|forma|faz|é|digo|diz|coloc\w+|serve|põe)\b"
    r"|\bo que (?:é|são) (?:(?:um|uma|uns|umas|o|a|os|as) )?\w[^\"]*$|\b(?:regra|when|how|diferença)\b",
    re.IGNORECASE,
)
_BETWEEN = re.compile(r"\s+(?:e|and|y|ou|or|para|from)\s+|\s*[/,]\s*", re.IGNORECASE)
_BEFORE_WORD = re.compile(
    rf"^\W*(?:(?:quando|when|cuándo) )?(?:(?:eu|se|i|do i) )?(?:(?:usar|us[oae]|use|say|digo|diz) )?(?:{_A_WORD} )?",
    re.IGNORECASE,
)


def answer(utterance: str, level: str | None = None) -> WordAnswer | None:
    """What the tutor says to a question about words, without the question that follows; None: it is none.

    At A1 a tense is answered with the forms of "eu" and "você" alone.
    """
    text = plain_quotes(utterance[-LONGEST:])
    if not _ASKS.search(text):
        return None
    here = _IN_PORTUGUESE.sub("", text)
    return (
        _difference(here)
        or _plural(here)
        or _gendered(here)
        or _opposite(here)
        or _grammar(here)
        or _tense(here, short=level == "A1")
        or use_of(here)
        or _article(here)
        or _spelling(here)
        or meaning(text)
        or how_to_say(text)
    )


def _word(patterns: tuple[re.Pattern[str], ...], text: str) -> str | None:
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


def _told_by_meaning(first: str, second: str) -> str | None:
    """Two words apart by their English, and a noun from its verb: "cozinha" and "cozinhar"."""
    both = [without_article(word.strip(' ,.?!"').lower()) for word in (first, second)]
    known = [entry for word in both if (entry := entry_of(word)) is not None]
    if len(known) < 2 or known[0][1] == known[1][1]:
        return None
    verbs = [
        word.endswith("r") and not entry[0].startswith(("o ", "a ")) for word, entry in zip(both, known, strict=True)
    ]
    english = [f'"{entry[1]}"' for entry in known]
    if verbs[0] != verbs[1]:
        noun, verb = (1, 0) if verbs[0] else (0, 1)
        is_noun = f'"{_capital(both[noun])}", {english[noun]}, é um substantivo'
        return f'{is_noun}, e "{both[verb]}", {english[verb]}, é o verbo.'
    return f'Em inglês, "{both[0]}" é {english[0]} e "{both[1]}" é {english[1]}.'


def _capital(word: str) -> str:
    return word[:1].upper() + word[1:]


def _difference(text: str) -> WordAnswer | None:
    if (either := _EITHER.search(text)) and (told := _told_apart(either[1], either[2])):
        return WordAnswer(told)
    if (same := _SAME.search(text)) and (told := _told_apart(same[1], same[2])):
        return WordAnswer(told)
    lead = _DIFFERENCE.search(text) or _WHICH.search(text)
    if lead is None:
        return None
    rest = text[lead.end() :]
    quoted = re.findall(r"\"([^\"]+)\"", rest)
    words = re.split(r"[?!;]|\.(?=\s|$)", rest)[0].replace('"', "").strip()
    pairs = [(words[: found.start()], words[found.end() :]) for found in _BETWEEN.finditer(words)]
    for first, second in [(quoted[0], quoted[1])] if len(quoted) > 1 else pairs:
        for clean in (str.strip, lambda word: _BEFORE_WORD.sub("", word)):
            if told := _told_apart(clean(first), clean(second)):
                return WordAnswer(told)
    if lead.re is not _DIFFERENCE:
        return None
    for first, second in [(quoted[0], quoted[1])] if len(quoted) > 1 else pairs:
        if told := _told_by_meaning(first, second):
            return WordAnswer(told)
    verbs = re.fullmatch(r"(\w+[aei]r) (?:e|and|y) \w+[aei]r", words)
    unknown = quoted[0] if len(quoted) > 1 else verbs[1] if verbs and is_portuguese(words.replace("and", "e")) else None
    return WordAnswer(f'A gente diz "{unknown}"', whole=False) if unknown else None


def _in_tables(word: str) -> str:
    """A Portuguese word with the accents that the learner or Whisper left out; a foreign one in Portuguese."""
    if (known := entry_of(word)) is not None:
        return without_article(known[0])
    if is_portuguese(word):
        return word
    translation = translate(word, "en")
    return without_article(translation.portuguese[0]) if translation else word


def _known_article(word: str) -> str | None:
    known = entry_of(word)
    return known[0][:1] if known and known[0].startswith(("o ", "a ")) else None


def _plural(text: str) -> WordAnswer | None:
    word = _word(_PLURAL, text)
    if word is None or word in (*_BEFORE_OPERAND, "isso", "palavras", "nomes", "substantivos"):
        return None
    word = _in_tables(word)
    first, space, rest = word.partition(" ")
    many = plural(word) if word in forms().plural else plural(first) + space + rest
    if many == word:
        return WordAnswer(f'É igual: "{word}", um ou muitos.')
    if the := _known_article(word):
        one, two = ("um", "dois") if the == "o" else ("uma", "duas")
        return WordAnswer(f'A gente diz "{one} {word}" e "{two} {many}".')
    return WordAnswer(f'Para um, a gente diz "{word}", e para muitos, "{many}".')


def _gendered(text: str) -> WordAnswer | None:
    for patterns, form, name in ((_FEMININE, feminine, "feminino"), (_MASCULINE, masculine, "masculino")):
        word = _word(patterns, text)
        if word is None or word in (*_BEFORE_OPERAND, "isso"):
            continue
        word = _in_tables(word)
        other = form(word)
        if other is None:
            return WordAnswer(f'O {name} de "{word}" é "', whole=False)
        return WordAnswer(
            f'É igual: "{word}", para homem e para mulher.' if other == word else f'O {name} de "{word}" é "{other}".'
        )
    return None


def _opposite(text: str) -> WordAnswer | None:
    word = _word(_OPPOSITE, text)
    if word is None or word in forms().small_words:
        return None
    word = _in_tables(word)
    other = forms().opposite.get(word) or forms().opposite.get(masculine(word) or "")
    if other is None:
        return WordAnswer(f'O contrário de "{word}" é "', whole=False)
    return WordAnswer(f'O contrário de "{word}" é "{other}".')


def _tense(text: str, *, short: bool) -> WordAnswer | None:
    found = next(filter(None, (pattern.search(text) for pattern in _IN_TENSE)), None)
    if found is None:
        return None
    infinitive, named = found["word"].lower(), found.groupdict().get("tense", "presente").lower()
    if infinitive not in forms().verbs and not is_portuguese(infinitive):
        return None
    tense: Tense = "past"
    for start, meant in _TENSES.items():
        tense = meant if named.startswith(start) else tense
    said = conjugate(infinitive, tense)
    if said is None:
        return None
    parts = [f"{person} {form}" for person, form in zip(PERSONS, said, strict=True)][: 2 if short else 4]
    sentence = f"{_BEGINNING[tense]}{', '.join(parts[:-1])} e {parts[-1]}."
    return WordAnswer(sentence[0].upper() + sentence[1:])


@cache
def _grammar_facts() -> tuple[tuple[re.Pattern[str], str], ...]:
    rows = json.loads(data_file("teaching/grammar.json").read_text("utf-8"))
    return tuple((re.compile(row["asks"], re.IGNORECASE), row["text"]) for row in rows)


def _grammar(text: str) -> WordAnswer | None:
    """How something is used: "quando se usa a crase?"."""
    if not _ABOUT_USE.search(text):
        return None
    return next((WordAnswer(told) for asks, told in _grammar_facts() if asks.search(text)), None)


def _article(text: str) -> WordAnswer | None:
    word = _word(_ARTICLE, text)
    if word is None:
        return None
    the = forms().article.get(word) or _known_article(word) or article(word)
    return WordAnswer(f'A gente diz "{the} {word}".') if the else WordAnswer('A gente diz "', whole=False)


def _spelling(text: str) -> WordAnswer | None:
    word = _word(_SPELL, text)
    if word is None or " " in word:
        return None
    quoted, spelling = f'"{word}"' in text.lower(), _in_tables(word)
    if not quoted and (word in forms().small_words or (spelling == word and not is_portuguese(word))):
        return None
    return WordAnswer(f'A gente escreve "{spelling}" assim: {spelt(spelling)}.')
