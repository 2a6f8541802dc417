"""Which run, and which models beside each other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import streamlit as st

from core import tasks
from core.api import MOST_SIDES, Offered
from core.domain.dataset import Content, Shape
from core.domain.run import Run
from core.domain.side import Side
from core.planning import names
from pages._ui import shell, start
from pages._ui.runs import run_list


@dataclass(frozen=True, kw_only=True)
class Chosen:
    """What is asked."""

    run: Run
    sides: tuple[Offered, ...]

    @property
    def content(self) -> Content:
        assert self.run.recipe is not None
        return self.run.recipe.task.content

    @property
    def speaks(self) -> bool:
        """Whether they are language models, which answer with text."""
        assert self.run.recipe is not None
        return not tasks.card(self.run.recipe.task).new_head


def choose(ws: str) -> Chosen | None:
    """The run and its sides; None, with the next step on screen, while there is no model to try."""
    api = shell.api()
    runs = {run.id: run for run in api.playground.usable(ws)}
    if not runs:
        if shell.recorded():
            shell.empty("The recorded example holds results, not models: its weights would be too large to come with "
                        "Thaw. Train one comparison of your own to try its models here.")
        else:
            start.empty(ws, "There is no model to try yet. Train one first; then ask it, and the base model beside it.")
        return None
    run = runs[_run(ws, runs)]
    offered = [side for side in api.playground.sides(ws, run.id) if not side.reason]
    left_out = [side for side in api.playground.sides(ws, run.id) if side.reason]
    chosen = _sides(offered, run)
    for side in left_out:
        st.caption(f":material/block: {shell.escape(side.name)}: not here, as {shell.escape(side.reason)}.")
    return Chosen(run=run, sides=tuple(chosen))


def _run(ws: str, runs: Mapping[str, Run]) -> str:
    """The run that the address names, else the one that was looked at last, else the newest."""
    wanted = shell.opened("run").get("run", "")
    called = names.short(list(runs.values()), run_list.titles(ws))
    ids = list(runs)
    if st.session_state.get("try_run") not in runs or st.session_state.get("_try_linked") != wanted:
        st.session_state["try_run"] = wanted if wanted in runs else ids[0]
        st.session_state["_try_linked"] = wanted
    return str(st.selectbox("Run", ids, format_func=called.__getitem__, key="try_run"))


def _sides(offered: Sequence[Offered], run: Run) -> list[Offered]:
    """Up to four; at first the base model and the run itself."""
    by_text = {side.side.text: side for side in offered}
    own = [text for text, side in by_text.items() if side.side.run == run.id]
    tuned = Side(run=run.id).text
    first = list(dict.fromkeys([own[0], tuned if tuned in by_text else own[-1]]))
    picked = st.multiselect("Models, up to four", list(by_text), default=first, max_selections=MOST_SIDES,
                            format_func=lambda text: by_text[text].name, key=f"try_sides_{run.id}_{len(offered)}",
                            help="All are asked the same. Each is loaded from its own files, whose SHA-256 stands "
                                 "below the answers.")
    return [by_text[text] for text in picked]


def shape(ws: str, run: Run) -> Shape:
    """Whether a language run goes on with passages or answers in conversations."""
    return shell.api().playground.shape(ws, run.id)
