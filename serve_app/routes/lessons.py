"""What all routes share: admission of turns and connections, the client's choices, running a turn."""

from __future__ import annotations

import asyncio
import logging
import re
import time
import uuid
from collections.abc import AsyncGenerator, Callable, Iterator, Mapping
from contextlib import AbstractContextManager, aclosing, contextmanager
from functools import partial

from serve_app import audio
from serve_app.config.limits import Limits
from serve_app.config.stack import Order, StackArgs
from serve_app.config.user_config import CorrectionStyle, IngressSettings, TeachingSettings, TurnTakingSettings
from serve_app.errors import BadAudio, Busy, StackError
from serve_app.lesson.events import Event
from serve_app.lesson.kept import ConversationStore
from serve_app.lesson.speech_cutter import Pace
from serve_app.lesson.stage_limits import answer_within, limited
from serve_app.lesson.stage_protocols import StageQueries, Stages, Utterance
from serve_app.lesson.turn import Turn
from serve_app.lesson.turn_record import TurnRecord
from serve_app.observe.observer import Observer
from serve_app.protocols import Audio, CefrLevel, Transcript
from serve_app.routes.asked import Asked, Sound
from serve_app.routes.choice import Choice, utterance_of
from serve_app.routes.gate import Client
from serve_app.routes.graceful_stop import Cuttable, GracefulStop
from serve_app.routes.places import RETRY_AFTER_S, Place, Places
from serve_app.routes.presence import OpenConnection, Presence
from serve_app.routes.shares import Shares
from serve_app.routes.single_calls import SingleCalls
from serve_app.routes.upload import too_large
from serve_app.routes.voices import Voices
from serve_app.routes.warmings import Warmings
from serve_app.scenarios.library import Library, library, shipped
from serve_app.teaching import planner
from serve_app.teaching.plan import Plan, Said

logger = logging.getLogger("ray.serve")


class Lessons:
    """Runs the lessons of one ingress replica: admits turns and connections, and connects routes with the stages."""

    def __init__(
        self, stages: Stages, queries: StageQueries, store: ConversationStore, args: StackArgs, observer: Observer
    ) -> None:
        self._stages = stages
        self._queries = queries
        self.store = store
        self._observer = observer
        self._yaml_limits = args.limits
        self._context_tokens = args.llm.context_tokens
        self._pace = Pace()
        self._default_level: CefrLevel | None = None
        self._planner: Callable[[Said], Plan] = planner.plan
        self._correction: CorrectionStyle = TeachingSettings().correction
        planner.warm()
        self.scenarios: Library = shipped()
        self.turn_taking = TurnTakingSettings()
        self._voices = Voices(self._ask_voices)
        self._warmings = Warmings(queries)
        self.limits = args.limits.fitting(self._context_tokens)
        store.keep(self.limits.kept_conversations, self.limits.conversation_idle_s)
        self.presence = Presence()
        self._running: set[Cuttable] = set()
        self._stop: GracefulStop | None = None
        self._places = Places(lambda: self.limits)
        self.shares = Shares(lambda: self.limits)
        self.single = SingleCalls(stages, queries, lambda: self.limits, self._turn_ended, self._running)

    def configure(self, wanted: IngressSettings) -> None:
        """Apply new settings; turns in flight keep theirs.

        Raises:
            StackError: they cannot be applied while the server runs; nothing has changed.
        """
        if why := self._yaml_limits.longer_stop(wanted.limits):
            raise StackError(f"user_config: {why}")
        scenarios = library(wanted.teaching.scenarios_folder)
        limits = Limits.model_validate({**self._yaml_limits.model_dump(), **wanted.limits})
        self.limits = limits.fitting(self._context_tokens)
        self.store.keep(limits.kept_conversations, limits.conversation_idle_s)
        self._places.limits_changed()
        self._default_level = wanted.level
        self.scenarios = scenarios
        self.turn_taking = wanted.turn_taking
        of = wanted.teaching
        self._correction = of.correction
        self._planner = partial(
            planner.plan,
            openings_on=of.openings,
            recast=of.recast,
            questions=of.questions,
            follow_ups=of.follow_ups,
        )

    async def ready(self) -> dict[str, bool]:
        """Per stage, whether it can serve."""
        return await self._queries.ready()

    async def voices(self) -> list[str]:
        """The voices a client may choose from.

        Raises:
            ParleError: the stage did not say in time.
        """
        return await self._voices.all()

    async def _ask_voices(self) -> list[str]:
        return await answer_within(self.limits.query_s, self._queries.voices(), "tts")

    @property
    def turns(self) -> int:
        """Turns in flight."""
        return self.presence.turns

    @property
    def sessions(self) -> int:
        """Open connections."""
        return self.presence.sessions

    @property
    def waiting(self) -> int:
        """Turns that wait for a place."""
        return self._places.waiting

    def place(self, client: Client, *, wait: bool = False) -> AbstractContextManager[Place]:
        """A place for one turn and, before it, the upload of its recording; or one in the queue, for who would wait.

        Raises:
            Busy: the server is full.
            Stopping: it is about to be stopped.
        """
        self.presence.admit()
        return self._places.take(client, wait=wait)

    @contextmanager
    def turn(self) -> Iterator[None]:
        """Counts a turn in flight, which has its place, while the block runs.

        Raises:
            Stopping: the server is about to be stopped.
        """
        try:
            with self.presence.turn():
                self._observer.in_flight(self.turns)
                yield
        finally:
            self._observer.in_flight(self.turns)

    @contextmanager
    def session_slot(self, connection: OpenConnection) -> Iterator[None]:
        """A place for one open connection, while the block runs.

        Raises:
            Busy: the server is full, or about to be stopped.
        """
        if self.sessions >= self.limits.max_sessions:
            raise Busy(
                f"All {self.limits.max_sessions} connections are taken; try again later.", retry_after_s=RETRY_AFTER_S
            )
        try:
            with self.presence.connected(connection):
                self._observer.sessions(self.sessions)
                yield
        finally:
            self._observer.sessions(self.sessions)

    def refusals(self, route: str) -> AbstractContextManager[None]:
        """Counts the errors for which requests of this route are refused before their turn begins."""
        return self._observer.refusals(route)

    async def utterance(
        self, asked: Asked, choice: Choice, order: Order, *, route: str, turn_id: str, owner: str = ""
    ) -> Utterance:
        """The turn of what a client asks; a recording is decoded, and the choice that goes with it checked.

        `route` is for metrics and logs; `turn_id` comes from `turn_id_of`, `owner` is that of `gate.Client`.

        Raises:
            BadAudio, TooLarge, InvalidField: the client has to change something.
        """
        received_at = time.perf_counter()
        if isinstance(asked, bytes):
            self._check(asked)
        self.scenarios.check(choice.scenario)
        await self.check_voice(choice.voice)
        if isinstance(asked, bytes):
            asked = Sound(await self.decode(asked))
        self.presence.sign_of_life()
        return utterance_of(asked, received_at, choice, order, route, turn_id, owner)

    async def hear(self, samples: Audio, said_before: str) -> Transcript:
        """What is said in a part of an utterance, outside of a turn.

        Raises:
            ParleError: the stage failed, or gave no answer in time.
        """
        return await limited(self._stages, self.limits).stt.transcribe(samples, said_before)

    async def decode(self, recording: bytes) -> Audio:
        """A recording as the STT stage takes it.

        Raises:
            BadAudio, TooLarge: the client has to change something.
        """
        self._check(recording)
        samples = await asyncio.to_thread(audio.decode, recording, max_seconds=self.limits.max_audio_s)
        self.presence.sign_of_life()
        return samples

    def _check(self, recording: bytes) -> None:
        if not recording:
            raise BadAudio("The recording is empty; send one recorded utterance.", code="no_audio")
        if len(recording) > self.limits.max_body_mb * 1e6:
            raise too_large(self.limits)

    def knows_voice(self, voice: str | None) -> bool:
        """Whether `check_voice` allows it without asking the stage."""
        return self._voices.knows(voice)

    async def check_voice(self, voice: str | None) -> None:
        """Refuse a voice that the stack does not have.

        Raises:
            InvalidField: it has no such voice.
            ParleError: the stage did not say in time which voices it has.
        """
        await self._voices.check(voice)

    def stop(self) -> GracefulStop:
        """Begin to stop: running turns may finish within `limits.stop_s`, nothing new begins. Once is enough."""
        if self._stop is None:
            self._stop = GracefulStop(self.presence, self._places, self._running, self.store, self.limits.stop_s)
        return self._stop

    async def events(self, utterance: Utterance) -> AsyncGenerator[Event, None]:
        """The events of one turn; see Turn.events."""
        self._warmings.stop(utterance.conversation_id)
        turn = Turn(
            self._stages,
            self.store,
            self.limits,
            self._pace,
            default_level=self._default_level,
            planner=self._planner,
            correction=self._correction,
            scenarios=self.scenarios,
            trimmed=lambda conversation: self._warmings.start(conversation, self.scenarios, self.limits.warm_s),
            ended=self._turn_ended,
        )
        self._running.add(turn)
        try:
            async with aclosing(turn.events(utterance)) as events:
                async for event in events:
                    yield event
        finally:
            self._running.discard(turn)

    def _turn_ended(self, record: TurnRecord) -> None:
        self.presence.sign_of_life()
        self._observer.turn_ended(record)


def turn_id_of(headers: Mapping[str, str], number: int | None = None) -> str:
    """The turn's id: that of the request, followed by `number` where one request carries many turns.

    Serve gives every request an `x-request-id`, or keeps the client's, and adds it to every log line of the stages,
    so one id finds a turn in all logs. An id that is not a plain name is replaced by a random one.
    """
    request_id = headers.get("x-request-id", "")
    if not re.fullmatch(r"[A-Za-z0-9._:-]{1,64}", request_id):
        request_id = uuid.uuid4().hex
    return request_id if number is None else f"{request_id}.{number}"
