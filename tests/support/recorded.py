"""Records what is given to Ray's metrics: the real classes with their checks, the values kept here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import pytest
from ray.util import metrics as ray_metrics


@dataclass(frozen=True, slots=True)
class Sample:
    name: str
    value: float
    labels: Mapping[str, str]


@dataclass
class Recorded:
    """Every value that was recorded, in order."""

    samples: list[Sample] = field(default_factory=list)

    def of(self, name: str, **labels: str) -> list[float]:
        """The values of one metric, of those samples that have these labels."""
        return [
            sample.value
            for sample in self.samples
            if sample.name == name and labels.items() <= dict(sample.labels).items()
        ]

    def one(self, name: str, **labels: str) -> float:
        [value] = self.of(name, **labels)
        return value


def keep(monkeypatch: pytest.MonkeyPatch) -> Recorded:
    """Start recording, until the test ends. Without a metrics agent Ray keeps nothing that can be read back."""
    recorded = Recorded()

    def record(metric: ray_metrics.Metric, value: float, tags: dict[str, str] | None = None) -> None:
        labels = metric._get_final_tags(tags)
        metric._validate_tags(labels)
        assert set(labels) == set(metric._tag_keys), f"{metric.info['name']} has no label {set(labels)}"
        recorded.samples.append(Sample(metric.info["name"], value, dict(labels)))

    monkeypatch.setattr(ray_metrics.Metric, "_record", record)
    return recorded
