"""Results of runs side by side, for any choice of runs: how good, how fast, which errors, what differs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import streamlit as st

from core.domain.run import JobKind, Run
from core.planning import names
from pages._ui import shell
from pages._ui.compare import judged, parts, table
from pages._ui.runs import run_list, tally

ANCHOR = "results"


def section(ws: str, members: Sequence[Run], *, experiment: str | None) -> None:
    """Below the rows, as soon as one run is finished: the choice of runs and everything that is told of them."""
    api = shell.api()
    every = {run.id: run for run in api.runs.all(ws, kind=JobKind.TRAIN)}
    ready = [id for id in every if api.runs.has_result(every[id])]
    own = [run.id for run in members if run.id in ready]
    if not own:
        return
    st.header("Results", anchor=ANCHOR, divider="gray")
    titles = run_list.titles(ws)
    labels = names.short([every[id] for id in ready], titles) | names.short(members, titles)
    ids = _choose(ready, own, labels, key=f"choice_{experiment}")
    _left_out(members, ids)
    if not ids:
        st.caption("Choose at least one run.")
        return
    runs = parts.load(ws, ids)
    called = names.short([run for run, _ in runs.values()], titles)
    comparison = api.experiments.compare(ws, list(runs))
    parts.same_rows(runs, called)
    whole = set(own) <= set(ids)
    table.table(runs, called, _without(members, ready, titles) if whole else {})
    table.seeds(ws, runs)
    metric = parts.quality(runs, called)
    parts.over_rows(ws, runs, metric)
    parts.paired(ws, runs, called, metric)
    parts.learning(comparison, runs, called)
    parts.confusions(ws, comparison, runs, called)
    judged.section(ws, runs, called)
    parts.differences(comparison, runs, called)


def _choose(ready: Sequence[str], own: Sequence[str], labels: dict[str, str], *, key: str) -> list[str]:
    """The runs to compare: those of the address, else all finished ones of the experiment; kept in the address.

    A choice that nobody has touched grows as runs finish.
    """
    state = st.session_state
    asked = [id for id in st.query_params.get("runs", "").split(",") if id in ready]
    before = state.get(f"{key}_offered")
    if key not in state or (asked and asked != state.get(f"{key}_kept")):
        state[key] = asked or list(own)
    elif before is not None and list(state[key]) == before:
        state[key] = list(own)
    state[key] = [id for id in state[key] if id in ready]
    picked = list(st.multiselect("Runs", ready, key=key, format_func=labels.__getitem__,
                                 help="Every run with a result can be added, also of other experiments."))
    state[f"{key}_offered"] = list(own)
    if picked and set(picked) != set(own):
        state[f"{key}_kept"] = picked
        st.query_params["runs"] = ",".join(picked)
    return picked


def _left_out(members: Sequence[Run], ids: Sequence[str]) -> None:
    """Name the runs of the experiment that are not in the results, and why."""
    called = names.short(members)
    missing = [f"{shell.escape(called[run.id])} ({shell.escape(_reason(run))})" for run in members if run.id not in ids]
    if missing:
        st.caption(f":material/info: Not in these results: {'; '.join(missing)}.")


def _without(members: Sequence[Run], ready: Sequence[str], titles: Mapping[str | None, str]) -> dict[str, str]:
    """Name -> how it ended, of the runs that ended without a result: they stand in the table of a
    whole experiment, too."""
    called = names.short(members, titles)
    return {called[run.id]: _reason(run) for run in members if run.status.final and run.id not in ready}


def _reason(run: Run) -> str:
    if not run.status.final:
        return "still under way"
    text = tally.why(run).rstrip(".")
    return f"{run.status.value}: {text}" if text else "not chosen"
