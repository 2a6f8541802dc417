"""Whether the runs' confidence means what it says, before and after temperature scaling."""

from __future__ import annotations

from collections.abc import Mapping

import streamlit as st

from core.domain.run import Interval, Result, Run
from core.planning import arms
from core.plots import reliability
from core.plots.numbers import measured
from pages._ui import charts, shell
from pages._ui.compare.parts import few
from pages._ui.words import word


def section(ws: str, runs: Mapping[str, tuple[Run, Result]], names: Mapping[str, str]) -> None:
    """A curve a run; nothing where no run classifies test rows."""
    if not any(run.recipe is None or run.recipe.task.labelled for run, _ in runs.values()):
        return
    st.header("Does confidence mean what it says?", help=word("calibration"))
    runs = few(runs, names, key="reliability")
    found = {names[id]: curve for id in runs if (curve := shell.api().runs.reliability(ws, id)) is not None}
    if not found:
        st.caption("None of these runs kept probabilities of test rows.")
        return
    looks = arms.looks([run for run, _ in runs.values()])
    named = {names[id]: looks[id] for id in runs}
    charts.show(reliability.chart(found, named), key="reliability")
    st.table({"Run": [shell.escape(name) for name in found],
              "Calibration error": [_interval(each.error) for each in found.values()],
              "Temperature": [f"{each.temperature:.2f}" if each.temperature else "-" for each in found.values()],
              "Calibration error at it": [_interval(each.scaled_error) for each in found.values()]},
             hide_index=True, border="horizontal")
    st.caption("Test rows in 15 bins of confidence, each with the 95 % interval of its share. A point below the dotted "
               "line was too sure of itself. The temperature was fitted on validation rows (Guo et al. 2017); it "
               "changes no answer. With fewer than 30 of them, none is fitted.")


def _interval(found: Interval | None) -> str:
    return "-" if found is None else measured(found.value, found.low, found.high)
