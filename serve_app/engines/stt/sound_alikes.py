"""What a learner of Portuguese may say instead of a word, spelt as Portuguese would spell it.

One sound is exchanged at a time, among those that learners mix up: nasal and oral vowels, open and closed ones, r and
rr, lh and l, nh and n, the sibilants, final vowels, voiced and voiceless consonants, diphthongs, the stress. Most
results are no words, and need not be: Whisper's decoder reads letters.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator

_VOWELS = "aeiouáéíóúâêôãõàü"
_V = f"[{_VOWELS}]"

_RULES: tuple[tuple[str, tuple[str, ...]], ...] = (
    # nasal and oral vowels
    ("ão(?=s?$)", ("au", "ó")),
    ("ã(?=s?$)", ("á",)),
    ("(?<=[aeiou])[nm](?=[^aeiouáéíóúâêôãõhnm])", ("",)),
    ("em$", ("ê",)),
    ("om$", ("ô",)),
    # open and closed vowels
    ("ô", ("ó",)),
    ("ó", ("ô",)),
    ("ê", ("é",)),
    ("é", ("ê", "e")),
    # r, l, lh, nh
    (f"(?<={_V})rr(?={_V})", ("r",)),
    (f"(?<={_V})r(?={_V})", ("rr", "l")),
    ("^r", ("l",)),
    ("^l(?!h)", ("r",)),
    ("lh", ("l", "li")),
    (f"(?<={_V})l(?={_V})", ("lh", "r")),
    ("nh", ("n", "ni")),
    (f"(?<={_V})n(?={_V})", ("nh", "m")),
    ("l(?=$|[bcdfgjkmnpqrstvxz])", ("", "r")),
    # sibilants
    (f"(?<={_V})s(?={_V})", ("ss", "j")),
    ("ss", ("s", "ch")),
    ("ç", ("s", "ch")),
    (f"(?<={_V})c(?=[eiéíê])", ("z",)),
    ("^c(?=[eiéíê])", ("z", "ch")),
    ("z(?=.)", ("s", "ss")),
    ("^s", ("z", "ch")),
    ("ch", ("j", "s")),
    ("x", ("j", "s")),
    ("j", ("ch", "i")),
    ("g(?=[ei])", ("ch",)),
    # voice and place
    ("p(?!h)", ("b",)),
    ("b", ("p", "v", "m")),
    ("t", ("d",)),
    ("d", ("t",)),
    ("f", ("v",)),
    ("v", ("f", "b")),
    ("^c(?=[aouáóôãlr])", ("g",)),
    ("^g(?=[aouáóôãlr])", ("c",)),
    ("^m", ("b", "n")),
    ("^n(?!h)", ("m",)),
    # diphthongs
    ("ei", ("e", "é")),
    ("ou", ("ô", "ó")),
    ("ai", ("á", "ei")),
    ("oi", ("ô", "ó")),
    ("é[ui]", ("é",)),
    # final vowels
    ("(?<=.)o(?=s?$)", ("a", "e")),
    ("(?<=.)a(?=s?$)", ("o", "e")),
    ("(?<=.)e(?=s?$)", ("o", "a")),
)

_ACUTE = dict(zip("aeiou", "áéíóú", strict=True))
_CLOSED = {"e": "ê", "o": "ô", "a": "â"}


def sound_alikes(word: str) -> list[str]:
    """The words and non-words that differ from `word` (lower case, no punctuation) in one sound."""
    found: dict[str, None] = {}
    for changed in (*_exchanged(word), *_stressed(word)):
        if changed and changed != word:
            found[changed] = None
    return list(found)


def _exchanged(word: str) -> Iterator[str]:
    for pattern, others in _RULES:
        for place in re.finditer(pattern, word):
            for other in others:
                yield word[: place.start()] + other + word[place.end() :]


def _stressed(word: str) -> Iterator[str]:
    """With the stress elsewhere, and with the stressed vowel open or closed where the spelling does not say."""
    plain = _plain(word)
    if plain != word:
        yield plain
    marked = [i for i, letter in enumerate(word) if letter in "áéíóúâêô"]
    nuclei = [i for i in range(len(plain)) if _is_nucleus(plain, i)]
    if not nuclei:
        return
    last = len(nuclei) - 1
    if marked:
        stressed = max((n for n, i in enumerate(nuclei) if i <= marked[0]), default=last)
    elif "ã" in word or "õ" in word or not re.search("([aeo]s?|am|em|ens)$", word) or len(nuclei) == 1:
        stressed = last
    else:
        stressed = last - 1
    if not marked:
        at = nuclei[stressed]
        for accents in (_ACUTE, _CLOSED):
            if word[at] in "eo" and word[at + 1 : at + 2] not in ("i", "u"):
                yield word[:at] + accents[word[at]] + word[at + 1 :]
    for n in (stressed - 1, stressed + 1):
        if 0 <= n <= last and plain[nuclei[n]] in _ACUTE and "ã" not in word and "õ" not in word:
            at = nuclei[n]
            yield plain[:at] + _ACUTE[plain[at]] + plain[at + 1 :]


def _plain(word: str) -> str:
    """Without accents; the tilde and the cedilla stay."""
    letters = unicodedata.normalize("NFD", word)
    return unicodedata.normalize("NFC", "".join(one for one in letters if one not in "\u0300\u0301\u0302"))


def _is_nucleus(word: str, at: int) -> bool:
    """Whether a syllable has its vowel there: i and u after another vowel are no syllable of their own."""
    if word[at] not in "aeiouãõ":
        return False
    if word[at] == "u" and at and word[at - 1] in "qg":
        return False
    return not (word[at] in "iu" and at and word[at - 1] in "aeoãõ")
