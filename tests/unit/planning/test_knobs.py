"""Limits: each one holds, and each field a method names has a knob."""

from __future__ import annotations

import dataclasses
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.domain.dataset import Task
from core.domain.freeze import FreezePlan
from core.domain.model import ModelFacts
from core.domain.recipe import Recipe
from core.errors import RecipeError
from core.planning.knobs import KNOBS, Knob, for_model, knob, problems, validate, value, with_value

GOOD = Recipe(dataset="d", base_model="m", method="full")
NUMBERS = [k for k in KNOBS if k.kind in ("integer", "number", "rate")]


def test_the_default_recipe_is_valid() -> None:
    assert problems(GOOD) == []
    validate(GOOD)


@pytest.mark.parametrize("k", KNOBS, ids=lambda k: k.field)
def test_each_knob_reads_and_writes_its_field(k: Knob) -> None:
    current = value(GOOD, k.field)
    assert with_value(GOOD, k.field, current) == GOOD
    changed = with_value(GOOD, k.field, "something else")
    assert value(changed, k.field) == "something else"
    assert changed != GOOD
    assert k.help.endswith(".")


@pytest.mark.parametrize("k", NUMBERS, ids=lambda k: k.field)
def test_numbers_outside_their_limits_are_refused(k: Knob) -> None:
    assert k.minimum is not None
    assert k.maximum is not None
    for bad in (k.minimum - 1, k.maximum + 1, math.nan, math.inf, "7", None if not k.optional else "x", True):
        found = problems(with_value(GOOD, k.field, bad))
        assert len(found) == 1, bad
        assert k.label in found[0]


@given(share=st.floats(0, 1))
def test_numbers_inside_their_limits_are_taken(share: float) -> None:
    for k in NUMBERS:
        inside = (k.minimum or 0) + share * ((k.maximum or 1) - (k.minimum or 0))
        inside = min(max(inside, k.minimum or 0), k.maximum or 1)
        assert problems(with_value(GOOD, k.field, int(inside) if k.kind == "integer" else inside)) == []


@pytest.mark.parametrize("k", [k for k in KNOBS if k.kind == "choice"], ids=lambda k: k.field)
def test_unknown_choices_name_the_known_ones(k: Knob) -> None:
    assert ", ".join(k.options) in problems(with_value(GOOD, k.field, "other"))[0]
    for option in k.options:
        assert problems(with_value(GOOD, k.field, option)) == []


def test_validate_lists_everything_at_once() -> None:
    with pytest.raises(RecipeError) as caught:
        validate(GOOD.replace(batch_size=0, epochs=-1.0))
    assert "Batch size" in caught.value.why
    assert "Epochs" in caught.value.why


def test_limits_of_the_model(minilm: ModelFacts) -> None:
    assert "at most 512" in problems(GOOD.replace(max_length=513), minilm)[0]
    assert "block 9" in problems(GOOD.replace(freeze=FreezePlan(frozen=("block 9",))), minilm)[0]
    assert "image-classification" in problems(GOOD.replace(task=Task.IMAGE_CLASSIFICATION), minilm)[0]
    assert "always trains" in problems(GOOD.replace(freeze=FreezePlan(frozen=("head",))), minilm)[0]


def test_lora_targets_that_match_nothing_name_candidates(minilm: ModelFacts) -> None:
    lora = with_value(GOOD.replace(method="lora"), "lora.targets", "q_proj")
    assert "encoder.layer.N.attention.self.query" in problems(lora, minilm)[0]
    assert problems(with_value(lora, "lora.targets", r"self\.(query|value)$"), minilm) == []


def test_the_methods_ask_only_for_fields_that_have_a_knob() -> None:
    from core.models.methods import REGISTRY

    for method in REGISTRY.values():
        for field in method.card.knobs:
            assert field == "freeze" or knob(field).field == field


def test_knobs_without_effect_on_a_model_are_left_out(cnn: ModelFacts, minilm: ModelFacts) -> None:
    fields = ("freeze", "epochs", "max_length", "augmentation", "batch_norm", "pooling", "lora.rank")
    assert for_model(fields, cnn) == ("freeze", "epochs", "augmentation", "batch_norm", "lora.rank")
    assert (for_model(fields, dataclasses.replace(cnn, has_batch_norm=False))
            == ("freeze", "epochs", "augmentation", "lora.rank"))
    assert for_model(fields, minilm) == ("freeze", "epochs", "max_length", "pooling", "lora.rank")


def test_a_pooling_of_texts_is_refused_for_pictures(cnn: ModelFacts) -> None:
    recipe = GOOD.replace(task=Task.IMAGE_CLASSIFICATION, base_model="cnn", max_length=0)
    assert problems(recipe, cnn) == []
    assert any("pools pictures by 'mean'" in text for text in problems(recipe.replace(pooling="last"), cnn))
