"""What a person can do to a run: stop, resume, fork, rename, delete, read its log."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import streamlit as st

from core import tasks
from core.domain import freeze
from core.domain.run import Run, Status
from core.errors import RecipeError
from core.models.methods import REGISTRY
from core.planning import names
from pages._ui import guard, live, share, shell
from pages._ui.experiment import actions as experiment
from pages._ui.train import recipe_form
from pages._ui.words import word


def bar(ws: str, run: Run) -> None:
    """The actions that make sense in the run's present state, as one row of buttons."""
    if shell.recorded():  # nothing in it can be changed
        return
    if run.imported:
        share.imported(ws, [run])
        return
    api = shell.api()
    with st.container(horizontal=True, gap="small"):
        if not run.status.final and st.button("Stop", icon=":material/stop:", key="stop",
                                              disabled=run.status is Status.STOPPING,
                                              help="Keeps the best checkpoint and judges it on the test rows."):
            _then_redraw(api.runs.stop, ws, run.id)
        if (run.position or 1) > 1 and st.button(
                "Run next", icon=":material/vertical_align_top:", key="put_first",
                help="It starts before your other runs that wait. Runs of other people keep their turns."):
            _then_redraw(api.runs.put_first, ws, run.id)
        if run.worth_resuming and st.button("Resume", icon=":material/play_arrow:", key="resume", type="primary",
                                            help=word("resume")):
            _then_redraw(api.runs.resume, ws, run.id)
        again = run.status.resumable and not run.worth_resuming
        if run.recipe and st.button("Fork", icon=":material/fork_right:", key="fork", help=word("fork"),
                                    on_click=guard.callback(guard.close_dialog),
                                    type="primary" if again else "secondary"):
            _fork(ws, run)
        if run.status in live.BROKEN and st.button(
                "Report", icon=":material/assignment:", key="report", on_click=guard.callback(guard.close_dialog),
                help="What went wrong, with versions, device, recipe and the end of the log: to copy or to save."):
            _report(ws, run)
        if again and st.button("Resume", icon=":material/replay:", key="resume",
                               help="The same recipe will most likely fail in the same way: change what the message "
                                    "names with Fork. " + word("resume")):
            _then_redraw(api.runs.resume, ws, run.id)
        st.button("Rename", icon=":material/edit:", key="rename",
                  on_click=guard.callback(guard.open_dialog(f"rename {run.id}")))
        if guard.is_open(f"rename {run.id}"):
            _rename(ws, run)
        st.download_button("Log", data=guard.made(lambda: api.runs.log(ws, run.id)), file_name=f"{run.id}.log.txt",
                           mime="text/plain", on_click="ignore", icon=":material/description:", key="log",
                           help="Everything the run wrote, tracebacks included.")
        running = run.status in (Status.RUNNING, Status.STOPPING)
        if st.button("Delete", icon=":material/delete:", key="delete", disabled=running,
                     on_click=guard.callback(guard.close_dialog),
                     help="Stop the run first." if running else "Asks before it deletes."):
            _delete(ws, run)


def _then_redraw(action: Callable[[str, str], object], ws: str, run_id: str) -> None:
    with shell.guarded():
        action(ws, run_id)
        st.rerun()


@guard.dialog("Delete this run?")
def _delete(ws: str, run: Run) -> None:
    st.markdown(f"**{shell.escape(names.one(run))}** with its curves, predictions, checkpoints and artifact will be "
                "gone for good.")
    with st.container(horizontal=True):
        if st.button("Delete", type="primary", icon=":material/delete:", key="delete_yes"):
            with shell.guarded():
                shell.api().runs.delete(ws, run.id)
                if run.experiment is not None and shell.api().experiments.runs(ws, run.experiment):
                    shell.go("experiment", experiment=run.experiment)
                shell.go("runs")
        if st.button("Keep it", key="delete_no"):
            st.rerun()


@guard.dialog("A report to hand on", width="large")
def _report(ws: str, run: Run) -> None:
    st.caption("Without rows of your data, folders, addresses and keys. Copy it with the button at its corner, or save "
               "it; read it before you hand it on.")
    with st.spinner("Looking through the log…"):
        text = shell.api().runs.report(ws, run.id)
    st.download_button("Save", data=text, file_name=f"thaw-report-{run.id}.txt", mime="text/plain", on_click="ignore",
                       icon=":material/download:", key="report_save")
    st.code(text, language=None, wrap_lines=True, height=400)


@guard.dialog("Rename", on_dismiss=guard.close_dialog)
def _rename(ws: str, run: Run) -> None:
    name = st.text_input("New name", value=names.given(run) or "", max_chars=200, key="rename_text",
                         placeholder=names.whole(run), help="Shown everywhere in place of the name from the recipe.")
    if st.button("Save", type="primary", key="rename_yes"):
        with shell.guarded():
            if not (name or "").strip():
                raise RecipeError("A run needs a name.", remedy="Type at least one character.")
            shell.api().runs.rename(ws, run.id, name.strip())
            guard.close_dialog()
            st.rerun()


@guard.dialog("Fork: a new run from this recipe", width="large")
def _fork(ws: str, run: Run) -> None:
    if run.recipe is None:
        return
    st.caption("The run you see stays as it is. What you change here starts as a new run.")
    method = REGISTRY.get(run.recipe.method)
    knobs = [field for field in (method.card.knobs if method else ()) if tasks.card(run.recipe.task).uses(field)]
    facts = shell.api().models.facts(run.recipe.base_model)
    spec = None
    if facts and "freeze" in knobs:
        now = freeze.describe(run.recipe.freeze, facts.block_names)
        spec = st.text_input("Freeze plan", key=f"fork_freeze_{run.id}", placeholder=now,
                             help="none, all-but-head, lower-half, every-other, top-2, or blocks such as embeddings, "
                                  "0-3. Empty keeps the plan.")
    edited = recipe_form.edit(run.recipe, knobs, key=f"fork_{run.id}")
    if st.button("Start the fork", type="primary", icon=":material/play_arrow:", key="fork_yes"):
        with shell.guarded():
            if facts and spec:
                plan = freeze.parse(spec, facts.block_names)
                edited = edited.replace(freeze=replace(edited.freeze, frozen=plan.frozen))
            experiment.started(ws, [shell.api().runs.fork(ws, run.id, edited)], by="run")
