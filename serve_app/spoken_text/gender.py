"""The gender of what is counted, by the noun's ending: 2 irmãs are "duas", 2 dias "dois"."""

from __future__ import annotations

import re

_FEMININE = re.compile(
    r"\w*(?:as?|ãs?|ção|ções|sões|são|dades?|tudes?|gens|gem|ezas?|ises|triz(?:es)?|ites?|tribos?|motos?|fotos?)"
    r"|(?:re|o)(?:gi|uni|lig|pini)\w*(?:ão|ões)|mulher(?:es)?|colher(?:es)?|mães?|mãos?|vez(?:es)?|noites?|tardes?"
    r"|flor(?:es)?|cor(?:es)?|luz(?:es)?|voz(?:es)?|cruz(?:es)?|partes?|chaves?|frases?|classes?|bases?|redes?"
    r"|paredes?|pontes?|árvores?|leis?|torres?|artes?|nuvens?|raíz(?:es)?|dor(?:es)?|pontes?|aves?|sedes?"
)
_MASCULINE = re.compile(
    r"(?:guarda-chuva|dia|problema|sistema|tema|lema|clima|cinema|programa|mapa|idioma|poema|drama|diploma|pijama"
    r"|grama|telefonema|telegrama|planeta|cometa|atleta|samba|colega|\w+ista|poeta|papa|fantasma|aroma|sofá)s?"
    r"|corações|lim\w*ites?|limites?|bosques?|meses|países|\w+rios"
)
_NO_NOUNS = frozenset(
    (
        *("a", "à", "as", "às", "ao", "da", "das", "na", "nas", "para", "pra", "mas", "ela", "elas", "uma", "cada"),
        *("era", "foi", "está", "fica", "já", "lá", "há", "esta", "essa", "numa", "pela", "toda", "agora", "ainda"),
    )
)
_EITHER = frozenset(("grandes", "simples", "jovens", "importantes", "diferentes", "breves", "mil", "milhar"))
"""Words before a noun that say nothing of its gender."""


def is_feminine(following: str) -> bool:
    """Whether a number before this text counts something feminine."""
    for word in re.findall(r"[\w-]+", following.lower())[:2]:
        if word in _EITHER:
            continue
        return word not in _NO_NOUNS and not _MASCULINE.fullmatch(word) and bool(_FEMININE.fullmatch(word))
    return False
