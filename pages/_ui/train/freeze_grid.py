"""The freeze grid: one button a block. Ice blue with a snowflake is frozen, ember orange with a flame trains."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import streamlit as st

from core.domain import freeze
from core.domain.freeze import FreezePlan
from core.domain.model import ModelFacts
from core.planning.footprint import open_parameters
from core.plots.numbers import count, share
from pages._ui import guard
from pages._ui.words import word

if TYPE_CHECKING:
    from core.api import MethodChoice

_STATE = "freeze_grid"


def grid(facts: ModelFacts, *, head_parameters: int) -> FreezePlan:
    """Draw the grid and return the plan it shows. The plan stays while the model stays."""
    names = facts.block_names
    state = st.session_state.setdefault(_STATE, {})
    if state.get("model") != facts.id:
        state.update(model=facts.id, frozen=list(freeze.lower_half(names).frozen))
    _presets(names)
    with st.container(horizontal=True, gap="xsmall", key="freeze_cells"):
        for name in names:
            _cell(name, frozen=name in state["frozen"],
                  parameters=head_parameters if name == freeze.HEAD else _parameters(facts, name))
    plan = FreezePlan(frozen=tuple(n for n in names if n in state["frozen"]))
    _count(facts, plan, head_parameters)
    return plan


def put(model: str, frozen: Sequence[str]) -> None:
    """Have the grid show this plan for this model when it is drawn next."""
    st.session_state[_STATE] = {"model": model, "frozen": list(frozen)}


def users(choices: Mapping[str, MethodChoice], chosen: Sequence[str]) -> list[str]:
    """Which of the chosen methods follow the grid: those that train blocks, and adapters when their box is ticked."""
    able = [name for name in chosen if choices[name].needs_freeze_plan]
    follow = [name for name in able if not choices[name].adapter]
    adapters = [name for name in able if choices[name].adapter]
    if adapters:
        labels = " and ".join(choices[name].label for name in adapters)
        if st.checkbox(f"Keep the adapters of {labels} out of frozen blocks too", key="freeze_adapters",
                       persist_state="session",
                       help="Off: adapters sit in every block, the usual way. On: only in blocks that train."):
            follow += adapters
    if not follow:
        st.caption("None of the chosen methods follows this plan now; tick *Partly frozen* to train it.")
    else:
        st.caption(f"Followed by: {', '.join(choices[name].label for name in follow)}. Other methods decide for "
                   "themselves what trains.")
    return follow


def _parameters(facts: ModelFacts, name: str) -> int:
    return next(b.parameters for b in facts.blocks if b.name == name)


def _cell(name: str, *, frozen: bool, parameters: int) -> None:
    text = name.removeprefix("block ")
    if name == freeze.HEAD:
        st.button(f":orange[:material/local_fire_department: **{text}**]", key="cell_head", disabled=True,
                  help=f"The head, {count(parameters)} parameters. It is new, so it always trains.")
        return
    label = f":blue[:material/ac_unit: {text}]" if frozen else f":material/local_fire_department: {text}"
    action = "frozen, click to thaw" if frozen else "trains, click to freeze"
    st.button(label, key=f"cell_{name}", type="secondary" if frozen else "primary", on_click=guard.callback(_toggle),
              args=(name,), help=f"{name}, {count(parameters)} parameters: {action}")


def _toggle(name: str) -> None:
    frozen = st.session_state[_STATE]["frozen"]
    frozen.remove(name) if name in frozen else frozen.append(name)


def _presets(names: Sequence[str]) -> None:
    depth = len(names) - 1
    with st.container(horizontal=True, vertical_alignment="center", gap="xsmall"):
        st.markdown("Freeze", width="content")
        for label, plan, tip in (("None", freeze.none(names), "Freeze nothing: every block trains"),
                                 ("All but head", freeze.all_but_head(names), "Only the head trains"),
                                 ("Lower half", freeze.lower_half(names),
                                  "Freeze the embeddings and the lower half of the blocks")):
            st.button(label, key=f"preset_{label}", on_click=guard.callback(_apply), args=(plan,), help=tip)
        with st.popover("Top k", help="Freeze all but the top k blocks"):
            k = st.number_input("Blocks at the top that train", 0, depth, value=min(2, depth), key="top_k")
            st.button("Apply", key="preset_top", on_click=guard.callback(_apply), args=(freeze.top_k(names, int(k)),))


def _apply(plan: FreezePlan) -> None:
    st.session_state[_STATE]["frozen"] = list(plan.frozen)


def _count(facts: ModelFacts, plan: FreezePlan, head_parameters: int) -> None:
    trained = head_parameters + open_parameters(facts, plan)
    total = head_parameters + facts.parameters
    trains = f"**{count(trained)}** of {count(total)} parameters train (**{share(trained, total)}**)"
    st.markdown(f":orange[:material/local_fire_department: {trains}] · "
                f":blue[:material/ac_unit: {freeze.describe(plan, facts.block_names)}]", help=word("freeze plan"))
    if common := [part for part in facts.shared or () if part.parameters]:
        state = "frozen" if plan.any_frozen([block for part in common for block in part.used_by]) else "trained"
        names = ", ".join(part.name.removesuffix(".weight") for part in common[:3])
        st.caption(f"{count(sum(part.parameters for part in common))} parameters are shared by several blocks "
                   f"({names}): they are frozen as soon as one of these is; now they are {state}.")
