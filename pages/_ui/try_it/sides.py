"""Which run, and which models beside each other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import streamlit as st

from core import tasks
from core.analysis import strength_files
from core.api import MOST_SIDES, Offered
from core.domain.dataset import Content, Shape
from core.domain.model import Weights
from core.domain.run import Run
from core.domain.side import Side
from core.errors import RecipeError
from core.models import methods
from core.planning import names
from pages._ui import shell, start
from pages._ui.runs import run_list
from pages._ui.words import word

GRID = (0.0, 0.25, 0.5, 0.75, 1.0, 1.25, 1.5)


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
    chosen += _strengths(ws, run, MOST_SIDES - len(chosen))
    for side in left_out:
        st.caption(f":material/block: {shell.escape(side.name)}: not here, as {shell.escape(side.reason)}.")
    return Chosen(run=run, sides=tuple(chosen))


def _run(ws: str, runs: Mapping[str, Run]) -> str:
    """The run that the address names, else the one that was looked at last, else the newest that was pretrained."""
    wanted = shell.opened("run").get("run", "")
    called = names.short(list(runs.values()), run_list.titles(ws))
    ids = list(runs)
    if st.session_state.get("try_run") not in runs or st.session_state.get("_try_linked") != wanted:
        st.session_state["try_run"] = wanted if wanted in runs else first(runs)
        st.session_state["_try_linked"] = wanted
    return str(st.selectbox("Run", ids, format_func=called.__getitem__, key="try_run"))


def first(runs: Mapping[str, Run]) -> str:
    """Of the runs, newest first, the first one that began with pretrained weights; one from scratch says little."""
    fresh = {run.id for run in runs.values() if run.recipe is not None and run.recipe.method in methods.REGISTRY
             and methods.card_of(run.recipe.method).weights is Weights.FRESH}
    return next((id for id in runs if id not in fresh), next(iter(runs)))


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


def _strengths(ws: str, run: Run, room: int) -> list[Offered]:
    """The run itself with its trained change turned up or down, as many as there is room for."""
    if run.recipe is None or strength_files.refusal(run.recipe) or methods.card_of(run.recipe.method).solved:
        return []
    texts = st.multiselect("The run itself also at strength", [f"{value:g}" for value in GRID], accept_new_options=True,
                           max_selections=MOST_SIDES, key=f"try_strengths_{run.id}", placeholder="0 to 1, or beyond",
                           help=f"{word('strength')} 0 answers as the base model and 1 as the run, to the last bit in "
                                "32 bits. Type any number from −0.5 to 1.5.")
    found: list[Offered] = []
    with shell.guarded():
        for text in texts:
            found.append(shell.api().playground.at_strength(ws, run.id, number(text)))
    if len(found) > room:
        st.caption(f":material/block: Up to {MOST_SIDES} models are asked together; "
                   f"left out: {', '.join(shell.escape(one.name) for one in found[room:])}.")
    return found[:room]


def number(text: str) -> float:
    """Raises RecipeError for what is none."""
    try:
        return float(text.strip().replace(",", ".").replace("−", "-"))
    except ValueError as error:
        raise RecipeError(f"{text[:20]} is no strength.", why="It is not a number.",
                          remedy="Type a number from −0.5 to 1.5.") from error


def shape(ws: str, run: Run) -> Shape:
    """Whether a language run goes on with passages or answers in conversations."""
    return shell.api().playground.shape(ws, run.id)
