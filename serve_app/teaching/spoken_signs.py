"""Numbers and letters as they are said in Portuguese."""

from __future__ import annotations

import unicodedata

from serve_app.teaching.word_forms import forms

_MARKS = {"\u0301": "com acento agudo", "\u0302": "com circunflexo", "\u0303": "com til", "\u0300": "com crase"}


def in_words(number: int) -> str:
    """A whole number from 0 to 999,999,999 as it is said: 21 -> "vinte e um"."""
    if number < 20:
        return forms().units[number]
    if number < 100:
        return forms().tens[number // 10] + (f" e {forms().units[number % 10]}" if number % 10 else "")
    if number == 100:
        return "cem"
    if number < 1000:
        return forms().hundreds[number // 100] + (f" e {in_words(number % 100)}" if number % 100 else "")
    size, one, many = (1000, "mil", "mil") if number < 1_000_000 else (1_000_000, "um milhão", "milhões")
    count, rest = divmod(number, size)
    said = one if count == 1 else f"{in_words(count)} {many}"
    if not rest:
        return said
    last = rest // 1000 if rest % 1000 == 0 else rest
    joined = last <= 100 or (last < 1000 and last % 100 == 0)
    return f"{said} {'e ' if joined else ''}{in_words(rest)}"


def spelt(word: str) -> str:
    """The names of a word's letters, each accent after its letter: "pão" -> "pê, á com til, ó"."""
    names: list[str] = []
    for letter in word.lower():
        base, *marks = unicodedata.normalize("NFD", letter) if letter != "ç" else ["ç"]
        name = {"-": "hífen", " ": "espaço"}.get(base) or forms().letters.get(base, base)
        names.append(" ".join([name, *(_MARKS[mark] for mark in marks if mark in _MARKS)]))
    return ", ".join(names)
