"""What the dial gave and the estimate said for every method before cards carried it: recorded then (commit 1de3a4b),
equal now; but for rates beside convolutions, which were lowered since for the reason in `core/models/methods/lora.py`.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from core.domain import codec
from core.domain.dataset import Task
from core.domain.device import Device
from core.domain.model import ModelFacts
from core.domain.recipe import Recipe
from core.errors import RecipeError
from core.planning import effort, footprint, knobs
from core.planning.estimate import estimate
from core.planning.recipes import known_blocks

FILE = Path(__file__).with_name("golden.json")
METHODS = ("probe", "partial", "full", "lp_ft", "lora", "qlora", "scratch")
ROWS = {"train": 1600, "validation": 200, "test": 425, "shift": 100}
PLAIN = codec.to_json(Recipe(dataset="d", base_model="m", method="", effort=""))


def cases(facts: dict[str, ModelFacts | None]) -> Iterator[tuple[str, Recipe | str, ModelFacts | None]]:
    """(name, recipe or why there is none, facts) of every method at every effort on every model."""
    for model, found in facts.items():
        for method in METHODS:
            for level in effort.EFFORTS:
                for rows in (40, 1600):
                    tasks = found.tasks if found else tuple(Task)
                    for task in tasks:
                        name = f"{model} {method} {level} {rows} {task}"
                        try:
                            recipe = effort.defaults(
                                dataset="d", task=task, base_model="m", method=method, effort=level, train_rows=rows,
                                mean_length=0.0 if "image" in task else 900.0, facts=found)
                            yield name, recipe, found
                        except RecipeError as error:
                            yield name, error.what, found


def what(recipe: Recipe | str) -> Any:
    """Only what differs from a bare recipe."""
    if isinstance(recipe, str):
        return recipe
    return {key: value for key, value in codec.to_json(recipe).items() if value != PLAIN[key]}


def costs(recipe: Recipe, facts: ModelFacts, device: Device) -> dict[str, Any]:
    """Everything that the estimate says, and which blocks it takes for frozen."""
    found = estimate(recipe, facts=facts, device=device, n_classes=5, rows=ROWS, mean_length=900.0)
    plan = footprint.effective_plan(recipe, facts)
    return {"memory": dataclasses.asdict(found.memory), "seconds": round(found.seconds, 4), "steps": found.steps,
            "trainable": found.trainable_params, "total": found.total_params, "frozen": list(plan.frozen),
            "first": footprint.first_trained(recipe, facts), "follows_batches": knobs.follows_batches(recipe, facts)}


def measured(facts: dict[str, ModelFacts | None], devices: dict[str, Device]) -> dict[str, Any]:
    """The whole document."""
    found: dict[str, Any] = {}
    for name, recipe, about in cases(facts):
        found[name] = {"recipe": what(recipe)}
        if about is None or isinstance(recipe, str) or not about.hidden_size or " 1600 " not in name:
            continue
        if not (recipe.method == "qlora" and about.has_batch_norm):
            found[name] |= {device: costs(recipe, about, of) for device, of in devices.items()}
    return json.loads(json.dumps(found))  # type: ignore[no-any-return]


@pytest.fixture
def now(minilm: ModelFacts, cnn: ModelFacts, cpu: Device, gpu: Device) -> dict[str, Any]:
    tight = dataclasses.replace(cpu, memory_bytes=250_000_000, precision="bf16")  # too small, so that there is advice
    unfetched = {"unfetched text": known_blocks("minilm"), "unfetched pictures": known_blocks("efficientnet-lite0")}
    return measured({"none": None, "minilm": minilm, "cnn": cnn, **unfetched}, {"cpu": cpu, "tight": tight, "gpu": gpu})


def test_defaults_and_estimates_are_what_they_were(now: dict[str, Any]) -> None:
    before = json.loads(FILE.read_text(encoding="utf-8"))
    assert now.keys() == before.keys()
    assert {name: found for name, found in now.items() if found != before[name]} == {}
