"""What Thaw measured on its bundled sets: the method table, stored by `python -m core table --store` and by nothing
else, and the stored results of lessons that ask which method, for sets that the table does not have."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from core import lessons, metrics
from core.advice import situation
from core.advice.situation import Situation
from core.data import catalogue
from core.domain import codec
from core.domain.dataset import Task
from core.domain.run import Interval
from core.metrics import arms as pooled
from core.models.methods import FROZEN

STORED = Path(__file__).with_name("stored")
SAME = Interval(value=0.0, low=0.0, high=0.0)
LEVEL = 0.05


@dataclass(frozen=True, kw_only=True)
class Arm:
    """One method on one set."""

    method: str
    score: Interval
    """On test rows, over seeds, in the metric that decides."""
    behind: Interval
    """Its score minus that of the best method, on the same rows, turned so that below 0 is worse; zeros for the best.
    """
    worse: bool
    """Whether the test tells it from the best method (Holm's correction over the pairs with the best)."""
    seconds: float
    """Of a run by itself, on the device that made the table."""


@dataclass(frozen=True, kw_only=True)
class Setting:
    """One set, and how each method did on it."""

    dataset: str
    """Catalogue id."""
    name: str
    model: str
    effort: str
    seeds: int
    metric: str
    situation: Situation
    arms: tuple[Arm, ...]
    made: Mapping[str, Any]
    """Date, device, cores, precision, versions, seconds."""

    def arm(self, method: str) -> Arm | None:
        return next((arm for arm in self.arms if arm.method == method), None)


def document(*, dataset: Mapping[str, Any], effort: str, made: Mapping[str, Any], report: Mapping[str, Any]
             ) -> dict[str, Any]:
    """What is stored of a set: `dataset` {id, name, task, labels, classes, shift}, and the whole document of its
    experiment, recipes' numbers included."""
    stored: dict[str, Any] = codec.to_json({"dataset": dict(dataset), "effort": effort, "made": dict(made),
                                            "report": dict(report)})
    return stored


def read(document: Mapping[str, Any]) -> Setting:
    """A stored document as what advice reads of it."""
    data, report = document["dataset"], document["report"]
    metric = metrics.REGISTRY[report["metric"]]
    scores = {arm["name"]: codec.from_json(Interval, arm["metrics"]["test"][metric.name]) for arm in report["arms"]
              if metric.name in arm["metrics"].get("test", {})}
    best = max(scores, key=lambda name: metric.sign * scores[name].value)
    against = {each["a"]: (each, 1) for each in report["comparisons"] if each["b"] == best}
    against |= {each["b"]: (each, -1) for each in report["comparisons"] if each["a"] == best}
    alone = _uncorrected(report["comparisons"])
    corrected = dict(zip(against, pooled.holm([alone[found["a"], found["b"]] for found, _ in against.values()]),
                         strict=True))
    arms = []
    for arm in report["arms"]:
        if arm["name"] not in scores:
            continue
        found = against.get(arm["name"])
        behind = _turned(codec.from_json(Interval, found[0]["difference"]), found[1] * metric.sign) if found else SAME
        arms.append(Arm(method=arm["method"], score=scores[arm["name"]], behind=behind,
                        worse=corrected.get(arm["name"], 1.0) < LEVEL and not behind.low <= 0 <= behind.high,
                        seconds=arm["cost"]["cold_s"] or 0.0))
    probe = next((arm.score.value for arm in arms if arm.method == FROZEN), None)
    return Setting(dataset=data["id"], name=data["name"], model=report["arms"][0]["model"], effort=document["effort"],
                   seeds=len(report["seeds"]), metric=metric.name, arms=tuple(arms), made=document["made"],
                   situation=Situation(task=Task(data["task"]), labels=data["labels"], classes=data["classes"],
                                       shift=data["shift"], probe=probe))


def _uncorrected(comparisons: Sequence[Mapping[str, Any]]) -> dict[tuple[str, str], float]:
    """The p-values before Holm's correction over all pairs, at most: a table asks for those with the best method only.
    """
    every = [each["p_adjusted"] for each in comparisons]
    # equal ones: as if each had been the last of them, so that none is made smaller than it was
    return {(each["a"], each["b"]): p / (1 + sum(other > p for other in every)) if p < 1 else 1.0
            for each, p in zip(comparisons, every, strict=True)}


def _turned(found: Interval, sign: int) -> Interval:
    if sign > 0:
        return found
    return Interval(value=-found.value, low=-found.high, high=-found.low)


def of_lesson(name: str) -> Setting | None:
    """A stored lesson that compared methods on one label budget; None for others, and where no result was stored."""
    lesson, found = lessons.get(name), lessons.stored(name)
    dataset = catalogue.published(lesson.dataset)
    if found is None or dataset is None or lesson.design != "methods" or not dataset.task.labelled:
        return None
    here = situation.of(dataset, budget=found["report"]["arms"][0]["budget"])
    return read(document(
        dataset={"id": lesson.dataset, "name": dataset.name, "task": here.task.value, "labels": here.labels,
                 "classes": here.classes, "shift": here.shift},
        effort="quick", made=found["made"], report=found["report"]))


@cache
def stored() -> tuple[Setting, ...]:
    """Every set that was measured, by name."""
    table = [read(json.loads(file.read_text(encoding="utf-8"))) for file in sorted(STORED.glob("*.json"))]
    known = {setting.dataset for setting in table}
    more = [found for name in lessons.REGISTRY if (found := of_lesson(name)) is not None
            and found.dataset not in known]
    return tuple(sorted((*table, *more), key=lambda setting: setting.name))
