"""A learner's conversation so far, as the next turn needs it."""

from __future__ import annotations

from dataclasses import dataclass, replace

from serve_app.scenarios.progress import Progress

KEPT_UTTERANCES = 20
"""How many of the learner's latest utterances the level estimate uses; they stay when exchanges are dropped."""

CHARACTERS_PER_TOKEN = 3
"""Of Portuguese, in the vocabularies of Qwen, Gemma and Mistral: 3.1 to 3.9."""

EXCHANGE_TOKENS = 14
"""What the chat template and the level's tag add to an exchange."""


@dataclass(frozen=True, slots=True)
class Exchange:
    """One utterance of the learner, the level it was answered at, and the tutor's reply.

    `tutor` is empty when the learner interrupted before any of the reply was heard, `learner` where the tutor spoke
    unasked.
    """

    learner: str
    tutor: str
    level: str | None = None

    @property
    def tokens(self) -> int:
        """About how many tokens of the prompt it takes; rather too many than too few."""
        return EXCHANGE_TOKENS + (len(self.learner) + len(self.tutor)) // CHARACTERS_PER_TOKEN


@dataclass(frozen=True, slots=True)
class Conversation:
    """One learner's conversation. Immutable: each turn makes a new one, so a turn that fails changes nothing.

    `tokens` is the length of the next prompt up to here: as the LLM counted it last, with an estimate for what was
    said since.
    """

    session_id: str
    exchanges: tuple[Exchange, ...] = ()
    utterances: tuple[str, ...] = ()
    level: str | None = None
    tokens: int = 0
    scenario: Progress | None = None
    """How far it has got in the scenario it was held in last."""

    @property
    def last_reply(self) -> str:
        """What the tutor said last, "" at the beginning."""
        return next((exchange.tutor for exchange in reversed(self.exchanges) if exchange.tutor), "")

    def hearing(self, reply: str | None) -> Conversation:
        """The conversation where only that was heard of the last reply; None: all of it."""
        if reply is None or not self.exchanges:
            return self
        return replace(self, exchanges=(*self.exchanges[:-1], replace(self.exchanges[-1], tutor=reply)))

    def with_exchange(self, exchange: Exchange, tokens: int | None = None) -> Conversation:
        """The conversation after one more exchange; `tokens` if the LLM counted the prompt and its reply."""
        if not (exchange.learner or exchange.tutor):
            return self
        return replace(
            self,
            exchanges=(*self.exchanges, exchange),
            utterances=(*self.utterances, *filter(None, [exchange.learner]))[-KEPT_UTTERANCES:],
            level=exchange.level,
            tokens=self.tokens + exchange.tokens if tokens is None else tokens,
        )

    def trimmed(self) -> Conversation:
        """A copy without the older half of the exchanges.

        Half at once, and rarely: dropping one exchange each turn would change the start of every prompt, and the
        LLM's prompt cache would never match.
        """
        dropped = (len(self.exchanges) + 1) // 2
        tokens = self.tokens - sum(exchange.tokens for exchange in self.exchanges[:dropped])
        return replace(self, exchanges=self.exchanges[dropped:], tokens=max(0, tokens))
