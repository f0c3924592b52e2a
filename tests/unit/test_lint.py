"""`parle check` without the machine: every error in a file is found, with its line and what would be right."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from support.paths import CONFIGS

from serve_app.config.lint import READY_BUILT, StackFile, read
from serve_app.config.stack import StackArgs
from serve_app.config.yaml_file import WrongFile

CPU = (CONFIGS / "cpu_stack.yaml").read_text("utf-8")

SMALL = """\
applications:
  - name: parle
    import_path: serve_app.ingress:build
    args:
      routes: [sse]
"""


def faults(tmp_path: Path, text: str) -> list[str]:
    """Each fault without the file's name: LINE: place: what."""
    file = tmp_path / "stack.yaml"
    file.write_text(text, "utf-8")
    with pytest.raises(WrongFile) as refused:
        read(file)
    assert all("\n" not in fault for fault in refused.value.faults)
    return [fault.removeprefix(f"{file}:") for fault in refused.value.faults]


def accepted(tmp_path: Path, text: str) -> StackFile:
    file = tmp_path / "stack.yaml"
    file.write_text(text, "utf-8")
    return read(file)


def line_of(text: str, part: str) -> int:
    return next(number for number, line in enumerate(text.splitlines(), start=1) if part in line)


@pytest.mark.parametrize(
    ("file", "routes", "engines"),
    [
        (
            "cpu_stack.yaml",
            ["sse", "websocket", "web", "openai", "realtime", "pronunciation"],
            ["faster-whisper", "lexical", "llama-cpp", "kokoro-onnx"],
        ),
        (
            "laptop_stack.yaml",
            ["sse", "websocket", "web", "openai", "realtime", "pronunciation"],
            ["faster-whisper", "lexical", "llama-cpp", "kokoro-onnx"],
        ),
        ("local_stack.yaml", ["websocket", "web", "pronunciation"], ["transformers", "transformers", "vllm", "kokoro"]),
        ("modal_stack.yaml", ["sse"], ["transformers", "vllm", "qwen3-tts"]),
    ],
)
def test_the_stacks_that_come_with_parle_are_right(file: str, routes: list[str], engines: list[str]) -> None:
    stack = read(CONFIGS / file)
    assert stack.args.routes == routes
    assert [config.engine for config in stack.args.stages().values()] == engines
    assert (stack.application, stack.route_prefix) == ("parle", "/")


def test_the_smallest_file_is_right(tmp_path: Path) -> None:
    assert accepted(tmp_path, SMALL).args == StackArgs(routes=["sse"])


MISSPELT = [
    ("proxy_location", "proxy_locaton", ""),
    ("http_options", "http_option", ""),
    ("  port:", "  prot:", "http_options."),
    ("    route_prefix", "    route_prefx", "applications.parle."),
    ("      limits:", "      limit:", "applications.parle.args."),
    ("        compute_type", "        compute_typ", "applications.parle.args.stt."),
    ("        max_turns", "        max_turn", "applications.parle.args.limits."),
    ("    deployments:", "    deployment:", "applications.parle."),
    ("          language", "          languag", "applications.parle.deployments.SpeechToText.user_config."),
    (
        "            temperature",
        "            temprature",
        "applications.parle.deployments.TutorLLM.user_config.sampling.",
    ),
    ("          utterances", "          uterances", "applications.parle.deployments.CefrClassifier.user_config."),
]


@pytest.mark.parametrize(("right", "wrong", "place"), MISSPELT, ids=[wrong.strip(" :") for _, wrong, _ in MISSPELT])
def test_a_misspelt_key_is_found_on_every_level(tmp_path: Path, right: str, wrong: str, place: str) -> None:
    text = CPU.replace(f"\n{right}", f"\n{wrong}", 1)
    key, known = wrong.strip(" :"), right.strip(" :")
    expected = f"{line_of(text, wrong)}: {place}{key}: unknown key '{key}'; did you mean '{known}'?"
    assert expected in faults(tmp_path, text)


RAY_KEYS = [
    ("max_queued_requets: 3", "max_queued_requets", "max_queued_requests"),
    ("autoscaling_config: {min_replica: 1}", "autoscaling_config.min_replica", "min_replicas"),
    ("ray_actor_options: {num_cpus: 0, runtime_envs: {}}", "ray_actor_options.runtime_envs", "runtime_env"),
    (
        "ray_actor_options: {num_cpus: 0, runtime_env: {env_var: {}}}",
        "ray_actor_options.runtime_env.env_var",
        "env_vars",
    ),
    ("logging_config: {log_levle: DEBUG}", "logging_config.log_levle", "log_level"),
    ("backpressure_config: {status: 429}", "backpressure_config.status", "status_code"),
]


@pytest.mark.parametrize(("option", "place", "known"), RAY_KEYS, ids=[known for _, _, known in RAY_KEYS])
def test_a_key_that_ray_would_ignore_is_found(tmp_path: Path, option: str, place: str, known: str) -> None:
    text = f"{SMALL}    deployments:\n      - name: TutorLLM\n        {option}\n"
    key = place.rsplit(".", 1)[-1]
    full = f"applications.parle.deployments.TutorLLM.{place}"
    assert f"8: {full}: unknown key '{key}'; did you mean '{known}'?" in faults(tmp_path, text)


def test_a_key_of_the_whole_file_that_ray_would_ignore_is_found(tmp_path: Path) -> None:
    assert faults(tmp_path, SMALL + "logging_config:\n  encodin: JSON\n") == [
        "7: logging_config.encodin: unknown key 'encodin'; did you mean 'encoding'?"
    ]


def test_what_ray_knows_is_accepted(tmp_path: Path) -> None:
    text = f"""{SMALL}\
    runtime_env: {{env_vars: {{A: b}}}}
    logging_config: {{encoding: JSON, log_level: DEBUG}}
    deployments:
      - name: TutorLLM
        autoscaling_config: {{min_replicas: 1, max_replicas: 2, target_ongoing_requests: 4}}
        max_queued_requests: 3
        backpressure_config: {{status_code: 429, retry_after_s: 2}}
        ray_actor_options: {{num_cpus: 0, runtime_env: {{env_vars: {{C: d}}}}}}
grpc_options: {{port: 9001}}
"""
    assert accepted(tmp_path, text).schema.applications[0].deployments[0].name == "TutorLLM"


def test_a_way_to_share_a_card_that_there_is_not_is_told_with_the_nearest(tmp_path: Path) -> None:
    text = (CONFIGS / "local_stack.yaml").read_text("utf-8")
    for wrong, right in {
        "gpu: {sharing: mp}": "sharing: unknown sharing 'mp'; did you mean 'mps'?",
        "gpu: {sharin: mps}": "sharin: unknown key 'sharin'; did you mean 'sharing'?",
    }.items():
        [fault] = faults(tmp_path, text.replace("      routes:", f"      {wrong}\n      routes:"))
        assert fault.endswith(f"applications.parle.args.gpu.{right}")


def test_all_faults_are_told_in_the_order_of_the_file(tmp_path: Path) -> None:
    text = """\
http_options: {port: eight}
applications:
  - name: parle
    import_path: serve_app.ingress:build
    args:
      routes: [sse, websockt]
      llm: {engine: llamacpp}
      stt:
        engine: faster-whisper
        threads: many
    deployments:
      - name: TextToSpech
"""
    found = faults(tmp_path, text)
    assert [fault.split(":")[0] for fault in found] == ["1", "6", "7", "10", "12"]
    assert "unable to parse string as an integer, not 'eight'" in found[0]
    assert found[1] == "6: applications.parle.args.routes: unknown route 'websockt'; did you mean 'websocket'?"
    assert found[2] == "7: applications.parle.args.llm.engine: unknown engine 'llamacpp'; did you mean 'llama-cpp'?"
    assert "not 'many'" in found[3]
    assert found[4] == (
        "12: applications.parle.deployments.TextToSpech.name: "
        "unknown deployment 'TextToSpech'; did you mean 'TextToSpeech'?"
    )


def test_settings_of_a_stage_that_the_stack_lacks_are_refused(tmp_path: Path) -> None:
    (fault,) = faults(tmp_path, SMALL + "    deployments: [{name: CefrClassifier}]\n")
    assert "unknown deployment 'CefrClassifier'" in fault
    assert fault.endswith("this stack has no cefr stage")


def test_limits_in_user_config_are_checked_like_those_in_args(tmp_path: Path) -> None:
    text = SMALL + "    deployments: [{name: Ingress, user_config: {limits: {max_turn: 3, max_audio_s: -1}}}]\n"
    found = " ".join(faults(tmp_path, text))
    assert "limits.max_turn: unknown key 'max_turn'; did you mean 'max_turns'?" in found
    assert "limits.max_audio_s: input should be greater than 0, not -1" in found


def test_a_stop_that_takes_longer_than_serve_waits_is_refused(tmp_path: Path) -> None:
    ingress = "    deployments: [{name: Ingress, user_config: {limits: {stop_s: %s}}}]\n"
    (fault,) = faults(tmp_path, SMALL + ingress % 60)
    assert fault.endswith("user_config: limits.stop_s: at most the 20 s of args.limits.stop_s; raise it there")
    file = tmp_path / "stack.yaml"
    file.write_text(SMALL + "      limits: {stop_s: 60}\n" + ingress % 60, "utf-8")
    assert read(file).user_config("Ingress") == {"limits": {"stop_s": 60}}


def with_options(options: str, share: float) -> str:
    return f"""{SMALL}\
      stt: {{engine: faster-whisper, num_gpus: {share}}}
    deployments:
      - name: SpeechToText
        ray_actor_options: {options}
"""


@pytest.mark.parametrize(
    ("options", "share", "sentence"),
    [
        ("{num_cpus: 0, num_gpus: 0.2}", 0, "the share of the card is set in args.stt.num_gpus, not here"),
        ("{num_cpus: 0}", 0.2, "replaces all options of the stage: repeat num_gpus: 0.2 of args.stt.num_gpus"),
        ("{num_cpus: 0, num_gpus: 0.3}", 0.2, "replaces all options of the stage: repeat num_gpus: 0.2"),
        ("{resources: {}}", 0, "give num_cpus too (0 reserves none)"),
    ],
    ids=["a share", "a lost share", "another share", "a lost num_cpus"],
)
def test_actor_options_cannot_lose_or_change_what_the_stage_needs(
    tmp_path: Path, options: str, share: float, sentence: str
) -> None:
    (fault,) = faults(tmp_path, with_options(options, share))
    assert fault.startswith("9: applications.parle.deployments.SpeechToText.ray_actor_options")
    assert sentence in fault


PIN = '"node:__internal_head__"'


@pytest.fixture
def stored(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Sets where conversations are kept; "" leaves it to the file."""
    return lambda url: monkeypatch.setenv("PARLE_STORE_URL", url)


@pytest.mark.parametrize("url", ["", "sqlite", "memory"])
@pytest.mark.parametrize("options", ["{num_cpus: 0}", "{num_cpus: 0, resources: {}}"])
def test_actor_options_cannot_lose_the_head_node_of_an_ingress_whose_store_is_there(
    tmp_path: Path, stored: Callable[[str], None], options: str, url: str
) -> None:
    stored(url)
    [fault] = faults(tmp_path, f"{SMALL}    deployments: [{{name: Ingress, ray_actor_options: {options}}}]\n")
    assert fault.startswith("6: applications.parle.deployments.Ingress.ray_actor_options: replaces all options")
    assert f"repeat resources: {{{PIN}: 0.001}}" in fault
    assert ("several nodes need store.url: postgresql" in fault) == (url != "memory")


def test_with_postgresql_the_ingress_may_leave_the_head_node(tmp_path: Path, stored: Callable[[str], None]) -> None:
    stored("")
    stack = SMALL.replace("routes: [sse]", "routes: [sse]\n      store: {url: postgresql}")
    ingress = "{name: Ingress, num_replicas: 2, ray_actor_options: {num_cpus: 0}}"
    assert accepted(tmp_path, f"{stack}    deployments: [{ingress}]\n").has_several_ingresses()


def test_actor_options_may_repeat_the_head_node(tmp_path: Path) -> None:
    options = f"{{num_cpus: 1, resources: {{{PIN}: 0.001}}}}"
    accepted(tmp_path, f"{SMALL}    deployments: [{{name: Ingress, ray_actor_options: {options}}}]\n")


def test_actor_options_may_repeat_the_share(tmp_path: Path) -> None:
    accepted(tmp_path, with_options("{num_cpus: 0, num_gpus: 0.2, runtime_env: {}}", 0.2))


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "is no stack file"),
        ("- a list\n", "is no stack file"),
        ("a: 1\nb: c: d\n", "2: mapping values are not allowed here"),
        ("a: 1\na: 2\n", "2: a: is there twice"),
        ("applications: &a [*a]\n", "an alias contains itself"),
        ("yes: 1\napplications: []\n", "1: yes: a key must be text; put it in quotes"),
        ("http_options: {}\n", "1: 'applications' is missing"),
        ("applications: []\n", "one application with import_path 'serve_app.ingress:build' is needed, not 0"),
        (SMALL.replace("ingress:build", "ingress:biuld"), "3: applications.parle.import_path: unknown import_path"),
        (SMALL.replace("name: parle", "name: ''"), "names must be nonempty"),
        (SMALL.replace("      routes: [sse]\n", ""), "args: input should be a valid dict"),
    ],
)
def test_a_file_that_is_no_stack_is_refused_in_one_line(tmp_path: Path, text: str, sentence: str) -> None:
    found = faults(tmp_path, text)
    assert any(sentence in fault for fault in found), found


def test_a_file_that_cannot_be_read_is_refused(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "none.yaml"):
        with pytest.raises(WrongFile) as refused:
            read(path)
        assert str(path) in refused.value.faults[0]
    binary = tmp_path / "binary.yaml"
    binary.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(WrongFile, match="UTF-8"):
        read(binary)


def test_the_ready_built_application_takes_no_args(tmp_path: Path) -> None:
    text = SMALL.replace("serve_app.ingress:build", "serve_app.app:app")
    assert "takes no args" in faults(tmp_path, text)[0]
    without = text.partition("    args:")[0]
    assert accepted(tmp_path, without).args == READY_BUILT["serve_app.app:app"]


@pytest.mark.parametrize("more", ["num_replicas: 2", "num_replicas: auto", "autoscaling_config: {max_replicas: 3}"])
def test_two_ingresses_need_a_store_that_they_share(tmp_path: Path, stored: Callable[[str], None], more: str) -> None:
    text = f"{SMALL}    deployments:\n      - name: Ingress\n        {more}\n"
    stored("memory")
    [fault] = faults(tmp_path, text)
    assert "with store.url: memory only one is possible" in fault
    stored("")  # a SQLite file
    assert accepted(tmp_path, text).has_several_ingresses()


def test_one_ingress_is_not_several(tmp_path: Path) -> None:
    for more in ("num_replicas: 1", "user_config: {}"):
        text = f"{SMALL}    deployments:\n      - name: Ingress\n        {more}\n"
        assert not accepted(tmp_path, text).has_several_ingresses()


@pytest.mark.parametrize(
    ("url", "sentence"),
    [
        ("postgers://ana:geheim@db/parle", "unknown kind of store 'postgers'; did you mean 'postgres'?"),
        ("postgresql://ana:geheim@db", "needs the name of a database"),
        ("postgresql://ana:ge[heim@db/parle", "have to be written as %XX"),
        ("postgresql://ana:geheim@db:x/parle", "have to be written as %XX"),
        ("geheim", "unknown kind of store"),
        ("sqlite://geheim/x", "three strokes"),
        ("memory:geheim", "is not followed by an address"),
        ("[geheim]", "is text"),
    ],
)
def test_a_wrong_address_of_the_store_is_refused_and_never_shown(tmp_path: Path, url: str, sentence: str) -> None:
    quoted = url if url.startswith("[") else f'"{url}"'
    [fault] = faults(tmp_path, SMALL.replace("routes: [sse]", f"routes: [sse]\n      store: {{url: {quoted}}}"))
    assert sentence in fault
    assert ".args.store" in fault
    assert "geheim" not in fault or url == "geheim"


def test_a_misspelt_key_of_the_store_is_refused_with_the_nearest(tmp_path: Path) -> None:
    [fault] = faults(tmp_path, SMALL.replace("routes: [sse]", "routes: [sse]\n      store: {keep_day: 3}"))
    assert "did you mean 'keep_days'?" in fault


def test_a_stage_may_have_several_replicas(tmp_path: Path) -> None:
    scaled = "autoscaling_config: {min_replicas: 1, max_replicas: 3}"
    stages = f"      - name: TutorLLM\n        num_replicas: 2\n      - name: TextToSpeech\n        {scaled}\n"
    text = f"{SMALL}    deployments:\n{stages}"
    assert accepted(tmp_path, text).application == "parle"
