"""The settings of a recipe as widgets, drawn from the core's table of knobs: their labels, limits and help."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

import streamlit as st

from core.domain.recipe import Recipe
from core.planning.knobs import KNOBS, Knob, value, with_value

ELSEWHERE = ("seed", "label_budget")
"""Fields that the Train page has widgets of its own for."""


def overrides(recipes: Mapping[str, Recipe], knobs: Collection[str]) -> dict[str, Any]:
    """Widgets for the knobs that the chosen methods use; empty ones keep each method's own. Returns field -> value."""
    found: dict[str, Any] = {}
    columns = st.columns(3)
    for i, k in enumerate(k for k in KNOBS if uses(knobs, k.field) and k.field not in ELSEWHERE):
        own = list(dict.fromkeys(show(value(r, k.field), k) for r in recipes.values()))
        with columns[i % 3]:
            entered = _widget(k, None, key=f"set_{k.field}", placeholder=" / ".join(own))
        if entered is not None and entered != "":
            found[k.field] = entered
    return found


def edit(recipe: Recipe, knobs: Collection[str], *, key: str) -> Recipe:
    """Widgets filled with a recipe's own values (for a fork); returns the edited recipe."""
    columns = st.columns(2)
    for i, k in enumerate(k for k in KNOBS if uses(knobs, k.field) or k.field in ELSEWHERE):
        before = value(recipe, k.field)
        with columns[i % 2]:
            entered = _widget(k, before, key=f"{key}_{k.field}", placeholder=show(None, k) if k.optional else "")
        if entered != before and (entered is not None or k.optional):
            recipe = with_value(recipe, k.field, entered)
    return recipe


def apply(recipe: Recipe, changes: Mapping[str, Any], knobs: Collection[str]) -> Recipe:
    """A copy of the recipe with those changes that its method uses."""
    for field, entered in changes.items():
        if uses(knobs, field):
            recipe = with_value(recipe, field, entered)
    return recipe


def uses(knobs: Collection[str], field: str) -> bool:
    """Whether a method with these knobs uses a dotted field; naming `freeze` covers all of `freeze.…`."""
    return field in knobs or field.split(".")[0] in knobs


def _widget(k: Knob, current: Any, *, key: str, placeholder: str) -> Any:
    if k.kind in ("choice", "bool"):
        options: tuple[Any, ...] = (True, False) if k.kind == "bool" else k.options
        return st.selectbox(k.label, options, index=options.index(current) if current in options else None, key=key,
                            help=k.help, format_func=lambda v: show(v, k), placeholder=placeholder,
                            persist_state="session")
    if k.kind == "pattern":
        return st.text_input(k.label, value=current or "", key=key, help=k.help, placeholder=placeholder,
                             persist_state="session")
    kind = int if k.kind == "integer" else float
    low, high = kind(k.minimum or 0), None if k.maximum is None else kind(k.maximum)
    return st.number_input(k.label, low, high, value=None if current is None else kind(current), key=key, help=k.help,
                           step=kind(k.step) if k.step else 1e-5, placeholder=placeholder, persist_state="session",
                           format="%d" if kind is int else "%.1e" if k.kind == "rate" else "%g")


def show(current: Any, k: Knob) -> str:
    """A knob's value as people read it."""
    if isinstance(current, bool):
        return "yes" if current else "no"
    if isinstance(current, float):
        return f"{current:.1e}" if k.kind == "rate" else f"{current:g}"
    return ("all" if k.field == "label_budget" else "none") if current is None else str(current)
