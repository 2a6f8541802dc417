"""The Train page filled with the recipes of an experiment, to be changed and started as a new one.

The page's own widgets are set through their keys, so there is one form, one freeze grid, one plan of memory and time.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import streamlit as st

from core.api.experiments import NAME_CHARACTERS
from core.domain import resolve
from core.domain.dataset import UNSAID
from core.domain.recipe import Recipe
from core.domain.run import Run
from core.errors import RecipeError
from core.models.methods import REGISTRY
from core.planning.knobs import KNOBS, Knob, value
from pages._ui import shell
from pages._ui.train import form, freeze_grid, recipe_form

_NOTICE = "train_prefilled"
_COPY = ", changed"


def train(ws: str, name: str, members: Sequence[Run]) -> None:
    """Set every choice of the Train page to what these runs were started with. RecipeError when none has a recipe that
    can still be planned."""
    recipes = [run.recipe for run in members if run.recipe is not None and run.recipe.method in REGISTRY]
    if not recipes:
        raise RecipeError("These runs cannot be planned anew.", why="Their recipes are gone, or of another version.",
                          remedy="Choose methods on the Train page.")
    first = recipes[0]
    ref, mended = _dataset(ws, first.dataset)
    by_method = {recipe.method: recipe for recipe in sorted(recipes, key=_plainest, reverse=True)}
    settings, lost = _overrides(ws, ref, by_method)
    state = st.session_state
    state["train_dataset"] = ref
    _model(first)
    for method in REGISTRY:
        state[f"method_{method}"] = method in by_method
    state["train_effort"] = first.effort
    state["train_seeds"] = min(20, len({recipe.seed for recipe in recipes}))
    budgets = dict.fromkeys(recipe.label_budget for recipe in recipes)
    state["train_budgets"] = ["all" if budget is None else str(budget) for budget in budgets]
    for knob in KNOBS:
        state[f"set_{knob.field}"] = settings.get(knob.field, "" if knob.kind == "pattern" else None)
    _freeze(first, by_method)
    expected = shell.api().data.expected(ws, ref)
    title = name if name.endswith(_COPY) else f"{name[:NAME_CHARACTERS - len(_COPY)]}{_COPY}"
    state[f"name_{expected.id if expected else ref}_{first.base_model}"] = title
    state[_NOTICE] = (name, lost, mended)


def notice() -> None:
    """On the Train page: whose recipes these are, and which of their settings the form cannot hold."""
    if _NOTICE not in st.session_state:
        return
    name, lost, mended = st.session_state[_NOTICE]
    text = (f"The choices below are those of **{shell.escape(name)}**. Change what you like: the start makes a new "
            "experiment, the old one stays.")
    if lost:
        text += (f" Its methods differ in {', '.join(lost)}, and a setting here holds for all methods: look at "
                 f"{'it' if len(lost) == 1 else 'these'} under *Advanced*.")
    if mended:
        text += " Its dataset was mended since: the new runs use the mended one."
    st.info(text, icon=":material/content_copy:")


def forget() -> None:
    """The start was made: what comes next is not a copy any more."""
    st.session_state.pop(_NOTICE, None)


def _dataset(ws: str, wanted: str) -> tuple[str, bool]:
    """The dataset as the page offers it, and whether it has taken the place of the one that was trained on."""
    found = shell.api().data.find(ws, wanted)
    if found is None:
        return wanted, False
    ref = found.id
    while other := shell.api().mending.replaced(ws, ref):
        ref = other
    return ref, ref != found.id


def _plainest(recipe: Recipe) -> tuple[bool, int]:
    """All rows and the first seed come first: what a method's settings are read from."""
    return recipe.label_budget is not None, recipe.seed


def _model(recipe: Recipe) -> None:
    key = "train_model" if recipe.task is UNSAID else f"train_model_{recipe.task.value}"
    bundled = {model.id for model in shell.api().models.bundled() if recipe.task in model.tasks}
    known = recipe.base_model in bundled
    st.session_state[key] = recipe.base_model if known else form.OTHER
    if not known:
        st.session_state[f"{key}_other"] = recipe.base_model


def _overrides(ws: str, ref: str, by_method: dict[str, Recipe]) -> tuple[dict[str, Any], list[str]]:
    """Settings that are not the dial's: field -> the value that all methods share; and the labels of those in which
    methods differ other than the dial has it."""
    device = shell.api().device()
    found: dict[str, Any] = {}
    lost: list[str] = []
    dial = {method: form.default(ws, ref, recipe.base_model, method, recipe.effort, seed=recipe.seed,
                                 budget=recipe.label_budget) for method, recipe in by_method.items()}
    for knob in (k for k in KNOBS if k.field not in recipe_form.ELSEWHERE):
        users = [m for m in by_method if recipe_form.uses(REGISTRY[m].card.knobs, knob.field)]
        if all(_same(knob, by_method[m], dial[m], device) for m in users):
            continue
        values = [value(by_method[m], knob.field) for m in users]
        if all(each == values[0] for each in values):
            found[knob.field] = values[0]
        else:
            lost.append(knob.label.lower() if knob.label[:2].istitle() else knob.label)
    return found, lost


def _same(knob: Knob, recipe: Recipe, dial: Recipe, device: Any) -> bool:
    """Whether the recipe has what the dial gives, as it is or as it was decided for this device."""
    has = value(recipe, knob.field)
    return bool(has == value(dial, knob.field) or has == value(resolve.resolved(dial, device), knob.field))


def _freeze(first: Recipe, by_method: dict[str, Recipe]) -> None:
    """The grid as the method that follows it had it; adapters follow where theirs were kept out of frozen blocks."""
    plans = {m: list(r.freeze.frozen) for m, r in by_method.items() if REGISTRY[m].card.needs_freeze_plan}
    weights = [plan for m, plan in plans.items() if not REGISTRY[m].card.adapter]
    adapters = [plan for m, plan in plans.items() if REGISTRY[m].card.adapter and plan]
    if weights or adapters:
        freeze_grid.put(first.base_model, (weights or adapters)[0])
    st.session_state["freeze_adapters"] = bool(adapters)
