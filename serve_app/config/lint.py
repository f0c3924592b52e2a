"""`parle check`: finds all errors in a stack file without starting anything.

Ray Serve ignores unknown keys, so a misspelt option would have no effect. Here an unknown key is an
error at every level of the file.
"""

from __future__ import annotations

import copy
import os
import types
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, TypeVar, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError
from ray.runtime_env import RuntimeEnv
from ray.serve.schema import ServeDeploySchema

from serve_app.config import ingress_rules
from serve_app.config.limits import Limits
from serve_app.config.stack import ENGINES, LexicalCefrConfig, StackArgs
from serve_app.config.strict import Strict
from serve_app.config.user_config import SETTINGS, IngressSettings
from serve_app.config.yaml_faults import explained
from serve_app.config.yaml_file import Place, WrongFile, YamlFile
from serve_app.errors import did_you_mean

Model = TypeVar("Model", bound=BaseModel)

BUILDER = "serve_app.ingress:build"
READY_BUILT = {"serve_app.app:app": StackArgs(cefr=LexicalCefrConfig(engine="lexical"))}
"""Applications without args, as `serve build serve_app.app:app` writes them, and the args they stand for."""
STAGE_OF = {"SpeechToText": "stt", "CefrClassifier": "cefr", "TutorLLM": "llm", "TextToSpeech": "tts"}


@dataclass(frozen=True, slots=True)
class StackFile:
    """A checked stack file, as Ray's schema and as our args."""

    path: Path
    schema: ServeDeploySchema
    application: str
    route_prefix: str
    args: StackArgs

    def user_config(self, deployment: str) -> dict[str, Any]:
        """The `user_config` of a deployment; {} where the file has none."""
        [ours] = [one for one in self.schema.applications if one.name == self.application]
        given = [one.user_config for one in ours.deployments if one.name == deployment]
        return (given[0] if given and isinstance(given[0], dict) else None) or {}

    def has_several_ingresses(self) -> bool:
        """Whether clients may be spread over more than one process."""
        [ours] = [one for one in self.schema.applications if one.name == self.application]
        return any(
            ingress_rules.has_several(one.model_dump(exclude_unset=True))
            for one in ours.deployments
            if one.name == "Ingress"
        )


def read(path: Path) -> StackFile:
    """Check a stack file, using nothing but the file.

    Raises:
        WrongFile: with all errors, one line each: file, line, key, what would be right.
    """
    file = YamlFile(path)
    lint = _Lint(file)
    known = lint.known_keys(file.data, ServeDeploySchema, ())
    schema = lint.validated(ServeDeploySchema, known, ())
    found = lint.application(known)
    if lint.faults or schema is None or found is None:
        raise WrongFile([text for _, text in sorted(set(lint.faults))])
    application, args = found
    return StackFile(path, schema, application.get("name", "default"), application.get("route_prefix") or "/", args)


class _Lint:
    """Collects the errors of one file."""

    def __init__(self, file: YamlFile) -> None:
        self._file = file
        self.faults: list[tuple[int, str]] = []

    def _fault(self, place: Place, what: str) -> None:
        self.faults.append((self._file.line(place), self._file.fault(place, what)))

    def known_keys(self, value: Any, kind: Any, place: Place) -> Any:
        """A copy of `value` without unknown keys, each of which is recorded as an error."""
        if isinstance(value, list):
            return [self.known_keys(item, kind, (*place, index)) for index, item in enumerate(value)]
        if not isinstance(value, dict):
            return value
        model = _model_for(value, kind)
        if model is None:
            if place and place[-1] == "runtime_env":
                self._runtime_env(value, place)
            return copy.deepcopy(value)
        fields = {field.alias or name: field.annotation for name, field in model.model_fields.items()}
        kept = {}
        for key, inner in value.items():
            if key in fields:
                kept[key] = self.known_keys(inner, fields[key], (*place, key))
            else:
                self._fault((*place, key), did_you_mean("key", str(key), fields))
        if get_origin(kind) in (Union, types.UnionType) and dict in map(_plain, get_args(kind)):
            self.validated(model, kept, place)  # Ray's type also allows any dict, checked only at deploy
        return kept

    def _runtime_env(self, value: dict[str, Any], place: Place) -> None:
        if os.environ.get("RAY_RUNTIME_ENV_PLUGINS"):
            return
        known = sorted(RuntimeEnv.known_fields)
        for key in value:
            if key not in known:
                self._fault((*place, key), did_you_mean("key", str(key), known))

    def validated(self, model: type[Model], value: Any, place: Place) -> Model | None:
        """`value` as a `model`; None if it is invalid, with the errors recorded."""
        try:
            return model.model_validate(copy.deepcopy(value))
        except ValidationError as error:
            for where, what in explained(error, value):
                self._fault((*place, *where), what)
            return None

    def application(self, known: dict[str, Any]) -> tuple[dict[str, Any], StackArgs] | None:
        """Parle's application in the file, and its args; None if there is none or it has errors."""
        applications = known.get("applications")
        if not isinstance(applications, list):
            return None
        ours = [
            (("applications", index), application)
            for index, application in enumerate(applications)
            if isinstance(application, dict) and _import_path(application).startswith("serve_app.")
        ]
        if len(ours) != 1:
            self._fault(("applications",), f"one application with import_path '{BUILDER}' is needed, not {len(ours)}")
            return None
        place, application = ours[0]
        args = self._args(application, place)
        self._deployments(application, args, place)
        return None if args is None else (application, args)

    def _args(self, application: dict[str, Any], place: Place) -> StackArgs | None:
        path, given, place_of_args = _import_path(application), application.get("args", {}), (*place, "args")
        if path in READY_BUILT:
            if given:
                self._fault(place_of_args, f"'{path}' takes no args; with import_path '{BUILDER}' it would")
            return READY_BUILT[path]
        if path != BUILDER:
            self._fault((*place, "import_path"), did_you_mean("import_path", path, [BUILDER, *READY_BUILT]))
            return None
        known = self.known_keys(given, StackArgs, place_of_args)
        unknown_engine = False
        for stage, engines in ENGINES.items():
            config = known.get(stage) if isinstance(known, dict) else None
            if isinstance(config, dict) and config.get("engine") not in engines:
                # Recorded here and removed, so that it does not hide other errors.
                unknown_engine = True
                what = did_you_mean("engine", str(config.get("engine", "")), engines)
                self._fault((*place_of_args, stage, "engine"), what)
                del known[stage]
        args = self.validated(StackArgs, known, place_of_args)
        return None if unknown_engine else args

    def _deployments(self, application: dict[str, Any], args: StackArgs | None, place: Place) -> None:
        graph = [name for name in SETTINGS if name != "CefrClassifier" or args is None or args.cefr]
        seen: set[str] = set()
        for index, deployment in enumerate(application.get("deployments") or []):
            if not isinstance(deployment, dict) or not isinstance(name := deployment.get("name"), str):
                continue
            here = (*place, "deployments", index)
            if name not in graph:
                why = "; this stack has no cefr stage" if name in SETTINGS else ""
                self._fault((*here, "name"), did_you_mean("deployment", name, graph) + why)
                continue
            if name in seen:
                self._fault((*here, "name"), "is there twice")
            seen.add(name)
            if name == "Ingress":
                for key, what in ingress_rules.faults(deployment, args):
                    self._fault((*here, key), what)
            self._settings(name, deployment.get("user_config"), (*here, "user_config"))
            self._actor_options(name, deployment.get("ray_actor_options"), args, (*here, "ray_actor_options"))

    def _settings(self, name: str, given: Any, place: Place) -> None:
        if not isinstance(given, dict):
            return
        kind: type[Strict] = SETTINGS[name]
        known = self.known_keys(given, kind, place)
        if isinstance(limits := known.get("limits"), dict) and kind is IngressSettings:
            # The type is a plain dict, since only the limits that are given replace the stack's.
            inner = (*place, "limits")
            known["limits"] = self.known_keys(limits, Limits, inner)
            if self.validated(Limits, known["limits"], inner) is None:
                del known["limits"]
        self.validated(kind, known, place)

    def _actor_options(self, name: str, options: Any, args: StackArgs | None, place: Place) -> None:
        """Check `ray_actor_options`, which replace all of the code's: the stage's share must be repeated there."""
        if not isinstance(options, dict):
            return
        stage = STAGE_OF.get(name)
        if args is None:
            return
        share = args.stages()[stage].num_gpus if stage else 0
        given = options.get("num_gpus") or 0
        home = f"args.{stage}.num_gpus" if stage else "a stage's args"
        if isinstance(given, int | float) and given != share:
            if "num_gpus" in options and not share:
                self._fault((*place, "num_gpus"), f"the share of the card is set in {home}, not here")
            else:
                self._fault(place, f"replaces all options of the stage: repeat num_gpus: {share:g} of {home}")
        if "num_cpus" not in options:
            self._fault(place, "replaces all options of the deployment: give num_cpus too (0 reserves none)")


def _import_path(application: dict[str, Any]) -> str:
    """The import_path as `pkg.module:name`; Ray also accepts `pkg.module.name`."""
    path = application.get("import_path")
    if not isinstance(path, str):
        return ""
    return path if ":" in path else ":".join(path.rsplit(".", 1))


def _model_for(value: dict[str, Any], kind: Any) -> type[BaseModel] | None:
    """The pydantic model for a mapping of this type; among several, the one for its `engine`."""
    models = _models(kind)
    for model in models:
        engine = model.model_fields.get("engine")
        if engine is None or value.get("engine") in get_args(engine.annotation):
            return model
    return None


def _models(kind: Any) -> list[type[BaseModel]]:
    """The pydantic models in a type: looks into Optional, Union, Annotated and list, not into dict."""
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        return [kind]
    if get_origin(kind) is dict:
        return []
    if get_origin(kind) is Annotated:
        return _models(get_args(kind)[0])
    return [model for inner in get_args(kind) for model in _models(inner)]


def _plain(kind: Any) -> Any:
    return get_origin(kind) or kind
