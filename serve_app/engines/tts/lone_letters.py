"""Words of one letter, as espeak does not spell them: in front of a mark "É, sim." would be "e agudo, sim."."""

from __future__ import annotations

import re

_MARKS = r";:,.!?¡¿—–…\"“”()"
_ALONE = re.compile(rf"(?<![^\s{_MARKS}])[éêíôúàãõ](?=\s*(?:[{_MARKS}]|$))", re.IGNORECASE)
_AFTER_A_MARK = re.compile(rf"(?:^|[{_MARKS}])\s*$")
_SPELLED = {"é": "éh", "ê": "êh", "í": "ih", "ô": "ôh", "ú": "uh", "à": "ah", "ã": "ãh", "õ": "ohm"}


def letters_spelled(text: str) -> str:
    """The text with accented letters between two marks written so that espeak says their sound."""

    def spelled(match: re.Match[str]) -> str:
        return _SPELLED[match[0].lower()] if _AFTER_A_MARK.search(text[: match.start()]) else match[0]

    return _ALONE.sub(spelled, text)
