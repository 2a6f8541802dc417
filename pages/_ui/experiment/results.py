"""Results of runs side by side, for any choice of runs: how good, how fast, which errors, what differs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import streamlit as st

from core.domain.run import JobKind, Run
from core.planning import names
from pages._ui import share, shell
from pages._ui.compare import judged, narrow, parts, reliability, table, tradeoff
from pages._ui.runs import run_list, tally

ANCHOR = "results"


def choose(ws: str, members: Sequence[Run], *, key: str) -> list[str]:
    """The runs to compare: those of the address, else all finished ones of these; kept in the address.

    A choice that nobody has touched grows as runs finish. Empty, and nothing drawn, while no run has a result.
    """
    every = {run.id: run for run in shell.api().runs.all(ws, kind=JobKind.TRAIN)}
    ready = [id for id in every if shell.api().runs.has_result(every[id])]
    if not ready:
        return []
    titles, state = run_list.titles(ws), st.session_state
    labels = names.short([every[id] for id in ready], titles) | names.short(members, titles)
    own = [run.id for run in members if run.id in ready]
    linked = [id for id in st.query_params.get("runs", "").split(",") if id in every]
    asked = [id for id in linked if id in ready]
    if key not in state or (asked and asked != state.get(f"{key}_kept")):
        state[key] = asked if linked else own
    elif list(state[key]) == state.get(f"{key}_offered"):
        state[key] = own
    state[key] = [id for id in state[key] if id in ready]
    labels |= names.short([every[id] for id in state[key]], titles)
    picked = list(st.multiselect("Runs", ready, key=key, format_func=labels.__getitem__,
                                 help="Every run with a result can be added, also of other experiments."))
    state[f"{key}_offered"], state[f"{key}_kept"] = own, picked
    if picked != asked:
        if set(picked) == set(own):
            st.query_params.pop("runs", None)
        elif picked:
            st.query_params["runs"] = ",".join(picked)
    return picked


def draw(ws: str, members: Sequence[Run], ids: Sequence[str]) -> None:
    """Everything that is told of the runs of these ids; those of `members` that are not among them are named."""
    _left_out(members, ids)
    if not ids:
        st.caption("Choose at least one run.")
        return
    runs, titles = parts.load(ws, ids), run_list.titles(ws)
    called = names.short([run for run, _ in runs.values()], titles)
    share_ids = [*runs, *(run.id for run in members if run.id not in ids and not shell.api().runs.has_result(run))]
    share.popover(ws, share_ids)
    runs, looks = narrow.choose(runs, called)
    if not runs:
        st.caption("No run passes the filter.")
        return
    comparison = shell.api().experiments.compare(ws, list(runs), rows_only=True)
    parts.same_rows(runs, called)
    table.table(runs, called, _without(members, ids, titles), looks=looks)
    table.seeds(ws, runs)
    metric = parts.quality(runs, called, looks.of)
    tradeoff.section(ws, runs, looks)
    parts.over_rows(ws, runs, metric)
    parts.learned_and_forgot(ws, runs)
    parts.paired(ws, runs, called, metric)
    parts.learning(ws, runs, called)
    parts.confusions(ws, runs, called)
    reliability.section(ws, runs, called)
    judged.section(ws, runs, called)
    parts.differences(comparison, runs, called)


def _left_out(members: Sequence[Run], ids: Sequence[str]) -> None:
    """Name the runs of the experiment that are not in the results, and why."""
    called = names.short(members)
    missing = [f"{shell.escape(called[run.id])} ({shell.escape(_reason(run))})" for run in members if run.id not in ids]
    if missing:
        st.caption(f":material/info: Not in these results: {'; '.join(missing)}.")


def _without(members: Sequence[Run], ids: Sequence[str], titles: Mapping[str | None, str]) -> dict[str, str]:
    """Name -> how it ended, of the runs that ended without a result: where all others are chosen, they stand in the
    table, too."""
    ended = [run for run in members if run.status.final]
    missing = [run for run in ended if run.id not in ids]
    if any(shell.api().runs.has_result(run) for run in missing):
        return {}
    called = names.short(members, titles)
    return {called[run.id]: _reason(run) for run in missing}


def _reason(run: Run) -> str:
    if not run.status.final:
        return "still under way"
    text = tally.why(run).rstrip(".")
    return f"{run.status.value}: {text}" if text else "not chosen"
