"""How runs are told apart in charts: a colour a method, a dash a seed, a marker a budget."""

from __future__ import annotations

from typing import Any

from core.domain.recipe import LoraSpec, Recipe
from core.domain.run import JobKind, Run, Status
from core.planning import arms


def run(id: str, method: str = "lora", **fields: Any) -> Run:
    return Run(id=id, workspace="w", kind=JobKind.TRAIN, name="", status=Status.DONE, folder="",
               recipe=Recipe(dataset="d", base_model="m", method=method, **fields))


def test_methods_keep_their_colour_and_marker() -> None:
    looks = arms.looks([run("a"), run("b", "full")])
    assert looks["a"].colour != looks["b"].colour and looks["a"].symbol != looks["b"].symbol
    assert looks["a"] == arms.looks([run("a")])["a"]


def test_seeds_have_their_dash_and_budgets_their_marker() -> None:
    looks = arms.looks([run("a", label_budget=32), run("b", label_budget=32, seed=1), run("c"), run("d", seed=1),
                        run("e", "full", seed=1)])
    assert len({look.colour for id, look in looks.items() if id != "e"}) == 1
    assert looks["a"].dash == looks["c"].dash != looks["b"].dash == looks["d"].dash == looks["e"].dash
    assert looks["a"].symbol == looks["b"].symbol != looks["c"].symbol == looks["d"].symbol == looks["e"].symbol


def test_other_settings_of_one_method_have_a_marker() -> None:
    looks = arms.looks([run("a"), run("b", lora=LoraSpec(rank=16))])
    assert looks["a"].symbol != looks["b"].symbol and looks["a"].dash == looks["b"].dash
