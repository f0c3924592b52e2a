"""Sizes that an engine works with and the memory budget counts: one number for both.

Imports nothing, so that the budget needs no PyTorch and an engine needs no budget.
"""

CEFR_TEXTS_AT_ONCE = 16
"""Texts in one pass of the CEFR classifier, so that its memory is bounded however many learners wait."""

QWEN_MAX_SEQUENCE = 1024
"""Positions in Qwen3-TTS's fixed cache, 112 KiB each in bfloat16: the text of a part and its frames of speech."""
