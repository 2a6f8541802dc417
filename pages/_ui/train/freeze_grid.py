"""The freeze grid: a cell a block, plans by name, and a field for blocks by name or number. Ice blue with a snowflake
is frozen, ember orange with a flame trains."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import StrEnum, auto
from typing import TYPE_CHECKING

import streamlit as st

from core import tasks
from core.domain import freeze
from core.domain.dataset import Task
from core.domain.freeze import FreezePlan
from core.domain.model import ModelFacts
from core.errors import PatternError
from core.planning.footprint import open_parameters
from core.plots.numbers import count, share
from pages._ui import guard, shell
from pages._ui.train import freeze_cells
from pages._ui.train.freeze_cells import Cell
from pages._ui.words import word

if TYPE_CHECKING:
    from core.api import MethodChoice

_STATE = "freeze_grid"


class Head(StrEnum):
    """What stands on top of the blocks."""

    NEW = auto()
    """A new layer for the classes, which always trains."""
    OWN = auto()
    """The base model's own output layer, trained or frozen like a block."""
    TIED = auto()
    """The same that is the embeddings once more, and trained or frozen with them."""

    @staticmethod
    def of(facts: ModelFacts, task: Task) -> Head:
        if tasks.card(task).new_head:
            return Head.NEW
        return Head.TIED if facts.tied_head else Head.OWN

    def parameters(self, facts: ModelFacts, task: Task, classes: int) -> int:
        """Of the head alone: nothing where it shares the embeddings."""
        if self is Head.OWN:
            return facts.hidden_size * (facts.vocabulary or 0)
        return 0 if self is Head.TIED else tasks.card(task).head_parameters(facts.hidden_size, classes)


def grid(facts: ModelFacts, *, head: Head, head_parameters: int) -> FreezePlan:
    """Draw the grid and return the plan it shows. The plan stays while the model stays. head_parameters: of the head
    alone, 0 where it shares the embeddings."""
    names = facts.block_names
    open_names = [name for name in names if name != freeze.HEAD or head is Head.OWN]
    state = st.session_state.setdefault(_STATE, {})
    if state.get("model") != facts.id:
        state.update(model=facts.id, frozen=list(freeze.lower_half(names).frozen), serial=0)
    _presets(names)
    marked = _some(open_names)
    frozen = set(state["frozen"])
    cells = [_cell(facts, name, frozen=name in frozen) for name in names if name != freeze.HEAD]
    freeze_cells.draw([*cells, _head(cells, head, head_parameters, frozen=freeze.HEAD in frozen)],
                      serial=state.setdefault("serial", 0), marked=marked, on_plan=_drawn, key="freeze_cells")
    plan = FreezePlan(frozen=tuple(name for name in open_names if name in frozen))
    _count(facts, plan, 0 if plan.is_frozen(freeze.HEAD) else head_parameters, facts.parameters + head_parameters)
    return plan


def put(model: str, frozen: Sequence[str]) -> None:
    """Have the grid show this plan for this model when it is drawn next."""
    serial = st.session_state.get(_STATE, {}).get("serial", 0)
    st.session_state[_STATE] = {"model": model, "frozen": list(frozen), "serial": serial + 1}


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


def _cell(facts: ModelFacts, name: str, *, frozen: bool) -> Cell:
    parameters = next(b.parameters for b in facts.blocks if b.name == name)
    return Cell(name=name, text=name.removeprefix("block "), label=f"Train {name}", frozen=frozen,
                help=f"{name}, {count(parameters)} parameters")


def _head(body: Sequence[Cell], head: Head, parameters: int, *, frozen: bool = False) -> Cell:
    """The head's cell. Nobody switches a new one, which always trains, or one that shares the embeddings."""
    if head is Head.OWN:
        return Cell(name=freeze.HEAD, text=freeze.HEAD, label="Train the head", frozen=frozen,
                    help=f"The output layer, {count(parameters)} parameters")
    if head is Head.TIED:
        place = next((i for i, cell in enumerate(body) if cell.name == freeze.EMBEDDINGS), None)
        text = "head: shares the embeddings"
        return Cell(name=freeze.HEAD, text=text, label=f"The {text}, and trains with them", frozen=False, fixed=True,
                    help="The output layer is the embeddings once more; it cannot be opened alone", follows=place)
    return Cell(name=freeze.HEAD, text=freeze.HEAD, label="The head always trains", frozen=False, fixed=True,
                help=f"The head, {count(parameters)} parameters")


def _drawn(frozen: list[str], serial: int) -> None:
    """A plan made in the cells. Names of another model, which has been left meanwhile, fall out where it is read."""
    st.session_state[_STATE].update(frozen=frozen, serial=serial)


_PLANS = (("None", "none", "Freeze nothing: every block trains"),
          ("All but head", "all-but-head", "Only the head trains"),
          ("Lower half", "lower-half", "Freeze the embeddings and the lower half of the blocks"),
          ("Upper half", "upper-half", "Freeze the upper half of the blocks; the embeddings train"),
          ("Every other", "every-other", "Frozen and trained blocks take turns; the embeddings are frozen"))
_THIRDS = (("Lower third", "lower-third"), ("Middle third", "middle-third"), ("Upper third", "upper-third"))
MANY = 9
"""Blocks from which plans by thirds and a field for blocks by number are worth their room."""


def _presets(names: Sequence[str]) -> None:
    depth = len(names) - 1
    with st.container(horizontal=True, vertical_alignment="center", gap="xsmall"):
        st.markdown("Freeze", width="content")
        for label, plan, tip in _PLANS:
            _preset(label, plan, names, tip)
        if depth > MANY:
            with st.popover("A third", help="Freeze the lower, the middle or the upper third of the blocks"):
                for label, plan in _THIRDS:
                    _preset(label, plan, names)
        with st.popover("Top k", help="Freeze all but the top k blocks"):
            k = st.number_input("Blocks at the top that train", 0, depth, value=min(2, depth), key="top_k")
            st.button("Apply", key="preset_top", on_click=guard.callback(_apply), args=(freeze.top_k(names, int(k)),))


def _preset(label: str, plan: str, names: Sequence[str], tip: str | None = None) -> None:
    st.button(label, key=f"preset_{label}", help=tip, on_click=guard.callback(_apply),
              args=(freeze.NAMED[plan](names),))


def _some(names: Sequence[str]) -> Sequence[str]:
    """The field for blocks by name, number or range, with a button for each way; the blocks it names."""
    with st.container(horizontal=True, vertical_alignment="bottom", gap="xsmall"):
        typed = st.text_input("Some blocks", key="freeze_some", width=230, placeholder="e.g. 0-3, 5 or embeddings",
                              help="Names, numbers and ranges, separated by commas, or a /pattern/ over names. The "
                                   "blocks that it means get a frame.") or ""
        found: Sequence[str] = ()
        problem: PatternError | None = None
        if typed.strip():
            try:
                found = [name for name in freeze.parse(typed, names).frozen if name in names]
            except PatternError as error:
                problem = error
        for label, frozen in (("Freeze them", True), ("Train them", False)):
            st.button(label, key=f"some_{'freeze' if frozen else 'train'}", disabled=not found,
                      on_click=guard.callback(_change), args=(found, frozen))
    if problem:
        shell.show_error(problem)
    return found


def _change(blocks: Sequence[str], frozen: bool) -> None:
    """Freeze or thaw these blocks beside what is set."""
    others = [name for name in st.session_state[_STATE]["frozen"] if name not in blocks]
    _apply(FreezePlan(frozen=(*others, *(blocks if frozen else ()))))


def _apply(plan: FreezePlan) -> None:
    state = st.session_state[_STATE]
    state.update(frozen=list(plan.frozen), serial=state.get("serial", 0) + 1)


def _count(facts: ModelFacts, plan: FreezePlan, head_parameters: int, total: int) -> None:
    """What trains, in numbers. head_parameters: of a head that trains."""
    trained = head_parameters + open_parameters(facts, plan)
    trains = f"**{count(trained)}** of {count(total)} parameters train (**{share(trained, total)}**)"
    st.markdown(f":orange[:material/local_fire_department: {trains}] · "
                f":blue[:material/ac_unit: {freeze.describe(plan, facts.block_names)}]", help=word("freeze plan"))
    if common := [part for part in facts.shared or () if part.parameters]:
        state = "frozen" if plan.any_frozen([block for part in common for block in part.used_by]) else "trained"
        names = ", ".join(part.name.removesuffix(".weight") for part in common[:3])
        st.caption(f"{count(sum(part.parameters for part in common))} parameters are shared by several blocks "
                   f"({names}): they are frozen as soon as one of these is; now they are {state}.")
