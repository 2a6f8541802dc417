"""Lessons of a workspace: what was predicted, what was measured here or stored with Thaw, and how the two compare."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from core import files, lessons
from core.api.desk import Desk
from core.api.experiments import Experiments
from core.api.questions import Plan, Question, Questions
from core.domain import codec
from core.domain.experiment import Experiment
from core.domain.run import Interval, Status
from core.errors import RecipeError
from core.lessons import Guess, Held, Lesson
from core.metrics.words import signed
from core.planning.designs.found import Found

FOLDER = "lessons"
_Shape = tuple[tuple[str, ...], tuple[float, ...]]
_shapes: dict[str, _Shape] = {}
"""Lesson -> arms and rates of its experiment, once it was laid out in this process: a room asks for every guest."""
_labels: dict[str, dict[str, str]] = {}
"""Lesson -> arm -> how it is called, likewise."""


@dataclass(frozen=True, kw_only=True)
class Measured:
    """What a lesson's experiment found, made here or stored."""

    values: Mapping[str, Interval]
    """Arm -> the metric that was predicted."""
    labels: Mapping[str, str]
    """Arm -> how it is called, in the order of the experiment."""
    x: Mapping[str, float]
    """Arm -> where it stands on the axis of an ordered design."""
    seeds: int
    answer: str
    """What the design's sentence says."""
    forgot: str
    """Of language models: how much worse each arm predicts general texts, in a sentence; empty for others."""
    held: tuple[Held, ...]
    """The paper's claim beside it."""
    sentence: str
    """Whether this miniature agrees."""
    made: Mapping[str, Any] | None = None
    """Of a stored result: date, versions, device, seconds."""


def measured(lesson: Lesson, found: Found | None, document: Mapping[str, Any]) -> Measured | None:
    """What an experiment says so far; None before a run has results."""
    if found is None:
        return None
    held = lessons.held(lesson, found)
    return _measured(lesson, document, held=held, sentence=lessons.sentence(held))


def document_of(lesson: Lesson, found: Found | None, report: Mapping[str, Any], made: Mapping[str, Any]
                ) -> dict[str, Any]:
    """What is stored of a lesson that was measured in full."""
    held = lessons.held(lesson, found) if found is not None else []
    stored: dict[str, Any] = codec.to_json({"lesson": lesson.name, "made": dict(made), "report": dict(report),
                                            "held": held, "sentence": lessons.sentence(held)})
    return stored


def _measured(lesson: Lesson, document: Mapping[str, Any], *, held: Sequence[Held], sentence: str,
              made: Mapping[str, Any] | None = None) -> Measured:
    arms = [arm for arm in document["arms"] if lesson.metric in arm["metrics"].get(lesson.split, {})]
    values = {arm["name"]: codec.from_json(Interval, arm["metrics"][lesson.split][lesson.metric]) for arm in arms}
    return Measured(values=values, labels={arm["name"]: arm["label"] for arm in arms},
                    x={arm["name"]: arm["x"] for arm in arms if arm["x"] is not None},
                    seeds=max((len(arm["seeds"]) for arm in arms), default=0), held=tuple(held), sentence=sentence,
                    answer=document["answer"]["sentence"], forgot=_forgot(document["arms"]), made=made)


def _forgot(arms: Sequence[Mapping[str, Any]]) -> str:
    """How much the loss on general texts rose, arm by arm."""
    told = []
    for arm in arms:
        if (found := arm.get("forgot")) is None:
            continue
        seeds = found["seeds"]
        digits = 3 if max(seeds) - min(seeds) >= 0.001 else 4
        low, high = signed(min(seeds), digits), signed(max(seeds), digits)
        spread = f" ({low} to {high} over seeds)" if len(seeds) > 1 else " (one seed)"
        told.append(f"{arm['label']} {signed(found['value'], digits)}{spread}")
    return f"Loss on texts that have nothing to do with it, in nats a token: {', '.join(told)}." if told else ""


class Lessons:
    """What one learner did."""

    def __init__(self, desk: Desk, *, questions: Questions, experiments: Experiments) -> None:
        self._desk = desk
        self._questions = questions
        self._experiments = experiments

    def plan(self, ws: str, name: str, *, seeds: int | Sequence[int] = 0) -> Plan:
        """The runs of a lesson; works before its dataset and model are here. seeds: 0 = the lesson's own."""
        lesson = lessons.get(name)
        found = self._questions.plan(ws, lesson.design, dataset=lesson.dataset, models=[lesson.model],
                                     seeds=seeds or lesson.seeds, **lesson.choices)
        _labels[name] = {arm.name: arm.label for arm in found.experiment.arms}
        seconds = self._experiments.seconds(ws, [each.recipe for each in found.runs], features=lesson.features)
        return dataclasses.replace(found, seconds=seconds)

    def labels(self, ws: str, name: str) -> dict[str, str]:
        """Arm -> how it is called; laid out once a process."""
        if name not in _labels:
            self.plan(ws, name)
        return _labels[name]

    def start(self, ws: str, name: str, *, seeds: int | Sequence[int] = 0) -> list[str]:
        """Queue a lesson's experiment."""
        lesson = lessons.get(name)
        return self._questions.start(ws, self.plan(ws, name, seeds=seeds), name=f"Lesson: {lesson.title}",
                                     features=lesson.features)

    def experiment(self, ws: str, name: str) -> str | None:
        """The newest experiment of this workspace that is this lesson's; None where it was not started."""
        lesson = lessons.get(name)
        candidates = [(each.id, each.asked) for each in self._experiments.all(ws) if each.asked is not None
                      and (each.asked.design, each.asked.dataset) == (lesson.design, lesson.dataset)
                      and {arm.recipe.base_model for arm in each.asked.arms} == {lesson.model}]
        if not candidates:
            return None
        wanted = _shape(self.plan(ws, name).experiment) if name not in _shapes else _shapes[name]
        _shapes[name] = wanted
        return next((id for id, asked in candidates if _shape(asked) == wanted), None)

    def is_measured(self, ws: str, name: str) -> bool:
        """Whether all its runs are done here; cheap, for a list of all lessons."""
        found = self.experiment(ws, name)
        return found is not None and all(run.status is Status.DONE for run in self._experiments.runs(ws, found))

    def question(self, ws: str, name: str) -> Question | None:
        """The same with what its runs say; None where it was not started."""
        found = self.experiment(ws, name)
        return self._questions.of(ws, found) if found else None

    def measured(self, name: str, question: Question | None) -> Measured | None:
        """What was measured in this workspace, as far as it is done."""
        return measured(lessons.get(name), question.found, question.document) if question is not None else None

    def stored(self, name: str) -> Measured | None:
        """The result that comes with Thaw; None where none was made."""
        found = lessons.stored(name)
        if found is None:
            return None
        held = [codec.from_json(Held, each) for each in found["held"]]
        return _measured(lessons.get(name), found["report"], held=held, sentence=found["sentence"], made=found["made"])

    def predict(self, ws: str, name: str, predicted: Mapping[str, float]) -> None:
        """Keep a prediction (arm -> value). It is made once. Raises RecipeError where there is one already, and for
        values outside the lesson's range."""
        lesson = lessons.get(name)
        low, high = lesson.range
        if self.prediction(ws, name) is not None:
            raise RecipeError("You have predicted already.", why="A prediction that can be changed is none.",
                              remedy="Go on to the measurement, or start the lesson again.")
        if not predicted or not all(low <= value <= high for value in predicted.values()):
            raise RecipeError("This prediction cannot be kept.",
                              why=f"Each arm needs a number between {low:g} and {high:g}.",
                              remedy="Set every arm and try again.")
        self._desk.touch(ws)
        self._file(ws, name).parent.mkdir(exist_ok=True)
        files.write_json(self._file(ws, name), {"predicted": dict(predicted), "at": time.time()})

    def prediction(self, ws: str, name: str) -> dict[str, float] | None:
        """What was predicted; None where nothing was."""
        found = files.read_json(self._file(ws, name))
        if not isinstance(found, dict):
            return None
        return {str(arm): float(value) for arm, value in found["predicted"].items()}

    def forget(self, ws: str, name: str) -> None:
        """Start the lesson again: without its prediction; runs stay."""
        self._file(ws, name).unlink(missing_ok=True)

    def guess(self, ws: str, name: str, found: Measured) -> Guess | None:
        """How near the prediction came; None without one."""
        predicted = self.prediction(ws, name)
        return lessons.score(predicted, found.values) if predicted else None

    def _file(self, ws: str, name: str) -> Path:
        return self._desk.settings.workspace(ws) / FOLDER / f"{lessons.get(name).name}.json"


def _shape(experiment: Experiment) -> _Shape:
    """What two experiments of the same lesson share, but for the device."""
    return tuple(arm.name for arm in experiment.arms), experiment.rates
