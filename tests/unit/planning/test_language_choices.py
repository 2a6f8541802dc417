"""Methods on a language model: which apply, and what a freeze plan may say of an output layer of its own."""

from __future__ import annotations

import dataclasses
import math

import pytest

from core.domain import freeze
from core.domain.dataset import Content, Task
from core.domain.freeze import FreezePlan
from core.domain.model import ModelFacts
from core.domain.recipe import Recipe, steps_an_epoch
from core.errors import RecipeError
from core.models import facts as model_facts
from core.models import methods
from core.planning import effort, recipes
from core.planning.knobs import problems

LANGUAGE = Task.on(Content.TEXT, labelled=False)


@pytest.fixture
def smollm2() -> ModelFacts:
    found = model_facts.published("smollm2")
    assert found is not None
    return found


def recipe(method: str = "partial", **changes: object) -> Recipe:
    return Recipe(dataset="d", base_model="smollm2", method=method, task=LANGUAGE).replace(**changes)


def test_every_method_applies_but_those_that_begin_with_a_new_head_or_train_biases(smollm2: ModelFacts) -> None:
    reasons = {choice.name: choice.reason for choice in recipes.choices(smollm2, None, LANGUAGE)}
    assert reasons.pop("lp_ft") == methods.NO_NEW_HEAD
    assert reasons.pop("contrastive") == methods.NO_CLASSES
    assert reasons.pop("bitfit") == "this model has no biases"
    assert set(reasons.values()) == {None}
    of_classification = {choice.name: choice.reason for choice in recipes.choices(smollm2, None) if choice.reason}
    assert of_classification == {"bitfit": "this model has no biases", "kl_to_base": methods.NO_OWN_HEAD,
                                 "replay": methods.NO_OWN_HEAD}


@pytest.mark.parametrize(("method", "label"), [("kl_to_base", r"Held to the base model \(KL\)"),
                                               ("replay", "Replay of general texts")])
def test_what_needs_the_base_models_own_head_is_refused_for_classifiers(smollm2: ModelFacts, method: str,
                                                                        label: str) -> None:
    text, picture = Task.on(Content.TEXT), Task.on(Content.PICTURE)
    for facts in (None, smollm2):
        assert recipes.why_not(method, facts, None, LANGUAGE) is None
        assert recipes.why_not(method, facts, None, text) == methods.NO_OWN_HEAD
        assert recipes.why_not(method, facts, None, picture) == methods.NO_OWN_HEAD
    with pytest.raises(RecipeError, match=f"{label} does not apply"):
        recipes.check_method(recipe(method).replace(task=text), None, None)


def test_the_probe_of_a_language_model_is_the_untouched_model(smollm2: ModelFacts) -> None:
    said = {choice.name: choice.summary for choice in recipes.choices(smollm2, None, LANGUAGE)}
    assert "untouched" in said["probe"] and "new head" not in said["probe"]
    assert said["lora"] == methods.card_of("lora").summary


def test_an_output_layer_of_its_own_can_be_frozen(smollm2: ModelFacts) -> None:
    untied = dataclasses.replace(smollm2, tied_head=False)
    plan = recipe(freeze=FreezePlan(frozen=("embeddings", "head")))
    assert problems(plan, untied) == [] == problems(plan, smollm2)
    alone = recipe(freeze=FreezePlan(frozen=("head",)))
    assert problems(alone, untied) == []
    assert "is its embedding" in problems(alone, smollm2)[0]
    assert "always trains" in problems(alone.replace(task=Task.on(Content.TEXT)), untied)[0]


def test_a_plan_that_leaves_nothing_to_train_is_refused(smollm2: ModelFacts) -> None:
    all_blocks = recipe(freeze=freeze.all_but_head(smollm2.block_names))
    assert "nothing would train" in problems(all_blocks, smollm2)[0]  # its head is frozen with the embeddings
    untied = dataclasses.replace(smollm2, tied_head=False)
    assert problems(all_blocks, untied) == []
    everything = recipe(freeze=FreezePlan(frozen=smollm2.block_names))
    assert "nothing would train" in problems(everything, untied)[0]
    assert problems(everything.replace(method="lora"), untied)  # adapters find no open block
    assert problems(everything.replace(method="probe"), untied) == []


def test_a_plan_of_words_names_the_head(smollm2: ModelFacts) -> None:
    assert freeze.parse("0-3, head", smollm2.block_names).frozen == ("block 0", "block 1", "block 2", "block 3", "head")
    plan = FreezePlan(frozen=smollm2.block_names)
    assert plan.first_trainable(smollm2.block_names) == len(smollm2.block_names) - 1


@pytest.mark.parametrize(("level", "length", "steps"),
                         [("quick", 256, 60), ("normal", 256, 400), ("thorough", 512, 675)])
@pytest.mark.parametrize("rows", [900, 3000])
def test_the_dial_counts_steps_of_four_passages(level: str, length: int, steps: int, rows: int,
                                                smollm2: ModelFacts) -> None:
    found = effort.defaults(dataset="d", task=LANGUAGE, base_model="smollm2", method="lora", effort=level,
                            train_rows=rows, mean_length=880.0, facts=smollm2)
    assert (found.batch_size, found.max_length, found.lora.rank, found.lora.alpha) == (4, length, 16, 32.0)
    made = math.ceil(steps_an_epoch(rows, 4) * found.epochs)
    assert made == steps if level != "thorough" else made == 3 * rows / 4
    evaluations = found.evaluations_per_epoch * found.epochs
    assert evaluations == pytest.approx({"quick": 2, "normal": 8, "thorough": 18}[level], rel=0.5)
    assert problems(found, smollm2) == []


def test_rates_are_those_of_generative_models(smollm2: ModelFacts) -> None:
    rates = {method: effort.defaults(dataset="d", task=LANGUAGE, base_model="smollm2", method=method, train_rows=900,
                                     facts=smollm2) for method in ("full", "lora", "qlora", "scratch")}
    assert {name: found.learning_rate for name, found in rates.items()} == pytest.approx(
        {"full": 2e-5, "lora": 2e-4, "qlora": 2e-4, "scratch": 2e-4})
    assert all(found.head_learning_rate == found.learning_rate for found in rates.values())


def test_short_conversations_are_not_cut_to_twice_their_mean(smollm2: ModelFacts) -> None:
    assert effort.defaults(dataset="d", task=LANGUAGE, base_model="smollm2", method="lora", mean_length=60.0,
                           facts=smollm2).max_length == 256


def test_knobs_are_those_of_the_task(smollm2: ModelFacts) -> None:
    own = {choice.name: set(choice.knobs) for choice in recipes.choices(smollm2, None, LANGUAGE)}["full"]
    other = {choice.name: set(choice.knobs) for choice in recipes.choices(smollm2, None)}["full"]
    assert {"taught", "forgetting_bound"} <= own - other
    assert {"head_init", "head_learning_rate"} <= other - own
    assert "gradient_accumulation" in own & other
