"""Answers "How do you say 'tired' in Portuguese?" and "O que significa 'saudade'?" from the glossary."""

from __future__ import annotations

import re
from typing import Literal

from wordfreq import zipf_frequency

from serve_app.teaching.base_forms import base_form
from serve_app.teaching.glossary import (
    LANGUAGES,
    Language,
    Translation,
    entry_of,
    foreign_of,
    translate,
    verb_like,
    without_article,
)
from serve_app.teaching.meanings import has_meaning, meaning_of
from serve_app.teaching.spoken_signs import in_words
from serve_app.teaching.translation import into_english, into_portuguese
from serve_app.teaching.word_answer import WordAnswer, fold, plain_quotes
from serve_app.teaching.word_forms import forms

MOST_WORDS = 14
"""An operand of more words is no word or phrase, but a sentence of another kind."""

_LANGUAGES: dict[str, Language] = {
    **{"ing": "en", "eng": "en", "esp": "es", "spa": "es", "cas": "es"},
    **{"ita": "it", "fra": "fr", "fre": "fr", "ale": "de", "ger": "de", "deu": "de"},
}
_LEADS: dict[str, Language] = {"comment": "fr", "come si": "it", "wie ": "de"}
_NAMES: dict[Language, str] = {"en": "inglês", "es": "espanhol", "it": "italiano", "fr": "francês", "de": "alemão"}
_LANGUAGE = (
    r"(?:em|no|in|en|para o|al|into|auf)\s+(?:língua\s+)?(?P<language>portugu[eê]se?|portugués|brasileiro|brazilian(?: "
    r"portuguese)?|portugais|portoghese|portugiesisch|inglês|ingles|english|inglés|espanhol|spanish|español|castellano"
    r"|italiano?|franc[eê]s|français|french|alemão|alemao|german|deutsch)"
)
_IN_LANGUAGE = re.compile(rf"[\s,]*\b{_LANGUAGE}\b(?:\s+d[oe] brasil)?[\s,]*", re.IGNORECASE)
_TAIL = re.compile(
    r"[\s,]+(?:por favor|please|mesmo|professora?|teacher|lia|então|here|aqui|né|again|de novo|no brasil|in brazil)$",
    re.IGNORECASE,
)
_HESITATION = re.compile(r"^(?:(?:eh|é|er|hm+|hum|uh+|um(?=[,.…])|ahn?)\b[\s,.…]+)+", re.IGNORECASE)
_CLAUSE = re.compile(r"(?:when|what|if|so|how|why|cuando|lo que|si) \S", re.IGNORECASE)
_JUST_BEFORE = re.compile(r"(?:^|[.!?] )(?:(?:e|and|y) )?([^\W\d_][\w' -]{1,30}),\s*$", re.IGNORECASE)
_QUOTED = re.compile(r"\"([^\"]{1,80})\"")

_SAY = re.compile(
    r"\b(?:como (?:é que |que )?(?:se |a gente |nós )(?:se )?(?:diz|dizemos|diria|pode dizer)"
    r"|c[oó]mo (?:se|le) (?:dice|dise|diría)|c[oó]mo digo|c[oó]mo (?:puedo |se puede )?decir"
    r"|how (?:(?:do|would|can|could|should|to) )?(?:you|i|we|one|they|people) (?:say|translate)"
    r"|how to (?:say|translate)"
    r"|(?:qual (?:é |seria )?a|existe (?:uma )?|há (?:uma )?|tem (?:uma )?)(?: ?melhor)? ?"
    r"(?:palavra|tradução|expressão)"
    r"(?: (?:portuguesa|brasileira|em português))? para"
    r"|what (?:do|would) (?:you|they|people|brazilians) call"
    r"|como (?:é que )?(?:você |se |a gente |eu )?traduz(?:iria|ir|o|em)?(?= \")"
    r"|qual (?:é |seria )?a (?:melhor )?(?:tradução (?:de|para)|(?:forma|maneira) (?:\w+ ){0,3}de (?:dizer|traduzir))"
    r"|(?:que|qual) palavra (?:é que )?(?:eu |se |você |a gente )?(?:us[aoe]r?|posso usar|existe) para"
    r"|como (?:se )?chama(?:m)?(?= (?:isso|esse|essa|este|esta)?[^?\"]*\"[^\"]+\")"
    r"|comment (?:dit-on|dire|est-ce qu'on dit|on dit)|come si dice|wie (?:sagt man|hei(?:ß|ss)t)"
    r"|(?:what's|what is) the (?:portuguese )?(?:word|translation|portuguese)(?: in portuguese)? (?:for|of))(?=\W|$)",
    re.IGNORECASE,
)
_SAY_PERHAPS = re.compile(
    r"\b(?:como (?:é que |que )?(?:se |vocês? |a gente |eu )?(?:fal[ao]m?|chamam?|traduzo?|é|fica|dizer|digo|diz(?:em)?"
    r"|posso dizer)|o que é|(?:what's|what is|what are)|c[oó]mo (?:se )?(?:llama|habla|es|traduce)"
    r"|a (?:palavra|tradução)(?: em português)? (?:para|de))(?=\W|$)",
    re.IGNORECASE,
)
"""These ask for a word only if a language is named, or the word is quoted or foreign: not "Como você fala com ele?"."""

_MEAN = re.compile(
    r"\b(?:(?:o )?que (?:é que )?(?:quer dizer|significa)|qual (?:é )?o (?:significado|sentido) d[eoa]"
    r"|qué (?:significa|quiere decir)|what (?:does it )?means?|(?:what is|what's) the meaning of|meaning of)(?=\W|$)",
    re.IGNORECASE,
)
_MEAN_AROUND = re.compile(
    r"\b(?:what (?:does |do |is |did )?(?P<en>[^?!.]+?) means?\b"
    r"|(?:o )?que (?:a palavra |a expressão )?\"(?P<pt>[^\"]+)\" (?:quer dizer|significa)"
    r"|\"?(?P<last>[\w ]{2,30}?)\"? (?:quer dizer|significa) (?:o )?qu[eê]\b)",
    re.IGNORECASE,
)
_WHAT_IS = re.compile(r"^\W*(?:e |mas |professora,? )?(?:o que é|o que são|what is|what's|qué es)(?=\W)", re.IGNORECASE)

_A_WORD = re.compile(
    r"^(?:(?:a |the |la |uma |essa |esta |esa |an? )?(?:palavra|expressão|frase|word|phrase|palabra|expresión|verbo)"
    r"|o verbo|the verb|el verbo)\s+",
    re.IGNORECASE,
)

_PERSONAL = re.compile(r"(?:your|my|his|her|our|their|he|she|they|you|we|i)\b", re.IGNORECASE)
"""In English a question that goes on like this asks for no word: "What does your name mean?"."""


def how_to_say(text: str) -> WordAnswer | None:
    """The answer where `text` (with plain quotation marks) asks for the Portuguese of a word."""
    told = _how_to_say(text)
    return told if told is None or told.whole else _named_again(text) or told


def _named_again(text: str) -> WordAnswer | None:
    """Of up to three words of another language that stand by themselves: "Como se diz khleb? Bread."."""
    for sentence in re.split(r"[.!?…]+", text):
        word = sentence.strip(" ,\"'")
        if 0 < len(word.split()) <= 3 and not is_portuguese(word) and _found(word, LANGUAGES):
            return _in_portuguese([word.lower()], LANGUAGES, quoted=False, sure=False)
    return None


def _how_to_say(text: str) -> WordAnswer | None:
    for frame in (_SAY, _SAY_PERHAPS):
        for lead in frame.finditer(text):
            words, quoted, language = _operands(text, lead)
            if not words:
                continue
            if language is not None and language != "pt":
                return _from_portuguese(words[0], language)
            order = _order(lead[0].lower())
            if not (frame is _SAY or language or quoted):
                plain = lead[0].lower().startswith("what") or is_portuguese(words[0])
                if plain or not _found(words[0], order):
                    continue
            return _in_portuguese(words, order, quoted=quoted, sure=frame is _SAY or quoted)
    return None


def asked_for(text: str) -> tuple[str, str] | None:
    """The word that an utterance asks the Portuguese of, and that Portuguese, where the data has it."""
    plain = plain_quotes(text)
    answered = how_to_say(plain)
    told = _QUOTED.search(answered.text) if answered else None
    if told is None:
        return None
    for frame in (_SAY, _SAY_PERHAPS):
        for lead in frame.finditer(plain):
            words, _, language = _operands(plain, lead)
            if words and language in (None, "pt") and words[0].lower() != told[1].lower():
                return words[0], told[1].lower()
    return None


def _order(lead: str) -> tuple[Language, ...]:
    """Where the word is looked up: first in the language of the question."""
    first: Language = "es" if re.search("ó|dice|dise|llama|habla|decir", lead) else "en"
    for start, language in _LEADS.items():
        first = language if lead.startswith(start) else first
    return first, *(language for language in LANGUAGES if language != first)


def meaning(text: str) -> WordAnswer | None:
    """The answer where `text` asks what a word means."""
    around = _MEAN_AROUND.search(text)
    if around is not None:
        word = around["en"] or around["pt"] or around["last"]
        if explained := _explained(word, quoted='"' in around[0], phrase=around["en"] is not None):
            return explained
    if lead := _MEAN.search(text):
        words, quoted, _ = _operands(text, lead)
        return _explained(words[0], quoted=quoted) if words else None
    if lead := _WHAT_IS.match(text):
        words, quoted, language = _operands(text, lead)
        if words and language is None and (quoted or has_meaning(_bare(words[0]))):
            return _explained(words[0], quoted=quoted)
    return None


def is_portuguese(words: str) -> bool:
    """Whether every word is at least as usual in Portuguese as in English and Spanish."""
    found = re.findall(r"[^\W\d_]+", words.lower())
    return bool(found) and all(
        zipf_frequency(word, "pt") >= max(2.0, zipf_frequency(word, "en"), zipf_frequency(word, "es")) for word in found
    )


def _operands(text: str, lead: re.Match[str]) -> tuple[list[str], bool, Language | Literal["pt"] | None]:
    """The words asked for by the question begun by `lead`, whether they were quoted, the language."""
    rest = text[lead.end() :].lstrip(" ,.:;…-")
    named = _IN_LANGUAGE.search(rest)
    language: Language | Literal["pt"] | None = (
        None if named is None else _LANGUAGES.get(named["language"][:3].lower(), "pt")
    )
    without = _IN_LANGUAGE.sub(" ", rest)
    quoted = _QUOTED.findall(without)
    if not quoted and not re.search(r"\w", without):
        quoted = _QUOTED.findall(text[: lead.start()])[-1:]
    if quoted:
        return [word.strip(" ,.?!") for word in quoted], True, language
    words = re.split(r"[?!;]|[.…](?=\s|$)", _HESITATION.sub("", without.lstrip()))[0].strip(' ,.:"')
    while (shorter := _TAIL.sub("", words)) != words:
        words = shorter
    words = _A_WORD.sub("", words)
    if not words and (before := _JUST_BEFORE.search(text[: lead.start()])) and _found(before[1], LANGUAGES):
        words = before[1]
    first = re.match(r"\w*", words.lower())
    part = (
        _CLAUSE.match(words) is not None
        or first is None
        or (first[0] in forms().small_words and not (" " in words and _found(words, LANGUAGES)))
    )
    return ([], False, language) if not words or part or len(words.split()) > MOST_WORDS else ([words], False, language)


def _in_portuguese(words: list[str], order: tuple[Language, ...], *, quoted: bool, sure: bool) -> WordAnswer | None:
    """`sure`: the learner certainly asks for a word, even if it is a Portuguese one."""
    if not quoted and not _found(words[0], order):
        parts = re.split(r"\s+(?:e|and|y|ou|or)\s+|\s*,\s*", words[0])
        words = parts if all(_found(part, order) for part in parts) else words
    if re.fullmatch(r"\d{1,9}|\d{1,3}(?:\.\d{3}){1,2}", words[0]):
        return WordAnswer(f'Em português, a gente diz "{in_words(int(words[0].replace(".", "")))}".')
    found = [_found(word, order) for word in words[:3]]
    said = [_said(translation) for translation in found if translation is not None]
    if len(said) == len(found):
        return WordAnswer(f"Em português, {', '.join(said[:-1])}{' e ' if said[1:] else ''}{said[-1]}.")
    word = words[found.index(None)]
    portuguese = order[0] == "en"  # a Spanish question asks for Spanish words, however Portuguese they look
    if portuguese and (known := entry_of(word)):
        return WordAnswer(f'Em português, a gente diz "{known[0]}".') if sure else None
    if portuguese and is_portuguese(word):
        return WordAnswer(f'A gente diz "{word.lower()}".') if quoted and len(word.split()) <= 3 else None
    if len(word.split()) > 3:
        if portuguese and quoted and (told := into_portuguese(word)):
            return WordAnswer(f'Em português, a gente diz "{told}".')
        return WordAnswer('Em português, a gente diz "', whole=False)
    if portuguese and (told := into_portuguese(word)):
        return WordAnswer(f'Em português, "{word}" é "{told}".')
    return WordAnswer(f'Em português, "{word}" é "', whole=False)


def _found(word: str, order: tuple[Language, ...]) -> Translation | None:
    """`word` in the first language, or in the next ones unless English was expected and the word is Portuguese."""
    if (first := translate(word, order[0])) or (order[0] == "en" and entry_of(word)):
        return first
    return next((found for language in order[1:] if (found := translate(word, language))), None)


def _said(translation: Translation) -> str:
    """'"work" é "o trabalho", e "to work" é "trabalhar"'"""
    foreign, usual = (
        translation.foreign,
        list({fold(without_article(word)): word for word in translation.portuguese[::-1]}.values())[::-1][:2],
    )
    if fold(without_article(usual[0])) == fold(foreign):
        return f'"{foreign}" também é "{usual[0]}"'
    said = f'"{foreign}" é ' + " ou ".join(f'"{word}"' for word in usual)
    verb = verb_like(foreign)
    if verb is not None and not set(verb.portuguese) & set(translation.portuguese):
        return f'{said}, e "{verb.foreign}" é "{verb.portuguese[0]}"'
    return said


def _from_portuguese(word: str, language: Language) -> WordAnswer | None:
    bare = _bare(word)
    if foreign := foreign_of(bare, language):
        return WordAnswer(f'Em {_NAMES[language]}, "{bare.lower()}" é "{foreign}".')
    explained = meaning_of(bare)
    return WordAnswer(explained) if explained else None


def _explained(word: str, *, quoted: bool, phrase: bool = False) -> WordAnswer | None:
    """`phrase`: several words are taken for one expression even without quotation marks."""
    word = _bare(word)
    if has_meaning(word) and (explained := meaning_of(word)):
        return WordAnswer(explained)
    several = len(word.split()) > (4 if quoted or phrase else 1)
    if not word or (not quoted and (fold(word).split()[0] in map(fold, forms().small_words) or _PERSONAL.match(word))):
        return None
    if foreign := _in_english_and_spanish(word):
        return foreign
    if explained := meaning_of(word):
        return WordAnswer(explained)
    if not is_portuguese(word) and (translation := _found(word, LANGUAGES)):
        return WordAnswer(f"Em português, {_said(translation)}.")
    if (base := base_form(word)) and (foreign := _in_english_and_spanish(base)):
        return foreign
    if not several and is_portuguese(word) and (english := into_english(word)):
        return WordAnswer(f'"{_capital(word)}" é "{english}" em inglês.')
    return None if several else WordAnswer(f'"{_capital(word)}" quer dizer', whole=False)


def _in_english_and_spanish(word: str) -> WordAnswer | None:
    if (known := entry_of(word)) is None:
        return None
    foreign = zip(known[1:], ("inglês", "espanhol"), strict=True)
    said = " e ".join(f'"{other}" em {name}' for other, name in foreign if other and fold(other) != fold(word))
    return WordAnswer(f'"{_capital(word)}" é {said}.') if said else None


def _bare(word: str) -> str:
    return _A_WORD.sub("", word.strip(' ,.?!"')).strip(' ,.?!"')


def _capital(word: str) -> str:
    return word[:1].upper() + word[1:]
