"""What all settings have in common: an unknown key is refused with the nearest known one."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError, model_validator

from serve_app.errors import did_you_mean


class Strict(BaseModel):
    """Base model that refuses unknown keys and suggests the nearest known one."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    @model_validator(mode="before")
    @classmethod
    def _know_every_key(cls, data: Any) -> Any:
        if isinstance(data, dict):
            for key in data:
                if key not in cls.model_fields:
                    raise ValueError(did_you_mean("key", str(key), cls.model_fields))
        return data


def explain(error: ValidationError) -> str:
    """The errors of a configuration in one line: for each its place and what would be right."""
    faults = []
    for fault in error.errors():
        where = ".".join(str(part) for part in fault["loc"])
        what = fault["msg"].removeprefix("Value error, ")
        faults.append(f"{where}: {what}" if where else what)
    return "; ".join(faults)
