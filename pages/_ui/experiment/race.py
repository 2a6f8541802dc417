"""The race: runs that train, on one chart at equal shares of their steps, and which of them may as well be stopped."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import streamlit as st

from core.analysis.race import Behind
from core.api.experiments import Race
from core.domain.recipe import Recipe
from core.domain.run import Run, Status
from core.planning import arms
from core.plots import curves
from core.plots.curves import Line
from core.plots.numbers import percent
from core.plots.theme import Chart
from pages._ui import charts, shell
from pages._ui.words import word


def choice(recipes: Sequence[Recipe], *, key: str) -> bool:
    """Whether these runs are to advance in turns; asked where at least two are trained step by step."""
    stepping = [recipe for recipe in recipes if shell.api().trials.has_steps(recipe.method)]
    return len(stepping) > 1 and st.checkbox("Race: the runs advance in turns", key=key, help=word("in turns"))


def panel(ws: str, members: Sequence[Run], called: Mapping[str, str]) -> None:
    """Nothing while there is no race. For a fragment."""
    found = shell.api().experiments.race(ws, members)
    if found is None:
        return
    with st.container(border=True, key="race"):
        st.header("The race", help=word("race"))
        charts.show(_chart(found, members, called), key="race_chart")
        for one in found.behind:
            _proposal(ws, one, called, waits=any(run.id == one.run and run.status is Status.QUEUED for run in members))
        if not found.behind:
            st.caption("No run is so far behind that its validation rows could not explain it.")


def _chart(found: Race, members: Sequence[Run], called: Mapping[str, str]) -> Chart:
    looks = arms.looks(members)
    runs = {run.id: run for run in members}
    return curves.overlay([Line(name=called[lane.run], x=lane.shares, y=lane.scores, own_look=looks[lane.run],
                                index=arms.index(runs[lane.run].recipe)) for lane in found.lanes],
                          x=curves.SHARE, metric=found.metric, height=320)


def _proposal(ws: str, one: Behind, called: Mapping[str, str], *, waits: bool) -> None:
    """A run that is far behind, with the button that stops it. waits: for its next turn."""
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.markdown(f":material/hourglass_disabled: **{shell.escape(called[one.run])}** is far behind "
                    f"**{shell.escape(called[one.leader])}** at {percent(one.share)} of its steps: {one.score:.2f} "
                    f"against {one.best:.2f}, more than its {one.rows:,} validation rows explain.", width="stretch")
        if st.button("Stop it", icon=":material/stop:", key=f"race_stop_{one.run}",
                     help=("It waits for its next turn and ends at once, without test results. " if waits else
                           "Keeps its best checkpoint and judges it on the test rows. ")
                          + "Resume goes on from there. It may catch up: runs that learn late do."):
            shell.api().runs.stop(ws, one.run)
            st.rerun(scope="fragment")
