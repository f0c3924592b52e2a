"""What the learner said: heard by STT, in this turn or before it began, or typed."""

from __future__ import annotations

from serve_app.audio import duration_s
from serve_app.errors import NoSpeech
from serve_app.lesson.events import Heard
from serve_app.lesson.stage_protocols import SpeechToTextStage, Utterance
from serve_app.lesson.turn_record import TurnRecorder
from serve_app.protocols import STT_SAMPLE_RATE, Transcript


async def hear(stt: SpeechToTextStage, utterance: Utterance, recorder: TurnRecorder, said_before: str) -> Heard:
    """The event of what was said. `said_before` is the tutor's last reply.

    Raises:
        NoSpeech: nobody spoke.
    """
    if utterance.text:
        return Heard(Transcript(utterance.text), 0, utterance.session_id, typed=True)
    with recorder.calling("stt", duration_s(utterance.audio, STT_SAMPLE_RATE)) as call:
        transcript = await (utterance.heard or stt.transcribe(utterance.audio, said_before))
        call.received(transcript.compute_s)
    if transcript.no_speech:
        raise NoSpeech("No speech was heard in the recording; speak closer to the microphone and try again.")
    return Heard(transcript, call.milliseconds, utterance.session_id)
