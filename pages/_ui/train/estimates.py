"""What a set of runs will need before it starts: memory by part against the device, time, and what to change."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import streamlit as st

from core.domain.recipe import Recipe
from core.plots import memory
from core.plots.numbers import about, count, share, size
from pages._ui import charts, shell

_BADGES = {"fits": ("green", ":material/check_circle:"), "tight": ("orange", ":material/warning:"),
           "will not fit": ("red", ":material/block:")}


def panel(ws: str, methods: Mapping[str, Recipe], runs: Sequence[Recipe]) -> bool:
    """The estimates of one recipe per method, and the sum over all runs. Returns False when something will not fit."""
    api = shell.api()
    found = {label: estimate for label, recipe in methods.items()
             if (estimate := api.experiments.estimate(ws, recipe)) is not None}
    if not found:
        st.caption("No estimate yet: this machine is still being measured.")
        return True
    for label, estimate in found.items():
        colour, icon = _BADGES[estimate.memory.badge]
        with st.container(horizontal=True, vertical_alignment="center", gap="small"):
            st.badge(estimate.memory.badge, icon=icon, color=colour)
            st.markdown(f"**{label}** · {size(estimate.memory.total)} of {size(estimate.memory.available)} · "
                        f"{about(estimate.seconds)} · trains {count(estimate.trainable_params)} "
                        f"({share(estimate.trainable_params, estimate.total_params)})")
        for advice in estimate.memory.advice:
            st.caption(f":material/lightbulb: {shell.escape(advice)}")
    charts.show(memory.bars({label: e.memory for label, e in found.items()}), key="memory")
    total = api.experiments.seconds(ws, runs) or 0.0
    st.markdown(f":material/schedule: **{len(runs)} run{'s' * (len(runs) > 1)}, {about(total)} in all**, one "
                "after another.",
                help="From the speed measured on this machine, with the features that each run ends with; it can be "
                     "off by a factor of two.")
    return all(e.memory.badge != "will not fit" for e in found.values())
