"""A conversation as the tokens that vLLM takes, through the model's chat template.

Only vllm.py imports this: it sets what vLLM reads from the environment first.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence

from vllm.renderers import ChatParams, TokenizeParams
from vllm.v1.engine.async_llm import AsyncLLM

from serve_app.protocols import Message


class Prompts:
    """Renders conversations for one engine; `chat_template` (Jinja) replaces the model's own."""

    def __init__(self, engine: AsyncLLM, chat_template: str | None) -> None:
        self._engine = engine
        self._chat_template = chat_template
        self._bos = self._missing_bos()

    async def tokens(self, messages: Sequence[Message]) -> list[int]:
        """The tokens of a conversation; the model goes on after them."""
        goes_on = bool(messages) and messages[-1]["role"] == "assistant"
        _, (prompt,) = await self._engine.renderer.render_chat_async(
            [list(messages)],  # pyright: ignore[reportArgumentType] - a Message has the keys it needs
            ChatParams(
                self._chat_template,
                chat_template_kwargs={"add_generation_prompt": not goes_on, "continue_final_message": goes_on},
            ),
            # We check the length ourselves: vLLM's error would name its options, not ours.
            TokenizeParams(max_total_tokens=None, add_special_tokens=False),
        )
        tokens: list[int] = list(prompt["prompt_token_ids"])  # pyright: ignore - the only form that text has
        if self._bos is not None and tokens[:1] != [self._bos]:
            tokens.insert(0, self._bos)
        return tokens

    async def prefix(self, messages: Sequence[Message]) -> list[int]:
        """The tokens at the beginning of every conversation that continues `messages`.

        A template may refuse a conversation that does not end with the user, or put the system
        message into the user's first one. So two conversations that differ only in what the user
        says next are rendered and compared.
        """
        rendered = []
        for words in ("A", "é"):
            goes_on = list(messages)
            if goes_on and goes_on[-1]["role"] == "user":
                goes_on[-1] = {"role": "user", "content": f"{goes_on[-1]['content']} {words}"}
            else:
                goes_on.append({"role": "user", "content": words})
            rendered.append(await self.tokens(goes_on))
        same = itertools.takewhile(lambda pair: pair[0] == pair[1], zip(*rendered, strict=False))
        return [token for token, _ in same]

    def _missing_bos(self) -> int | None:
        """The token that every prompt must begin with, None if the model needs none.

        A model needs it if its tokenizer puts it before a plain text, or if it is a Gemma: without
        <bos> that answers the same nonsense to everything, and a Gemma tokenizer made from a GGUF
        file adds none. If the chat template adds the token, it is not added again.
        """
        tokenizer = self._engine.get_tokenizer()
        bos = getattr(tokenizer, "bos_token_id", None)
        if bos is None:
            return None
        gemma = self._engine.model_config.hf_text_config.model_type.startswith("gemma")
        return bos if gemma or tokenizer.encode("a")[:1] == [bos] else None
