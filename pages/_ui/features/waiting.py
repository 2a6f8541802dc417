"""The Features page while there are no features yet: they are waited for, can be asked for, or cannot be had."""

from __future__ import annotations

from collections.abc import Mapping

import streamlit as st

from core.analysis import SECOND_ROWS, Availability
from core.domain.run import JobKind, Run, Status
from core.domain.side import Side
from core.plots.numbers import duration
from pages._ui import guard, live, shell
from pages._ui.features import guess

Known = Mapping[str, tuple[Run, Availability]]
"""Id of a run -> the run, and what there is of its features."""


def ready(ws: str, known: Known, labels: Mapping[str, str], a: Side, b: Side, rows: int, second: str = "") -> bool:
    """Whether both sides are on disk (second: at the rows of that second dataset); else the way to get them. Nothing is
    queued until a person asks for it."""
    missing = [id for id in (b.run, a.run) if not known[id][1].ready]
    if not missing:
        return True
    run, found = known[missing[0]]
    label = shell.escape(labels[run.id])
    if found.reason and run.status.final:
        shell.problem(f"{labels[run.id]} has nothing to compare.", found.reason, found.remedy)
        return False
    if found.reason:
        st.markdown(f":material/local_fire_department: **{label}** has not finished yet. Its features are made at "
                    "the end of the run; this page goes on by itself.")
        guard.fragment(_wait, run_every=live.POLL_S)(ws, run.id)
        shell.link("run", "Watch it", icon=":material/visibility:", run=run.id)
    elif found.job:
        st.markdown(f":material/hourglass_top: The features of **{label}** are being made. This page goes on by "
                    "itself.")
        guard.fragment(live.job_panel, run_every=live.POLL_S)(ws, found.job, "stop_features")
    else:
        _offer(ws, known, run, label, rows, second)
        return False
    _guess(run, a, b)
    return False


def _guess(run: Run, a: Side, b: Side) -> None:
    """Predict first, while something is made."""
    facts = shell.api().models.facts(run.recipe.base_model) if run.recipe else None
    if facts is not None:
        guess.ask(facts.block_names, a, b)


def _offer(ws: str, known: Known, run: Run, label: str, rows: int, second: str) -> None:
    """A button that makes what is missing, with what it takes, and what became of the last try."""
    api = shell.api()
    last = _last_job(ws, run, rows, second)
    if last is not None and last.status is not Status.DONE:
        live.failure(last)
    dataset = api.data.find(ws, second) if second else None
    rows_of = f" at up to {SECOND_ROWS} rows of {shell.escape(dataset.name)}" if dataset else ""
    words = {None: "were not made yet", Status.DONE: "were made, but the cache has let them go",
             Status.STOPPED: "were not made: that was stopped"}
    said = words.get(last.status if last else None, "could not be made")
    st.markdown(f":material/scatter_plot: The features of **{label}**{rows_of} {said}. The same rows go through the "
                "base model and the tuned model once each, and both are kept.")
    others = [] if second or last else _of_same_experiment(known, run)
    with st.container(horizontal=True):
        _button(ws, "Make its features", [run.id], rows, second, key="make_features", primary=True)
        if others:
            _button(ws, f"Make those of all {len(others) + 1} runs", [run.id, *others], rows, second,
                    key="make_all_features")


def _button(ws: str, words: str, ids: list[str], rows: int, second: str, *, key: str, primary: bool = False) -> None:
    api = shell.api()
    seconds = api.features.estimate_s(ws, ids, rows=rows, second=second)
    time = "" if seconds is None else f" (about {duration(round(seconds, -1) or 10)})"
    if st.button(words + time, type="primary" if primary else "secondary", icon=":material/play_arrow:", key=key):
        api.features.request(ws, ids, rows=rows, second=second)
        st.rerun()


def _last_job(ws: str, run: Run, rows: int, second: str) -> Run | None:
    """The newest job that was to extract these features."""
    for job in shell.api().runs.all(ws, kind=JobKind.FEATURES):
        told = job.payload
        if run.folder in told.get("runs", ()) and told.get("rows") == rows and told.get("beside", "") == second:
            return job
    return None


def _of_same_experiment(known: Known, run: Run) -> list[str]:
    """Ids of its other runs whose features could be extracted."""
    return [other.id for other, found in known.values() if other.experiment == run.experiment and other.id != run.id
            and not (found.ready or found.reason or found.job)]


def _wait(ws: str, run_id: str) -> None:
    with shell.guarded():
        run, story = live.follow(ws, run_id)
        if run.status.final:
            st.rerun()
        live.bar(run, story)
