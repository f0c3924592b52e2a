"""Features of a Portuguese utterance that indicate its speaker's level.

Vocabulary: length and frequency of the words, on the Zipf scale of wordfreq's "large" Portuguese list
(6 is "casa", 3 is once in a million words). Topic: share of everyday and of personal words. Grammar:
the hardest tense, mood or clitic found, on the scale A1 = 0 .. C2 = 5. Connectives: the same scale.
"""

from __future__ import annotations

import math
import re
from functools import cache, lru_cache

import numpy as np
import simplemma
import wordfreq
from numpy.typing import NDArray

from serve_app.engines.cefr.lexical_grammar import Token, constructs, word_set
from serve_app.package_data import data_file

MIN_WORDS = 4
"""Shorter utterances are not rated; fillers and repetitions do not count."""

FEATURES = (
    "log_words",
    "content_zipf",
    "low_quartile_zipf",
    "share_below_3_2",
    "share_everyday",
    "share_personal",
    "letters_per_word",
    "grammar",
    "connective",
    "past",
)
"""The order of `features`."""

MAX_WORDS = 25  # beyond this, length does not indicate a higher level
KEPT_WORDS = 50_000  # cached look-ups; more words than a course needs
EVERYDAY_FILE = data_file("everyday_words.txt")
EVERYDAY_ZIPF = 5.5  # used for words of the first lessons, however rarely they are written
FUNCTION_WORD_ZIPF = 6.0  # the ninety or so most frequent words say nothing about vocabulary
ZIPF_FLOOR = 2.5  # rarer words depend on the topic more than on the level, and their counts are noise

FILLERS = word_set("ah ahn ahã aham ã eh éé ehm er hã hein hm hmm hum humm mm mhm né oh ó opa ué uh uhm uhum")

# By level, in our judgement of the CEFR scale; most A1 learners know only e, mas, porque.
CONNECTIVES: dict[float, str] = {
    1.0: "por isso|então|quando|antes de|depois de|do que|também não|primeiro|de repente",
    2.0: "embora|apesar de|apesar do|apesar da|já que|na minha opinião|talvez|assim que|para que|além disso|"
    "só que|senão|por exemplo|enquanto|pelo menos|hoje em dia|por causa de|por causa do|por causa da",
    3.0: "caso|mesmo que|por mais que|por muito que|desde que|à medida que|por um lado|por outro|ainda que|"
    "portanto|no entanto|ao contrário|como se|a menos que|a não ser que|quanto mais|sobretudo|uma vez que|"
    "em vez de|cada vez mais|porém|de modo que|de forma que|na verdade|mesmo assim|ainda assim|em geral",
    4.0: "contudo|todavia|não obstante|na medida em que|salvo se|sob esse|a meu ver|no que diz respeito|"
    "no que tange|tampouco|convém|vale ressaltar|em contrapartida|tendo em conta|tendo em vista|até porque|"
    "por si só|por si sós|à luz de|quer se|ora|há quem|por ora|em detrimento|via de regra|tais|tal|"
    "no tocante|em suma|de fato|não deixa de|a fim de que|sequer|dado que|sob o",
    5.0: "conquanto|porquanto|outrossim|amiúde|mormente|destarte|não raro|em que pese|à guisa de|haja vista|"
    "a bem da verdade|deveras|quiçá|outrora|posto que|há que|quando não|à revelia|urge|cumpre|algures|"
    "malgrado|doravante|máxime|tamanha|tamanho|semelhante|à míngua|não sem antes|dir se ia",
}

# Beginners talk about themselves and the person they speak to; general subjects come later.
PERSONAL = word_set("eu meu minha meus minhas me mim comigo você seu sua nós nosso nossa gente")

_TOKEN = re.compile(r"[^\W\d_]+(?:-[^\W\d_]+)*")
_SENTENCE_END = re.compile(r"[.!?…:]\s*[\"“(]*$")
_HESITATION = re.compile(r"\b(é|e|o|a|um|uma|de)\s*(?:\.{2,}|…)", re.IGNORECASE)


@lru_cache(KEPT_WORDS)
def _look_up(text: str) -> Token:
    for form in (text, text.replace("ê", "é").replace("ô", "ó")):  # simplemma's list is European Portuguese: "ingénuo"
        if simplemma.is_known(form, lang="pt"):
            return Token(text, simplemma.lemmatize(form, lang="pt").lower(), True)
    # simplemma's list lacks most adverbs in -mente.
    adverb = text.endswith("amente") and simplemma.is_known(text.removesuffix("mente"), lang="pt")
    return Token(text, text, adverb)


def tokens(text: str) -> list[tuple[Token, bool]]:
    """The words of `text` without fillers and immediate repetitions, and whether each may be a name."""
    text = _HESITATION.sub(" ", text)
    words: list[tuple[str, bool]] = []
    for match in _TOKEN.finditer(text):
        word = match.group()
        initial = not words or bool(_SENTENCE_END.search(text[: match.start()]))
        if word.lower() not in FILLERS:
            words.append((word.lower(), word[0].isupper() and not initial))
    kept: list[tuple[str, bool]] = []
    for word in words:
        kept.append(word)
        for size in (1, 2, 3):  # "eu eu gosto", "eu gosto eu gosto"
            if len(kept) >= 2 * size and _same(kept[-size:], kept[-2 * size : -size]):
                del kept[-size:]
                break
    return [(_look_up(word), name) for word, name in kept]


def _same(left: list[tuple[str, bool]], right: list[tuple[str, bool]]) -> bool:
    return [word for word, _ in left] == [word for word, _ in right]


@cache
def _everyday() -> frozenset[str]:
    lines = EVERYDAY_FILE.read_text(encoding="utf-8").splitlines()
    return frozenset(word for line in lines if line[:1] != "#" for word in line.partition(":")[2].split())


def _is_everyday(token: Token) -> bool:
    return token.text in _everyday() or token.lemma in _everyday()


@lru_cache(KEPT_WORDS)
def _ease(token: Token) -> float:
    """Zipf frequency of a word, as a measure of vocabulary."""
    if _is_everyday(token):
        return EVERYDAY_ZIPF
    # A rare form of a common verb ("acordei") is grammar, not vocabulary: take the more frequent of form and lemma.
    forms = (token.text, token.lemma)
    return max(ZIPF_FLOOR, *(wordfreq.zipf_frequency(form, "pt", wordlist="large") for form in forms))


def _connective(words: list[Token]) -> float:
    line = " " + " ".join(word.text.replace("-", " ") for word in words) + " "
    levels = [level for level, phrases in CONNECTIVES.items() if any(f" {p} " in line for p in phrases.split("|"))]
    return max(levels, default=0.0)


def features(text: str) -> NDArray[np.float64] | None:
    """The features of an utterance, shape [len(FEATURES)]; None if it is too short."""
    found = tokens(text)
    if len(found) < MIN_WORDS:
        return None
    words = [token for token, _ in found]
    grammar = constructs(words)
    # Names and unknown words (other languages, misheard words) would count as rare, that is as C2: leave them out.
    vocabulary = [token for token, name in found if (token.known or _is_everyday(token)) and not name]
    if len(vocabulary) < MIN_WORDS:
        return None
    zipf = np.sort([_ease(token) for token in vocabulary])
    content = zipf[zipf < FUNCTION_WORD_ZIPF]
    values = {
        "log_words": math.log(min(len(words), MAX_WORDS)),
        "content_zipf": float(content.mean()) if len(content) else FUNCTION_WORD_ZIPF,
        "low_quartile_zipf": float(zipf[: max(1, len(zipf) // 4)].mean()),
        "share_below_3_2": float((zipf < 3.2).mean()),
        "share_everyday": float(np.mean([_is_everyday(token) for token in words])),
        "share_personal": float(np.mean([token.text in PERSONAL for token in words])),
        "letters_per_word": float(np.mean([len(token.text) for token in vocabulary])),
        "grammar": max(grammar.values(), default=0.0),
        "connective": _connective(words),
        "past": float("past" in grammar),
    }
    return np.array([values[name] for name in FEATURES])
