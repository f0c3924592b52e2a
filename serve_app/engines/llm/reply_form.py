"""A ReplyForm in the languages in which the chat engines take the form of a reply."""

from __future__ import annotations

from serve_app.protocols import QUESTION_CHARACTERS, SENTENCE_CHARACTERS, ReplyForm


def gbnf(form: ReplyForm) -> str:
    """In GBNF, llama.cpp's grammar language."""
    if not form.asks:
        return f'root ::= [^?.!\\n]{{1,{SENTENCE_CHARACTERS}}} "."'
    begin = " | ".join(f'"{words} "' for words in form.questions) or '""'
    sentence = f'[^?.!\\n]{{1,{SENTENCE_CHARACTERS}}} "." " " ' if form.sentence else '" "? '
    return f'root ::= {sentence}({begin}) [^?.!\\n]{{1,{QUESTION_CHARACTERS}}} "?"'


def regex(form: ReplyForm) -> str:
    """As a regular expression, which vLLM takes."""
    if not form.asks:
        return rf"[^?.!\n]{{1,{SENTENCE_CHARACTERS}}}\."
    sentence = rf"[^?.!\n]{{1,{SENTENCE_CHARACTERS}}}\. " if form.sentence else " ?"
    begin = "(" + "|".join(form.questions) + ") " if form.questions else ""
    return rf"{sentence}{begin}[^?.!\n]{{1,{QUESTION_CHARACTERS}}}\?"
