"""Prepares text for speech: removes what cannot be spoken, finds where to cut."""

from __future__ import annotations

import re
from itertools import pairwise

_SENTENCE_END = re.compile(r"[.!?…]+[\"'”’)\]]*")
_CLAUSE_END = re.compile(r"[,;:—–][\"'”’)\]]*")
_ABBREVIATIONS = frozenset(
    ("sr", "sra", "srta", "srs", "dr", "dra", "prof", "profa", "av", "p", "ex", "etc", "pág", "págs", "nº", "vs")
) | frozenset(("sto", "sta", "tel", "cap", "obs", "apto", "séc", "vol", "jr", "r", "d"))
_UNSPEAKABLE = re.compile(r"[*_#`~<>|\\\[\]{}]|[\U0001F000-\U0001FAFF\u2600-\u27BF\uFE0F\u200D]")
_SPACES = re.compile(r"\s+")


def speakable(text: str) -> str:
    """The text without what cannot be read aloud: Markdown marks, emoji, repeated space."""
    text = _SPACES.sub(" ", _UNSPEAKABLE.sub("", text)).strip()
    return text if any(map(str.isalnum, text)) else ""


def cuts(text: str, *, final: bool) -> list[tuple[int, bool]]:
    """Where `text` may be cut: (position after the mark, ends a sentence), in order.

    A mark at the very end counts only if more text cannot change its meaning: a full stop may still become "3.5" or
    "...", an exclamation mark may not. With `final` the end of the text is always a cut.
    """
    found: dict[int, bool] = {}
    for pattern, ends_sentence in ((_CLAUSE_END, False), (_SENTENCE_END, True)):
        for match in pattern.finditer(text):
            if _is_cut(text, match, ends_sentence):
                found[match.end()] = ends_sentence
    if final and text.strip():
        found[len(text)] = True
    return sorted(found.items())


def whole_sentences(text: str) -> list[str]:
    """The sentences of a finished text, one after the other the text itself."""
    ends = [0, *(position for position, ends_sentence in cuts(text, final=True) if ends_sentence)]
    return [text[start:end] for start, end in pairwise(ends)]


def _is_cut(text: str, match: re.Match[str], ends_sentence: bool) -> bool:
    before, mark, after = text[: match.start()], match.group(), text[match.end() :]
    if not before.strip():
        return False
    if ends_sentence and mark.startswith(".") and before.split()[-1].lower().lstrip("(\"'“") in _ABBREVIATIONS:
        return False
    if after:
        return after[0].isspace()
    return mark[0] in "!?,;" and not before[-1].isdigit()


def split_long(text: str, limit: int) -> list[str]:
    """Cut a finished text into parts of at most `limit` characters, at the best places."""
    parts = []
    rest = speakable(text)
    while len(rest) > limit:
        at = best_cut(rest, limit)
        parts.append(rest[:at].strip())
        rest = rest[at:].strip()
    return [*parts, rest] if rest else parts


def best_cut(text: str, limit: int) -> int:
    """Where to cut text longer than `limit`: after a sentence, a clause, a word, or at the limit itself."""
    head = text[:limit]
    marks = cuts(head + " ", final=False)
    sentences = [position for position, ends_sentence in marks if ends_sentence]
    if sentences:
        return sentences[-1]
    if marks:
        return marks[-1][0]
    space = head.rfind(" ")
    return space if space > 0 else limit
