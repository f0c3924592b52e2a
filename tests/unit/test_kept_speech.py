"""Sounds that are synthesised once: `serve_app.replicas.kept_speech`."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from serve_app.replicas.kept_speech import KeptSpeech
from serve_app.weights.identity import identity

SOUND = np.linspace(-0.5, 0.5, 2400, dtype=np.float32)


def test_a_sound_is_kept_for_its_voice_and_speed_and_over_a_restart(tmp_path: Path) -> None:
    kept = KeptSpeech(["Que pena."], tmp_path / "speech", "kokoro")
    assert kept.find("Que pena.", "pf_dora", 1.0) is None
    kept.keep("Que pena.", "pf_dora", 1.0, SOUND)
    for again in (kept, KeptSpeech(["Que pena."], tmp_path / "speech", "kokoro")):
        found = again.find("Que pena.", "pf_dora", 1.0)
        assert found is not None
        assert np.array_equal(found, SOUND)
        assert again.find("Que pena.", "pf_dora", 0.9) is None
        assert again.find("Que pena.", "pm_alex", 1.0) is None
    assert KeptSpeech(["Que pena."], tmp_path / "speech", "another model").find("Que pena.", "pf_dora", 1.0) is None


def test_only_texts_of_the_list_are_kept(tmp_path: Path) -> None:
    kept = KeptSpeech(["Que pena."], tmp_path, "kokoro")
    assert not kept.keeps("O meu nome é Ana.")


def test_a_damaged_file_or_a_folder_that_cannot_be_written_costs_only_the_synthesis(tmp_path: Path) -> None:
    KeptSpeech(["Que pena."], tmp_path, "kokoro").keep("Que pena.", "pf_dora", 1.0, SOUND)
    [file] = tmp_path.glob("*.npy")
    file.write_bytes(file.read_bytes()[:90])
    assert KeptSpeech(["Que pena."], tmp_path, "kokoro").find("Que pena.", "pf_dora", 1.0) is None
    (tmp_path / "file").write_text("no folder")
    nowhere = KeptSpeech(["Que pena."], tmp_path / "file", "kokoro")
    nowhere.keep("Que pena.", "pf_dora", 1.0, SOUND)
    assert nowhere.find("Que pena.", "pf_dora", 1.0) is not None


def test_other_weights_under_the_same_name_are_another_model(tmp_path: Path) -> None:
    file, folder = tmp_path / "model.onnx", tmp_path / "model"
    folder.mkdir()
    (folder / "config.json").write_text("{}")
    file.write_bytes(b"one")
    before = identity(file), identity(folder)
    assert (identity(file), identity(folder)) == before
    file.write_bytes(b"others")
    (folder / "model.safetensors").write_bytes(b"one")
    assert identity(file) != before[0]
    assert identity(folder) != before[1]
