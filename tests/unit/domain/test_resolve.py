"""What recipes leave to the device: decided once, by the device as it was then; what recipes from before a field
existed meant."""

from __future__ import annotations

import dataclasses

import pytest

from core.domain import resolve
from core.domain.device import Device
from core.domain.model import ModelFacts
from core.domain.recipe import Recipe
from core.errors import RecipeError
from core.models import methods
from core.planning import knobs
from core.planning.estimate import memory


def recipe(method: str = "lora", **fields: object) -> Recipe:
    return Recipe(dataset="d", base_model="minilm", method=method, **fields)  # type: ignore[arg-type]


def older(method: str) -> Recipe:
    """As it was written before recipes named their optimiser."""
    data = recipe(method).to_json()
    del data["optimizer"]
    return Recipe.from_json(data)


def test_the_measured_format_is_taken_once_and_then_kept(cpu: Device) -> None:
    fast = dataclasses.replace(cpu, precision="bf16")
    submitted = resolve.resolved(recipe(), fast)
    assert submitted.precision == "bf16" and not resolve.is_open(submitted)
    assert resolve.resolved(submitted, cpu) == submitted
    assert submitted.replace(precision="auto") == recipe(), "nothing else changed"
    assert resolve.resolved(recipe(), None) == recipe(), "left open while the device is not known"
    assert resolve.resolved(recipe(precision="fp32"), fast).precision == "fp32"


@pytest.mark.parametrize("method", sorted(methods.REGISTRY))
def test_arms_that_are_compared_have_the_same_optimiser_on_every_device(method: str, cpu: Device, gpu: Device) -> None:
    assert {resolve.resolved(recipe(method), device).optimizer for device in (cpu, gpu)} == {"adamw"}
    if "learning_rate" in methods.get(method).card.knobs:
        assert "optimizer" in methods.get(method).card.knobs


def test_a_qlora_recipe_from_before_the_field_means_what_it_meant(cpu: Device, gpu: Device, minilm: ModelFacts) -> None:
    assert resolve.resolved(older("qlora"), gpu).optimizer == "paged_adamw_8bit"
    assert resolve.resolved(older("qlora"), cpu).optimizer == "adamw"
    assert older("lora") == recipe("lora")
    assert knobs.problems(older("qlora"), minilm) == [], "it can still be resumed and forked"
    assert "auto" not in knobs.knob("optimizer").options, "it is not offered"
    assert memory(older("qlora"), facts=minilm, device=gpu, n_classes=2) == memory(
        recipe("qlora", optimizer="paged_adamw_8bit"), facts=minilm, device=gpu, n_classes=2)


def test_what_a_device_does_not_have_is_refused_with_a_remedy(cpu: Device, gpu: Device) -> None:
    for asked, remedy in ((recipe(precision="fp16"), "fp32"), (recipe("qlora", optimizer="paged_adamw_8bit"), "adamw")):
        with pytest.raises(RecipeError, match="not available on a CPU") as caught:
            resolve.check(asked, cpu)
        assert remedy in caught.value.remedy
        resolve.check(asked, gpu)
    for fine in (recipe(), recipe(precision="bf16"), older("qlora")):
        resolve.check(fine, cpu)
