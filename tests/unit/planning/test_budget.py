"""A label budget counts every label used, training and validation."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from core.domain.recipe import Recipe
from core.planning.budget import limited, read, shared


def recipe(method: str, budget: int | None) -> Recipe:
    return Recipe(dataset="d", base_model="m", method=method, label_budget=budget)


@given(method=st.sampled_from(["probe", "lora", "full"]), budget=st.integers(1, 3000), train=st.integers(1, 2000),
       validation=st.integers(0, 800), classes=st.integers(2, 30))
def test_labels_used_never_exceed_the_budget(method: str, budget: int, train: int, validation: int,
                                             classes: int) -> None:
    used = shared(recipe(method, budget), train=train, validation=validation, classes=classes)
    assert 1 <= used[0] <= train and 0 <= used[1] <= validation and sum(used) <= max(budget, 1)
    if used[1] or budget <= train:
        assert sum(used) == min(budget, train + validation)  # nothing of it lies idle


def test_shares() -> None:
    there = {"train": 1600, "validation": 200, "classes": 5}
    assert shared(recipe("lora", 50), **there) == (50, 0)        # ten rows would choose a checkpoint by chance
    assert shared(recipe("lora", 128), **there) == (102, 26)
    assert shared(recipe("probe", 128), **there) == (128, 0)     # cross-validated
    assert shared(recipe("lora", 1790), **there) == (1590, 200)
    assert shared(recipe("lora", 1800), **there) == shared(recipe("lora", None), **there) == (1600, 200)


def test_a_recipe_from_before_counts_training_rows() -> None:
    old = recipe("lora", 50).to_json()
    del old["budget_counts"]
    opened = Recipe.from_json(old)
    assert shared(opened, train=1600, validation=200, classes=5) == (50, 200)
    assert Recipe.from_json(recipe("lora", 50).to_json()) == recipe("lora", 50)


def test_a_budget_of_all_there_is_is_none() -> None:
    assert limited(1800, train=1600, validation=200) is None
    assert limited(1700, train=1600, validation=200) == 1700
    assert limited(32, train=0, validation=0) == 32


def test_what_is_typed_is_read_entry_by_entry() -> None:
    there = {"train": 1600, "validation": 200, "classes": 5}
    assert read([], **there).values == (None,)
    assert read(["All", " 1,000 ", "32"], **there).values == (32, 1000, None)
    found = read(["32", "many", "-3", "4", "32"], **there)
    assert found.values == (32,) and len(found.problems) == 3
    assert "'many' is not a number" in found.problems[0] and "'-3' is not a number" in found.problems[1]
    assert "4 is too small" in found.problems[2] and "at least 5" in found.problems[2]
    assert read(["many"], **there).values == ()
    above = read(["1799", "1800", "99999999999999999999", "all"], **there)
    assert above.values == (1799, None) and above.problems == () and len(above.notes) == 2
    assert "1,800 is not less than the 1,800 labelled rows" in above.notes[0]
    assert read(["all", "²"], **there).problems[0].startswith("The label budget '²'")
