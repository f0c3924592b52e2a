"""What a stage's library raises, on its way out of the stage."""

from __future__ import annotations

import pytest

from serve_app.errors import NoSpeech, StageFailed
from serve_app.replicas.replica import stage_errors


def test_what_a_library_raises_is_logged_and_answered_without_its_details(caplog: pytest.LogCaptureFixture) -> None:
    with pytest.raises(StageFailed) as failed, stage_errors("stt"):
        raise KeyError("secret path")
    assert (failed.value.code, failed.value.stage) == ("stage_failed", "stt")
    assert failed.value.message == "The stt stage failed (KeyError)."
    assert failed.value.__cause__ is None  # whoever unpickles it need not have the library
    [line] = caplog.records
    assert line.message == "stage stt failed"
    assert "KeyError: 'secret path'" in caplog.text


def test_an_error_for_people_passes_as_it_is(caplog: pytest.LogCaptureFixture) -> None:
    with pytest.raises(NoSpeech), stage_errors("stt"):
        raise NoSpeech("Say it again.", stage="stt")
    assert caplog.records == []
