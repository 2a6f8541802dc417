"""One run: its siblings, what it is doing, its curves, what it measured, its recipe."""

from __future__ import annotations

import streamlit as st

from core import tasks
from core.domain.run import JobKind, Result, Run, Status
from core.errors import NotFoundError
from core.metrics import METRICS, primary
from core.planning import names
from core.planning.knobs import KNOBS, value
from core.plots import curves as curve_plots
from core.plots.numbers import count, duration, measured, share, size
from core.share import results
from pages._ui import charts, guard, leaks, live, shell, teaching
from pages._ui.compare import judged
from pages._ui.runs import changed, samples, tally, verdict
from pages._ui.train import recipe_form
from pages._ui.words import word

SEEN_S = 20.0
"""Seconds after which a page of a run that has ended looks whether the run is still there."""


def heading(ws: str, run: Run) -> None:
    """What the run is called, and below it all that its name leaves out."""
    title = next((e.name for e in shell.api().experiments.all(ws) if e.id == run.experiment), "")
    shell.title(names.one(run))
    st.caption(shell.escape(" · ".join(part for part in (title, names.derived(run)) if part)))


def siblings(ws: str, run: Run) -> None:
    """The other runs of the same experiment, one click away."""
    if run.experiment is None:
        return
    members = [r for r in reversed(shell.api().runs.all(ws, kind=JobKind.TRAIN)) if r.experiment == run.experiment]
    if len(members) < 2:
        return
    called = names.short(members)
    with st.container(horizontal=True, gap="small", vertical_alignment="center"):
        for member in members:
            _, icon = live.STATUS[member.status]
            if st.button(called[member.id], icon=icon, key=f"sibling_{member.id}", type="tertiary",
                         help=names.whole(member), disabled=member.id == run.id):
                shell.go("run", run=member.id)


def damage(ws: str, run: Run) -> None:
    """Files of the run that cannot be read, each with what is lost."""
    for name, why in shell.api().runs.damage(ws, run.id).items():
        again = f"{'Resume' if run.status.resumable else 'Fork'} the run to make it anew, or delete it."
        shell.problem(f"{name} of this run is damaged.", f"{why}. What stands in it is not shown; everything else is.",
                      again)


def panel(ws: str, run: Run) -> None:
    """The live part; polls only while the run is not final."""
    guard.fragment(_panel, run_every=None if run.status.final else live.POLL_S)(ws, run.id, run.status.final)
    if run.status.final:
        guard.fragment(_still_there, run_every=SEEN_S)(ws, run.id)


def _still_there(ws: str, run_id: str) -> None:
    """Deleted elsewhere: the page is drawn again, without its buttons, and says so."""
    try:
        shell.api().runs.get(ws, run_id)
    except NotFoundError:
        st.rerun()


def _panel(ws: str, run_id: str, was_final: bool) -> None:
    with shell.guarded():
        _still_there(ws, run_id)
        run, state = live.follow(ws, run_id)
        shown = st.session_state.setdefault(f"status_{run_id}", run.status)
        if run.status.final != was_final or run.status is not shown:
            st.session_state[f"status_{run_id}"] = run.status
            st.rerun()
        with st.container(horizontal=True, gap="xsmall"):
            live.badge(run)
            live.stepper(run, state)
        live.failure(run)
        if not run.status.final:
            when = shell.api().experiments.outlook(ws, [run]).runs.get(run_id)
            live.bar(run, state, more=tally.starts(when) if run.status is Status.QUEUED else "")
            live.vitals(run, state, left_s=when.ends_s if when and run.started else None)
        result = shell.api().runs.result(ws, run_id, complete=True) if run.status.final else None
        if result:
            verdict.card(ws, run)
            measurements(ws, run, result, planned=_planned(run, state))
            changed.section(ws, run, result)
        data = results.run_curves(shell.api().runs.curves(ws, run_id))
        if run.status is Status.DONE and not data.steps:
            scored = f" {data.metric.heading('validation')}: {data.scores[-1]:.3f}." if data.scores else ""
            how = "is solved in one go" if run.recipe is None or run.recipe.task.labelled else "trains nothing"
            st.caption(f"This method {how}, so there is no learning curve.{scored}")
        elif not data.empty:
            total = state.step.get("total_steps")
            drawn = ("curves", ws, run_id, run.attempts, len(data.steps), len(data.scores), total, run.status.final)
            chart = charts.kept(drawn, lambda: curve_plots.run_chart(data, total_steps=total, ended=run.status.final))
            if data.drawable:
                charts.show(chart, key=f"curves_{run_id}")
            else:  # one dot is no chart
                st.markdown(f"**{shell.escape(chart.title)}**")
        samples.section(ws, run)
        teaching.of_run(ws, run)
        for note in state.notes:
            st.caption(f":material/info: {shell.escape(note)}")


def _planned(run: Run, state: live.RunState) -> int | None:
    """Steps that a run which was ended early would have made; None for one that made them all."""
    total = state.step.get("total_steps")
    return int(total) if total and run.status is not Status.DONE and state.step.get("step", 0) < total else None


def measurements(ws: str, run: Run, result: Result, *, planned: int | None = None) -> None:
    """What the finished run measured, intervals included.

    planned: steps that it would have made, of a run that was ended early.
    """
    st.header("Measured")
    if "test" not in result.metrics:
        st.info("This run has no test score, since its dataset has no test row.", icon=":material/info:")
    for split, scores in result.metrics.items():
        texts = {metric: measured(found.value, found.low, found.high) for metric in METRICS
                 if (found := scores.get(metric.name))}
        base = result.base.get(split, {})
        if split == "validation":
            said = ", ".join(f"{metric.label} {text}" for metric, text in texts.items())
            st.caption(f"On validation rows, which also chose the checkpoint: {said}.")
            continue
        with st.container(horizontal=True, gap="small", key=f"tiles_{split}"):
            for metric, text in texts.items():
                beside = base.get(metric.name)
                st.metric(metric.heading(split), text, width=190 if beside else 230,
                          help=f"{metric.explanation} {word('interval')}",
                          delta=f"untouched {measured(beside.value, beside.low, beside.high)}" if beside else None,
                          delta_color="off", delta_arrow="off")
        leaks.caption(ws, [run], [split])
    with st.container(horizontal=True, gap="small", key="tiles_cost"):
        trained = share(result.trainable_params, result.total_params)
        st.metric("Trained parameters", f"{count(result.trainable_params)} ({trained})",
                  width=235, help=word("trained parameters"))
        st.metric("Memory at peak", size(result.peak_memory_bytes), width=125,
                  help="Measured, the highest moment. " + word("memory"))
        st.metric("Memory estimated", size(result.estimated_memory_bytes), width=145,
                  help="What was said before the start. " + word("memory"))
        st.metric("Artifact", size(result.artifact_bytes), width=90, help=word("artifact"))
        alone = "Without downloads; passes over the base model that runs share are counted, whoever ran them."
        st.metric("Time alone", duration(result.seconds), width=115, help=alone)
        if result.marginal_seconds is not None:
            st.metric("Time added", duration(result.marginal_seconds), width=115,
                      help="Without the passes that other runs share.")
    peaks = result.phase_memory_bytes
    most = f" · peak of memory in {max(peaks, key=lambda phase: peaks[phase])}" if peaks else ""
    st.caption(" · ".join(f"{phase} {duration(s)}" for phase, s in result.phase_seconds.items()) + most +
               f" · {result.precision} on {shell.escape(result.device)}")
    if result.best_step is not None:
        metric = primary(name for scores in result.metrics.values() for name in scores) or METRICS[0]
        made = f"of {result.steps:,}" if planned is None else \
            f"of the {result.steps:,} made before it was stopped ({planned:,} were planned)"
        st.caption(f"Kept and judged: step {result.best_step:,} {made}, the latest checkpoint whose "
                   f"{metric.on('validation')} is within a standard error of the best one.")


def rows(ws: str, run: Run) -> None:
    """The rows that a finished run was judged on, worst, most doubtful or most changed first."""
    result = shell.api().runs.result(ws, run.id) if run.status.final and run.recipe else None
    if result:
        judged.section(ws, {run.id: (run, result)}, {run.id: names.one(run)})


def recipe(run: Run) -> None:
    """The frozen recipe, as a table of words and values."""
    if run.recipe is None:
        return
    r = run.recipe
    rows = {"Dataset": r.dataset, "Base model": r.base_model, "Method": names.method(r.method, r.task),
            "Effort": r.effort, "Frozen": names.frozen(r)}
    rows |= {k.label: recipe_form.show(value(r, k.field), k) for k in KNOBS if tasks.card(r.task).uses(k.field)}
    with st.expander("Recipe", icon=":material/receipt_long:"):
        st.caption(word("recipe") + f" Digest {r.digest()}.")
        st.table({"Setting": list(rows), "Value": [str(v) for v in rows.values()]}, hide_index=True,
                 border="horizontal")

