"""Runs that are there already: offered in the place of a repetition, before the start and on the experiment's page."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from core.domain.recipe import Recipe
from core.domain.run import Run
from core.planning import names
from core.plots.numbers import about
from pages._ui import shell
from pages._ui.experiment import actions
from pages._ui.words import word

NAMED = 12
"""Runs that are named one by one."""


def offer(ws: str, recipes: Sequence[Recipe], *, key: str) -> list[Run | None]:
    """For each recipe the run that takes its place; None where it is to be trained. Says which were found, and asks
    whether to train them again."""
    found = shell.api().experiments.ran_before(ws, recipes)
    there = [run for run in found if run is not None]
    if not there:
        return found
    with st.container(border=True, key=f"{key}_box"):
        stand = "It takes part as it is and is" if len(there) == 1 else "They take part as they are and are"
        which = ("This run" if len(recipes) == 1 else f"All {len(recipes)} runs" if len(there) == len(recipes)
                 else f"{len(there)} of {len(recipes)} runs")
        st.markdown(f":material/history: **{which} ran before**, with the same recipe on "
                    f"the same data. {stand} not repeated.{_rest(ws, recipes, found)}", help=word("ran before"))
        links(there)
        again = st.toggle("Train them again", key=key)
    return [None] * len(found) if again else found


def split(ws: str, recipes: Sequence[Recipe], *, key: str) -> tuple[list[Recipe], list[Run]]:
    """The recipes that are left to train, and the runs in the place of the others. Ends the page where none is left."""
    found = offer(ws, recipes, key=key)
    there = [run for run in found if run is not None]
    left = [recipe for recipe, run in zip(recipes, found, strict=True) if run is None]
    if not left:
        nothing_left(there)
        shell.stop()
    return left, there


def links(runs: Sequence[Run]) -> None:
    """A link a run, with what it reached."""
    called, each = names.short(runs), list({run.id: run for run in runs}.values())
    with st.container(horizontal=True, gap="small"):
        for run in each[:NAMED]:
            shell.link("run", shell.escape(called[run.id]) + actions.score(run), icon=":material/chevron_right:",
                       run=run.id)
        if len(each) > NAMED:
            shell.link("compare", f"all {len(each)}", icon=":material/compare_arrows:",
                       runs=",".join(run.id for run in each))


def _rest(ws: str, recipes: Sequence[Recipe], found: Sequence[Run | None]) -> str:
    """How long the others take; empty where there are none, or nothing is known."""
    left = [recipe for recipe, run in zip(recipes, found, strict=True) if run is None]
    seconds = shell.api().experiments.seconds(ws, left) if left else None
    if seconds is None:
        return ""
    return f" The other {len(left)} take{'s' * (len(left) == 1)} {about(seconds)}."


def nothing_left(runs: Sequence[Run]) -> None:
    """In the place of the start, where every run is there."""
    st.success("Nothing is left to train: every run of this is done.", icon=":material/check_circle:")
    shell.link("compare", "Compare them", icon=":material/compare_arrows:", runs=",".join(run.id for run in runs))


def beside(ws: str, id: str) -> list[Run]:
    """The runs of other experiments that belong to this one: of its question, or named by the address."""
    named = st.query_params.get(actions.BESIDE, "").split(",")
    there = {run.id: run for run in shell.api().experiments.taken(ws, id)}
    if any(named):
        there |= {run.id: run for run in shell.api().runs.all(ws) if run.id in named}
    return list(there.values())


def panel(runs: Sequence[Run]) -> None:
    """Which these are; nothing where there are none."""
    if runs:
        st.caption(f":material/history: {len(runs)} run{'s' * (len(runs) > 1)} from before take"
                   f"{'s' * (len(runs) == 1)} part:")
        links(runs)
