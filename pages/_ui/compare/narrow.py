"""Which of the chosen runs are shown, by what they are coloured and grouped: any setting of a recipe, any measure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import streamlit as st

from core.analysis import measures
from core.domain.recipe import differences
from core.planning import arms
from core.plots.palette import Arm
from core.share import results

METHOD = "method"
MOST_OPTIONS = 40


@dataclass(frozen=True, kw_only=True)
class Looks:
    """How runs are drawn where that is not by their method."""

    of: Mapping[str, Arm] = field(default_factory=dict)
    """Run id -> look; empty: by method."""
    kinds: Mapping[str, str] = field(default_factory=dict)
    """Run id -> what its colour says."""
    group: str = ""
    """What the table is grouped by; empty: nothing."""
    groups: Mapping[str, str] = field(default_factory=dict)
    """Run id -> its group."""


def choose(runs: results.Runs, called: Mapping[str, str]) -> tuple[dict[str, Any], Looks]:
    """The runs that pass, in their order, and their looks; all of them, by method, with fewer than three."""
    if len(runs) < 3:
        return dict(runs), Looks()
    values = _values(runs)
    numbers = {each.name: each for each in measures.available([result for _, result in runs.values()])}
    labels = {name: results.setting(name) for name in values} | {name: each.label for name, each in numbers.items()}
    with st.expander("Search, filter, colour and group", icon=":material/filter_alt:"):
        search = str(st.text_input("Search", key="narrow_search", placeholder="part of a name") or "")
        kept = [id for id in runs if search.strip().lower() in called[id].lower()]
        with st.container(horizontal=True):
            by = st.selectbox("Filter by", list(labels), index=None, format_func=labels.__getitem__, key="narrow_by",
                              placeholder="nothing")
            colour = st.selectbox("Colour by", [METHOD, *(name for name in labels if name != METHOD)],
                                  format_func=lambda name: labels.get(name, results.setting(name)), key="narrow_colour")
            group = st.selectbox("Group by", list(values), index=None, format_func=labels.__getitem__,
                                 key="narrow_group", placeholder="nothing")
        if by in values:
            told = list(dict.fromkeys(values[by][id] for id in runs))[:MOST_OPTIONS]
            wanted = st.multiselect(f"Only where {labels[by].lower()} is", told, key=f"narrow_values_{by}")
            kept = [id for id in kept if not wanted or values[by][id] in wanted]
        elif by in numbers:
            kept = _between(by, labels[by], numbers, runs, kept)
    shown = {id: runs[id] for id in kept}
    if len(shown) < len(runs):
        st.caption(f":material/filter_alt: {len(shown)} of {len(runs)} runs are shown.")
    kinds = {} if colour == METHOD else values.get(colour) or _binned(numbers[colour], shown)
    kinds = {id: kind for id, kind in kinds.items() if id in shown}
    return shown, Looks(of=arms.coloured(kinds), kinds=kinds, group=labels.get(group or "", ""),
                        groups=values.get(group or "", {}))


def _values(runs: results.Runs) -> dict[str, dict[str, str]]:
    """Recipe field -> run id -> its value in words, of fields that differ."""
    known = [id for id, (run, _) in runs.items() if run.recipe is not None]
    found = differences([runs[id][0].recipe for id in known if runs[id][0].recipe is not None])  # type: ignore[misc]
    return {name: dict.fromkeys(runs, "–") | {id: results.setting_text(value) for id, value in
                                              zip(known, listed, strict=True)} for name, listed in found.items()}


def _between(by: str, label: str, numbers: Mapping[str, measures.Measure], runs: results.Runs,
             kept: list[str]) -> list[str]:
    there = {id: found.value for id in runs if (found := numbers[by].of(runs[id][1])) is not None}
    low, high = min(there.values()), max(there.values())
    if low == high:
        st.caption("All of them have the same.")
        return kept
    least, most = st.slider(f"Only where {label.lower()} lies between", low, high, (low, high),
                            key=f"narrow_range_{by}_{low}_{high}")
    return [id for id in kept if id in there and least <= there[id] <= most]


BINS = 4


def _binned(measure: measures.Measure, runs: results.Runs) -> dict[str, str]:
    """A measure in quarters, the lowest first: run id -> the range that it lies in."""
    there = {id: found for id in runs if (found := measure.of(runs[id][1])) is not None}
    ordered = sorted(there, key=lambda id: there[id].value)
    said, kinds = measure.form or "{:.3g}".format, dict[str, str]()
    for place in range(min(BINS, len(ordered))):
        part = ordered[place * len(ordered) // BINS:(place + 1) * len(ordered) // BINS]
        if part:
            low, high = (said(there[id].value) for id in (part[0], part[-1]))
            kinds |= dict.fromkeys(part, f"{measure.label} {low} to {high}")
    return kinds
