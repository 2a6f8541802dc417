"""The dial: what follows from effort, data and model."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.domain.dataset import Task
from core.domain.freeze import describe
from core.domain.model import ModelFacts
from core.domain.recipe import Recipe
from core.errors import RecipeError
from core.models import methods
from core.planning import effort
from core.planning.effort import defaults

TEXT = Task.TEXT_CLASSIFICATION
METHODS = tuple(methods.REGISTRY)


def make(method: str = "full", **changes: object) -> Recipe:
    return defaults(**{"dataset": "bbc-news", "task": TEXT, "base_model": "minilm", "method": method, **changes})  # type: ignore[arg-type]


@pytest.mark.parametrize(("level", "epochs", "length"),
                         [("quick", 1.0, 64), ("normal", 3.0, 128), ("thorough", 10.0, 256)])
def test_effort_sets_epochs_and_length(level: str, epochs: float, length: int) -> None:
    recipe = make(effort=level, train_rows=1600, mean_length=2200.0)
    assert (recipe.epochs, recipe.max_length, recipe.effort) == (epochs, length, level)


def test_quick_is_a_hundred_updates_on_the_bundled_set() -> None:
    recipe = make(effort="quick", train_rows=1600)
    assert recipe.batch_size == 16
    assert 1600 / recipe.batch_size * recipe.epochs == 100


@pytest.mark.parametrize(("mean_length", "need"), [(0.0, 0), (1.0, 32), (64.0, 32), (65.0, 64), (240.0, 128)])
def test_token_need_is_twice_the_mean_in_steps_of_32(mean_length: float, need: int) -> None:
    assert effort.token_need(mean_length) == need


def test_short_texts_are_not_padded_to_the_dial() -> None:
    assert make(effort="thorough", mean_length=60.0).max_length == 32


def test_the_model_caps_the_length(minilm: ModelFacts) -> None:
    assert make(effort="thorough", facts=minilm, mean_length=2200.0).max_length == 256
    small = effort.defaults(dataset="d", task=TEXT, base_model="m", method="full", effort="thorough",
                            mean_length=9999.0, facts=ModelFacts(**{**minilm.__dict__, "max_length": 77}))
    assert small.max_length == 77


def test_partial_freezes_the_lower_half_and_probe_all_but_the_head(minilm: ModelFacts) -> None:
    assert describe(make("partial", facts=minilm).freeze, minilm.block_names) == "embeddings, blocks 0–2 frozen"
    assert describe(make("probe", facts=minilm).freeze, minilm.block_names) == "all but head frozen"
    for method in ("full", "lora", "qlora", "scratch"):
        assert describe(make(method, facts=minilm).freeze, minilm.block_names) == "nothing frozen"


def test_partial_without_facts_says_what_is_missing() -> None:
    with pytest.raises(RecipeError, match="know the blocks"):
        make("partial")


def test_unknown_effort_names_the_dial() -> None:
    with pytest.raises(RecipeError) as caught:
        make(effort="heroic")
    assert "quick, normal, thorough" in caught.value.why


def test_adapters_take_ten_times_the_full_rate_and_alpha_twice_the_rank() -> None:
    assert make("lora").learning_rate == pytest.approx(10 * make("full").learning_rate)
    for level in effort.EFFORTS:
        lora = make("lora", effort=level).lora
        assert lora.alpha == 2 * lora.rank


def test_scratch_never_starts_from_a_solved_head() -> None:
    assert ({m: make(m).head_init for m in ("full", "lora", "scratch")}
            == {"full": "probe", "lora": "probe", "scratch": "random"})


def test_few_rows_get_smaller_batches_and_more_epochs() -> None:
    few = make(train_rows=50)
    assert few.batch_size < make(train_rows=1600).batch_size
    assert few.epochs > make(train_rows=1600).epochs
    assert few.epochs <= 20


def test_pictures_have_no_text_length() -> None:
    assert make(task=Task.IMAGE_CLASSIFICATION, mean_length=0.0).max_length == 0


@given(method=st.sampled_from([m for m in METHODS if m != "partial"]), level=st.sampled_from(effort.EFFORTS),
       task=st.sampled_from(list(Task)), rows=st.none() | st.integers(2, 500_000), length=st.floats(0, 1e6),
       seed=st.integers(0, 2**31 - 1))
def test_every_default_is_a_valid_recipe(method: str, level: str, task: Task, rows: int | None, length: float,
                                         seed: int) -> None:
    recipe = make(method, effort=level, task=task, train_rows=rows, mean_length=length, seed=seed)
    assert effort.problems(recipe) == []
    assert Recipe.from_json(recipe.to_json()) == recipe


def test_every_default_is_valid_against_the_model(minilm: ModelFacts) -> None:
    for method in METHODS:
        assert effort.problems(make(method, facts=minilm, mean_length=2200.0), minilm) == []


def test_pictures_are_augmented_only_by_the_patient() -> None:
    level = {effort_: make(effort=effort_, task=Task.IMAGE_CLASSIFICATION).augmentation for effort_ in effort.EFFORTS}
    assert level == {"quick": "off", "normal": "off", "thorough": "light"}
    assert make("probe", effort="thorough", task=Task.IMAGE_CLASSIFICATION).augmentation == "off"
    assert make(effort="thorough").augmentation == "off"


def test_convolutions_get_larger_rates_and_batches_that_batch_norm_can_use(cnn: ModelFacts, minilm: ModelFacts) -> None:
    for method in ("partial", "full", "lora", "scratch"):
        ours = make(method, facts=cnn, task=Task.IMAGE_CLASSIFICATION, base_model="cnn", train_rows=40)
        assert ours.learning_rate > make(method, facts=minilm, train_rows=40).learning_rate
        assert ours.batch_size == 8
        effort.validate(ours, cnn)


def test_haste_raises_the_rates_of_transformers_alone(cnn: ModelFacts, minilm: ModelFacts) -> None:
    """Adapters beside convolutions at twice their rate lose what the solved head began with (`lora.py`)."""
    for method in ("lora", "rslora", "dora", "bitfit", "ia3", "full"):
        quick, normal = (make(method, effort=level, facts=cnn, task=Task.IMAGE_CLASSIFICATION, base_model="cnn")
                         for level in ("quick", "normal"))
        assert quick.learning_rate == normal.learning_rate
    assert make("lora", effort="quick", facts=minilm).learning_rate == 2 * make("lora", facts=minilm).learning_rate
    of_convolutions = (make(method, facts=cnn, task=Task.IMAGE_CLASSIFICATION, base_model="cnn").learning_rate
                       for method in ("rslora", "lora"))
    of_transformers = (make(method, facts=minilm).learning_rate for method in ("rslora", "lora"))
    assert next(of_convolutions) / next(of_convolutions) == pytest.approx(next(of_transformers) / next(of_transformers))


def test_the_catalogue_knows_enough_for_the_same_rates_before_the_weights_are_here(cnn: ModelFacts) -> None:
    from core.planning.recipes import known_blocks

    known = known_blocks("efficientnet-lite0")
    assert known is not None and known.has_batch_norm and len(known.blocks) == 8
    assert (make(facts=known, task=Task.IMAGE_CLASSIFICATION).learning_rate
            == make(facts=cnn, task=Task.IMAGE_CLASSIFICATION).learning_rate)
