"""What can be done to a whole experiment: stop, resume, rename, duplicate with changes, delete; and what comes next."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NoReturn

import streamlit as st

from core.domain.run import Run, Status
from core.metrics import primary
from core.models.methods import REGISTRY
from core.planning import names
from core.plots.numbers import measured
from pages._ui import guard, share, shell
from pages._ui.experiment import results
from pages._ui.train import prefill

if TYPE_CHECKING:
    from core.store.experiments import Experiment


BESIDE = "beside"
"""Parameter of an experiment's address: ids of runs whose results stand beside its own."""


def started(ws: str, ids: Sequence[str], *, by: str, beside: Sequence[str] = ()) -> NoReturn:
    """Open the experiment of runs that have just been started. by: the page to return to when that is undone. beside:
    runs whose results are to stand beside theirs."""
    prefill.forget()
    experiment = shell.api().runs.get(ws, ids[0]).experiment
    if experiment is None:
        shell.go("run", run=ids[0])
    st.session_state[f"started_from_{experiment}"] = by
    shell.go("experiment", experiment=experiment, **({BESIDE: ",".join(beside)} if beside else {}))


def bar(ws: str, experiment: Experiment, members: Sequence[Run]) -> None:
    """The actions that make sense now, as one row of buttons."""
    if shell.recorded():  # nothing in it can be changed
        return
    api = shell.api()
    if any(run.imported for run in members):
        share.imported(ws, members, experiment=experiment.name)
        with st.container(horizontal=True, gap="small"):
            _delete_button(ws, experiment, members)
        return
    open_ = [run for run in members if not run.status.final]
    again = [run for run in members if run.worth_resuming]
    with st.container(horizontal=True, gap="small"):
        waiting = sum(run.status is Status.QUEUED for run in open_)
        if waiting and st.button("Pause", icon=":material/pause:", key="pause_all",
                                 help="What is under way goes on to its end. "
                                      + ("The run that waits leaves" if waiting == 1 else
                                         f"The {waiting} runs that wait leave") + " the queue until you press "
                                      "Resume."):
            with shell.guarded():
                api.experiments.pause(ws, experiment.id)
                st.rerun()
        if open_ and st.button("Stop all", icon=":material/stop:", key="stop_all",
                               disabled=all(run.status is Status.STOPPING for run in open_),
                               help="Waiting runs end at once; those under way keep and judge their best checkpoint. "
                                    "They can be resumed."):
            with shell.guarded():
                api.experiments.stop(ws, experiment.id)
                st.rerun()
        if again and st.button(f"Resume {len(again)} run{'s' * (len(again) > 1)}", icon=":material/play_arrow:",
                               key="resume_all", type="primary",
                               help="Those that were stopped or interrupted go on from their last checkpoint. Runs "
                                    "that would fail in the same way again are left alone."):
            _resume(ws, experiment, members)
        if st.button("Duplicate with changes", icon=":material/content_copy:", key="duplicate",
                     help="Opens the Train page with these recipes: change whatever you like, and start it as a new "
                          "experiment."):
            with shell.guarded():
                prefill.train(ws, experiment.name, members)
                shell.go("train")
        st.button("Rename", icon=":material/edit:", key="rename_all",
                  on_click=guard.callback(guard.open_dialog(f"rename {experiment.id}")))
        if guard.is_open(f"rename {experiment.id}"):
            _rename(ws, experiment)
        _delete_button(ws, experiment, members)


def _delete_button(ws: str, experiment: Experiment, members: Sequence[Run]) -> None:
    if st.button("Delete", icon=":material/delete:", key="delete_all", help="Asks before it deletes.",
                 on_click=guard.callback(guard.close_dialog)):
        _delete(ws, experiment, members)


def next_steps(members: Sequence[Run]) -> None:
    """When all have ended: where to go from here."""
    ready = [run for run in members if shell.api().runs.has_result(run)]
    if not ready:
        return
    called = names.short(members)
    with st.container(horizontal=True, vertical_alignment="center", gap="medium"):
        st.markdown(f":material/bar_chart: [See results](#{results.ANCHOR})", width="content")
        inside = next((run for run in ready if _moves(run)), ready[0])
        shell.link("features", "See inside", icon=":material/scatter_plot:", run=inside.id)
        if shell.recorded() or any(run.imported for run in members):  # there is no model in it
            return
        with st.popover("Use it", icon=":material/download:"):
            st.caption("Predictions, downloads and code of one trained model:")
            for run in ready:
                shell.link("run", shell.escape(called[run.id]) + score(run), run=run.id)


def _moves(run: Run) -> bool:
    """Whether the method changes the model's features: a solved head leaves them as they were."""
    return run.recipe is not None and run.recipe.method in REGISTRY and not REGISTRY[run.recipe.method].card.solved


def score(run: Run) -> str:
    """What it reached on test rows, to stand behind its name; empty where there is nothing."""
    result = shell.api().runs.result_of(run)
    scores = result.metrics.get("test", {}) if result else {}
    metric = primary(scores)
    if metric is None:
        return ""
    found = scores[metric.name]
    return f" · {measured(found.value, found.low, found.high)}"


def _resume(ws: str, experiment: Experiment, members: Sequence[Run]) -> None:
    with shell.guarded():
        refused = shell.api().experiments.resume(ws, experiment.id)
        if not refused:
            st.rerun()
        called = names.short(members)
        for id, error in refused.items():
            shell.problem(f"{called[id]}: {error.what}", error.why, error.remedy)


@guard.dialog("Rename the experiment", on_dismiss=guard.close_dialog)
def _rename(ws: str, experiment: Experiment) -> None:
    name = st.text_input("New name", value=experiment.name, max_chars=80, key="rename_all_text")
    if st.button("Save", type="primary", key="rename_all_yes"):
        with shell.guarded():
            shell.api().experiments.rename(ws, experiment.id, name or "")
            guard.close_dialog()
            st.rerun()


@guard.dialog("Delete this experiment?")
def _delete(ws: str, experiment: Experiment, members: Sequence[Run]) -> None:
    open_ = sum(not run.status.final for run in members)
    st.markdown(f"**{shell.escape(experiment.name)}** with its {len(members)} run{'s' * (len(members) > 1)}, their "
                "curves, predictions, checkpoints and artifacts will be gone for good."
                + (f" {open_} of them {'are' if open_ > 1 else 'is'} still under way and will end at once."
                   if open_ else ""))
    with st.container(horizontal=True):
        if st.button("Delete", type="primary", icon=":material/delete:", key="delete_all_yes"):
            with shell.guarded():
                shell.api().experiments.delete(ws, experiment.id)
                shell.go("runs")
        if st.button("Keep it", key="delete_all_no"):
            st.rerun()
