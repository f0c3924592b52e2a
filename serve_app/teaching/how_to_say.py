"""Answers "How do you say 'tired' in Portuguese?" and "O que significa 'saudade'?" from the glossary."""

from __future__ import annotations

import json
import re
from functools import cache

from wordfreq import zipf_frequency

from serve_app.package_data import data_file
from serve_app.teaching.glossary import Language, Translation, entry_of, translate, verb_like, without_article
from serve_app.teaching.spoken_signs import in_words
from serve_app.teaching.word_answer import WordAnswer, fold

MOST_WORDS = 8
"""An operand of more words is no word or phrase, but a sentence of another kind."""

_LANGUAGE = (
    r"(?:em|no|in|en|para o|al|into)\s+(?:língua\s+)?(?P<language>portugu[eê]se?|portugués|brasileiro|brazilian(?: "
    r"portuguese)?|inglês|ingles|english|inglés|espanhol|spanish|español|castellano)"
)
_IN_LANGUAGE = re.compile(rf"[\s,]*\b{_LANGUAGE}\b(?:\s+d[oe] brasil)?[\s,]*", re.IGNORECASE)
_TAIL = re.compile(
    r"[\s,]+(?:por favor|please|mesmo|professora?|teacher|lia|então|here|aqui|né|again|de novo|no brasil|in brazil)$",
    re.IGNORECASE,
)
_QUOTED = re.compile(r"\"([^\"]{1,80})\"")

_SAY = re.compile(
    r"\b(?:como (?:é que |que )?(?:se |a gente |nós |vocês |(?:eu |você )(?=(?:\S+ )?\"|.* em portugu))"
    r"(?:se )?(?:diz|digo|dizemos|dizem|diria|posso dizer|pode dizer)"
    r"|c[oó]mo (?:se|le) (?:dice|dise|diria|diría)|c[oó]mo digo|c[oó]mo (?:puedo |se puede )?decir"
    r"|how (?:do|would|can|could|should|to) (?:you|i|we|one|they|people) (?:say|translate)|how to (?:say|translate)"
    r"|(?:what's|what is) the (?:portuguese )?(?:word|translation|portuguese)(?: in portuguese)? (?:for|of)"
    r"|(?:qual (?:é )?)?a (?:palavra|tradução)(?: em português)? (?:para|de)(?= \"|.* em portugu))(?=\W|$)",
    re.IGNORECASE,
)
_SAY_WITH_LANGUAGE = re.compile(
    r"\b(?:como (?:é que |que )?(?:se |você |vocês |a gente |eu )?(?:fala|falo|falam|chama|chamam|traduz|traduzo|é|fica"
    r"|dizer|digo|diz)|o que é|(?:what's|what is|what are)|c[oó]mo (?:se )?(?:llama|habla|es|traduce))(?=\W|$)",
    re.IGNORECASE,
)
"""These ask for a word only if a language is named or the word is quoted: "Como você fala com ele?" does not."""

_MEAN = re.compile(
    r"\b(?:(?:o )?que (?:é que )?(?:quer dizer|significa)|qual (?:é )?o (?:significado|sentido) d[eoa]"
    r"|qué (?:significa|quiere decir)|(?:what is|what's) the meaning of|meaning of)(?=\W|$)",
    re.IGNORECASE,
)
_MEAN_AROUND = re.compile(
    r"\b(?:what (?:does|do|is|did) (?P<en>[^?!.]+?) means?\b"
    r"|(?:o )?que (?:a palavra |a expressão )?\"(?P<pt>[^\"]+)\" (?:quer dizer|significa)"
    r"|\"?(?P<last>[\w ]{2,30}?)\"? (?:quer dizer|significa) (?:o )?qu[eê]\b)",
    re.IGNORECASE,
)
_WHAT_IS = re.compile(r"^\W*(?:e |mas |professora,? )?(?:o que é|o que são|what is|what's|qué es)(?=\W)", re.IGNORECASE)

_NOT_WORDS = frozenset(
    [
        "isso",
        "isto",
        "aquilo",
        "ela",
        "ele",
        "eles",
        "elas",
        "você",
        "essa",
        "esse",
        "esta",
        "este",
        "que",
        "para",
        "pra",
        "no",
        "na",
        "nos",
        "nas",
        "em",
        "lá",
        "ali",
        "quando",
        "se",
        "com",
        "como",
        "uma",
        "um",
        "o",
        "a",
        "os",
        "as",
        "seu",
        "sua",
        "meu",
        "minha",
        "it",
        "that",
        "this",
        "these",
        "those",
        "something",
        "anything",
        "when",
        "if",
        "what",
        "so",
        "to",
        "eso",
        "esto",
        "ella",
        "algo",
        "al",
        "esas",
        "assim",
        "de",
        "do",
        "da",
        "não",
    ]
)
"""An operand without quotation marks that begins with one of these is part of a sentence."""

_A_WORD = re.compile(
    r"^(?:(?:a |the |la |uma |essa |esta |esa |an? )?(?:palavra|expressão|frase|word|phrase|palabra|expresión|verbo)"
    r"|o verbo|the verb|el verbo)\s+",
    re.IGNORECASE,
)


@cache
def meanings() -> dict[str, str]:
    """{folded word: sentence that explains it in easy Portuguese}"""
    data: dict[str, str] = json.loads(data_file("teaching/meanings.json").read_text("utf-8"))
    return {
        fold(word): f'"{_capital(word)}" {meaning}{"" if meaning[-2:-1] in "?!." else "."}'
        for word, meaning in data.items()
    }


def how_to_say(text: str) -> WordAnswer | None:
    """The answer where `text` (with plain quotation marks) asks for the Portuguese of a word."""
    for frame, strong in ((_SAY, True), (_SAY_WITH_LANGUAGE, False)):
        for lead in frame.finditer(text):
            words, quoted, language = _operands(text, lead)
            if not words or not (strong or language or quoted):
                continue
            if language and language[0].lower() in ("i", "e"):
                return _from_portuguese(
                    words[0], "en" if language.lower() in ("inglês", "ingles", "english", "inglés") else "es"
                )
            spanish = re.match(
                r"c[oó]mo (?:se|le) di[cs]e|c.mo (?:se )?(?:llama|habla|es )|cómo", lead[0], re.IGNORECASE
            )
            order: tuple[Language, Language] = ("es", "en") if spanish else ("en", "es")
            return _in_portuguese(words, order, quoted=quoted, strong=strong, named=language is not None)
    return None


def meaning(text: str) -> WordAnswer | None:
    """The answer where `text` asks what a word means."""
    around = _MEAN_AROUND.search(text)
    if around is not None:
        word = around["en"] or around["pt"] or around["last"]
        return _explained(word, quoted='"' in around[0])
    if lead := _MEAN.search(text):
        words, quoted, _ = _operands(text, lead)
        return _explained(words[0], quoted=quoted) if words else None
    if lead := _WHAT_IS.match(text):
        words, quoted, _ = _operands(text, lead)
        if words and (quoted or fold(_bare(words[0])) in meanings()):
            return _explained(words[0], quoted=quoted)
    return None


def is_portuguese(words: str) -> bool:
    """Whether every word is at least as usual in Portuguese as in English and Spanish."""
    found = re.findall(r"[^\W\d_]+", words.lower())
    return bool(found) and all(
        zipf_frequency(word, "pt") >= max(2.0, zipf_frequency(word, "en"), zipf_frequency(word, "es")) for word in found
    )


def _operands(text: str, lead: re.Match[str]) -> tuple[list[str], bool, str | None]:
    """(The words asked for, whether they were quoted, the language that is named) of the question begun by `lead`."""
    rest = text[lead.end() :].lstrip(" ,.:;…-")
    language = _IN_LANGUAGE.search(rest)
    named = language["language"] if language else None
    quoted = _QUOTED.findall(_IN_LANGUAGE.sub(" ", rest))
    if not quoted and not re.sub(r"\W", "", _IN_LANGUAGE.sub("", rest)):
        quoted = _QUOTED.findall(text[: lead.start()])[-1:]
    if quoted:
        return [word.strip(" ,.?!") for word in quoted], True, named
    sentence = re.split(r"[?!;]|[.…](?=\s|$)", rest)[0]
    sentence = _IN_LANGUAGE.sub(" ", sentence).strip(' ,.:"')
    while (shorter := _TAIL.sub("", sentence)) != sentence:
        sentence = shorter
    sentence = _A_WORD.sub("", sentence)
    word = sentence.split()[0].lower() if sentence else ""
    if not word or len(sentence.split()) > MOST_WORDS or (word in _NOT_WORDS and not _known(sentence)):
        return [], False, named
    return [sentence], False, named


def _known(words: str) -> bool:
    return len(words.split()) > 1 and (translate(words, "en") or translate(words, "es")) is not None


def _in_portuguese(
    words: list[str], order: tuple[Language, Language], *, quoted: bool, strong: bool, named: bool
) -> WordAnswer | None:
    if not quoted:
        parts = re.split(r"\s+(?:e|and|y|ou|or)\s+|\s*,\s*", words[0])
        if len(parts) > 1 and all(_found(part, order) for part in parts) and not _found(words[0], order):
            words = parts
    if number := re.fullmatch(r"(\d{1,9}|\d{1,3}(?:\.\d{3})+)", words[0]):
        said = in_words(int(number[0].replace(".", "")))
        return WordAnswer(f'Em português, a gente diz "{said}".')
    found = [(word, _found(word, order)) for word in words[:3]]
    if all(translation for _, translation in found):
        said = [_said(translation) for _, translation in found if translation]
        return WordAnswer(f"Em português, {', '.join(said[:-1])}{' e ' if said[1:] else ''}{said[-1]}.")
    word = next(word for word, translation in found if not translation)
    if known := entry_of(word):
        return WordAnswer(f'Em português, a gente diz "{known[0]}".') if strong or quoted else None
    if is_portuguese(word):
        return WordAnswer(f'A gente diz "{word.lower()}".') if quoted and strong else None
    if not (quoted or named or strong):
        return None
    verb = "é" if len(word.split()) <= 3 else "a gente diz"
    return WordAnswer(f'Em português, "{word}" {verb} "' if verb == "é" else f'Em português, {verb} "', whole=False)


def _found(word: str, order: tuple[Language, Language]) -> Translation | None:
    return translate(word, order[0]) or (None if entry_of(word) and order[0] == "en" else translate(word, order[1]))


def _said(translation: Translation) -> str:
    """'"work" é "o trabalho", e "to work" é "trabalhar"'"""
    usual = list(dict.fromkeys(translation.portuguese))[:2]
    if fold(without_article(usual[0])) == fold(translation.foreign):
        return f'"{translation.foreign}" também é "{usual[0]}"'
    said = f'"{translation.foreign}" é ' + " ou ".join(f'"{word}"' for word in usual)
    verb = verb_like(translation.foreign)
    if verb is not None and not set(verb.portuguese) & set(translation.portuguese):
        return f'{said}, e "{verb.foreign}" é "{verb.portuguese[0]}"'
    return said


def _from_portuguese(word: str, language: Language) -> WordAnswer | None:
    known = entry_of(_bare(word))
    foreign = known[1 if language == "en" else 2] if known else ""
    name = "inglês" if language == "en" else "espanhol"
    return WordAnswer(f'Em {name}, "{_bare(word).lower()}" é "{foreign}".') if foreign else None


def _explained(word: str, *, quoted: bool) -> WordAnswer | None:
    word = _bare(word)
    if not word or len(word.split()) > MOST_WORDS // 2:
        return None
    if fold(word) in meanings():
        return WordAnswer(meanings()[fold(word)])
    if fold(word).split()[0] in _NOT_WORDS and not quoted:
        return None
    if (known := entry_of(word)) is not None:
        foreign = [f'"{foreign}"' for foreign in known[1:] if foreign and fold(foreign) != fold(word)]
        names = [
            name
            for name, foreign in zip(("inglês", "espanhol"), known[1:], strict=True)
            if foreign and fold(foreign) != fold(word)
        ]
        if foreign:
            said = " e ".join(f"{word} em {name}" for word, name in zip(foreign, names, strict=True))
            return WordAnswer(f'"{_capital(word)}" é {said}.')
    if not is_portuguese(word) and (translation := translate(word, "en")):
        return WordAnswer(f"Em português, {_said(translation)}.")
    return WordAnswer(f'"{_capital(word)}" quer dizer', whole=False)


def _bare(word: str) -> str:
    return _A_WORD.sub("", word.strip(' ,.?!"')).strip(' ,.?!"')


def _capital(word: str) -> str:
    return word[:1].upper() + word[1:]
