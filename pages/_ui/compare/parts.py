"""The Compare page, one function a question: which runs, how good, how fast, how costly, what differs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import streamlit as st

from core.domain.run import Result, Run
from core.domain.side import Side
from core.metrics import METRICS, Metric
from core.metrics.paired import RightOrWrong
from core.plots import budgets, confusion, curves, intervals, learn_forget
from core.plots.palette import Arm
from core.share import results
from core.spreadsheets import inert
from pages._ui import charts, leaks, shell
from pages._ui.compare import judged, label_budgets
from pages._ui.words import word

if TYPE_CHECKING:
    from core.api import Comparison


def load(ws: str, ids: Sequence[str]) -> dict[str, tuple[Run, Result]]:
    """Run and result of each id, best first by the metric that decides, on test rows; runs without it last."""
    api = shell.api().runs
    every = {run.id: run for run in api.all(ws)}
    found = {i: (every[i], result) for i in ids if i in every and (result := api.completed(every[i]))}
    return results.best_first(found)


def same_rows(runs: Mapping[str, tuple[Run, Result]], names: Mapping[str, str]) -> None:
    """Warn when the chosen runs were judged on different test rows."""
    by_hash: dict[str, list[str]] = {}
    for i, (_, result) in runs.items():
        by_hash.setdefault(result.dataset_hash, []).append(shell.escape(names[i]))
    if len(by_hash) > 1:
        groups = "; ".join(", ".join(members) for members in by_hash.values())
        st.warning(f"**These runs were judged on different test rows**, so their numbers say nothing about each other. "
                   f"Comparable among themselves: {groups}.", icon=":material/warning:")


def quality(runs: Mapping[str, tuple[Run, Result]], names: Mapping[str, str],
            looks: Mapping[str, Arm] | None = None) -> Metric | None:
    """How good each run is, and what that costs in trained parameters. Returns the metric chosen."""
    st.header("How good", help=word("interval"))
    splits = list(dict.fromkeys(s for _, r in runs.values() for s in r.metrics))
    if "test" not in splits:
        st.caption("These runs have no test scores, since their datasets have no test row. "
                   "Import a dataset with test rows to judge them.")
    if not splits:
        return None
    measured = {name for _, r in runs.values() for scores in r.metrics.values() for name in scores}
    choices = {metric.name: metric for metric in METRICS if metric.name in measured}
    first = next(iter(choices))
    with st.container(horizontal=True):
        name = st.segmented_control("Metric", list(choices), default=first, key="metric", required=True,
                                    format_func=lambda name: choices[name].label, label_visibility="collapsed") or first
        split = splits[0]
        if len(splits) > 1:
            split = st.segmented_control("Rows", splits, default=split, key="split", required=True,
                                         help=word("shift set"), label_visibility="collapsed") or split
    metric = choices[name]
    st.caption(metric.explanation)
    made = {result.shift_made for _, result in runs.values() if result.shift_made and "shift" in result.metrics}
    if made:
        st.caption(f":material/science: The shift set is {'; '.join(sorted(made))}: the test rows, changed by a rule, "
                   "and no second domain.")
    found = results.points(runs, names, split, metric, looks)
    if len(found) < 2:  # one dot is no chart
        st.markdown(f"**{shell.escape(intervals.finding(found, metric, split))}**")
        return metric
    left, right = st.columns(2)
    with left:
        charts.show(intervals.dots(found, metric=metric, split=split), key="dots")
    with right:
        charts.show(intervals.against_parameters(found, metric=metric, split=split), key="parameters")
    leaks.caption(shell.workspace(), [run for run, _ in runs.values()], [split])
    return metric


def over_rows(ws: str, runs: Mapping[str, tuple[Run, Result]], metric: Metric | None) -> None:
    """A metric over labelled rows, a line a method; nothing where the runs do not differ in them."""
    if metric is None:
        return
    found = label_budgets.points(ws, runs, metric)
    if len({point.rows for point in found}) > 1:
        st.header("How many labels", help=word("label budget"))
        charts.show(budgets.over_rows(found, metric=metric, split="test"), key="over_rows")


def learned_and_forgot(ws: str, runs: Mapping[str, tuple[Run, Result]]) -> None:
    """What language models learned against what they forgot; nothing where no run has measured it."""
    if not any(result.panel for _, result in runs.values()):
        return
    st.header("What it cost elsewhere", help=word("forgetting"))
    charts.show(learn_forget.chart(shell.api().runs.learn_forget(ws, list(runs))), key="learn_forget")
    st.caption("Left and low is best: learned its task, forgot nothing. The cross is the untouched model, the band the "
               "noise floor; small dots are checkpoints on the way.")


TRAINING_LOSS = "training loss"


FEW = 8
"""So many curves or tables can be told apart in one chart, and are read in no time."""


def few(runs: Mapping[str, tuple[Run, Result]], names: Mapping[str, str], *, key: str) -> dict[str, tuple[Run, Result]]:
    """All of them, or those that a person chooses where they are many: the best ones at first."""
    if len(runs) <= FEW:
        return dict(runs)
    picked = st.multiselect("Which of them", list(runs), default=list(runs)[:FEW], format_func=names.__getitem__,
                            key=f"few_{key}_{len(runs)}", help=f"The first {FEW} by test score, unless you choose.")
    return {id: runs[id] for id in picked}


def learning(ws: str, runs: Mapping[str, tuple[Run, Result]], names: Mapping[str, str]) -> None:
    """Learning curves on top of each other."""
    st.header("How fast")
    runs = few(runs, names, key="curves")
    drawn = {id: shell.api().runs.curves(ws, id) for id in runs}
    if not any(found.steps or found.evals for found in drawn.values()):
        st.caption("None of these runs has a curve: a probe is solved in one go; there are no steps to draw.")
        return
    reported = {name for found in drawn.values() for point in found.evals for name in point}
    choices = {metric.on("validation"): metric for metric in METRICS if metric.name in reported}
    with st.container(horizontal=True):
        x = st.segmented_control(
            "Horizontal axis", list(curves.X_LABELS), default="steps", key="curve_x", required=True,
            help="Runs with different numbers of rows line up by samples; different machines by steps.") or "steps"
        options = [*choices, TRAINING_LOSS]
        what = st.segmented_control("Curve", options, default=options[0], key="curve_y", required=True) or options[0]
    metric = choices.get(what)
    lines = results.lines(drawn, runs, names, x=x, metric=metric)
    chart = curves.overlay(lines, x=x, metric=metric)
    if any(len(line.x) > 1 for line in lines):
        charts.show(chart, key="overlay")
    else:
        st.markdown(f"**{shell.escape(chart.title)}**")
    without = [names[i] for i in runs if names[i] not in {line.name for line in lines}]
    if without:
        st.caption(f"Without a curve: {', '.join(map(shell.escape, without))}. "
                   "A probe is solved in one go, an untouched model not trained at all; there are no steps to draw.")


def paired(ws: str, runs: Mapping[str, tuple[Run, Result]], names: Mapping[str, str], metric: Metric | None) -> None:
    """Two runs on the same test rows, by the metric chosen."""
    st.header("Is one really better?", help=word("paired test"))
    if len(runs) < 2:
        st.caption("Choose two runs above to compare them row by row.")
        return
    ids = list(runs)
    left, right = st.columns(2)
    a = left.selectbox("First run", ids, format_func=names.__getitem__, key=f"pair_a_{len(ids)}")
    b = right.selectbox("Second run", [i for i in ids if i != a], format_func=names.__getitem__, key=f"pair_b_{a}")
    with shell.guarded():
        test = shell.api().experiments.paired(ws, str(a), str(b), metric=metric.name if metric else None,
                                               called=(names[str(a)], names[str(b)]))
        st.markdown(f":material/balance: **{shell.escape(test.sentence)}**", help=test.how)
        if isinstance(test, RightOrWrong):
            _right_or_wrong(test, shell.escape(names[str(a)]), shell.escape(names[str(b)]))
            judged.outcomes(ws, runs, names, str(a), str(b))
    with shell.guarded():
        _dearer(ws, str(a), str(b), names)
        shell.link("features", "How do their features differ?", icon=":material/scatter_plot:", a=Side(run=str(a)).text,
                   b=Side(run=str(b)).text)


def _dearer(ws: str, a: str, b: str, names: Mapping[str, str]) -> None:
    """What the first of the two cost beside the second."""
    line = shell.api().runs.cost(ws, a, b, called=names[b])
    if line is not None:
        said = f"{names[a]} {line.sentence[:1].lower()}{line.sentence[1:]}"
        st.markdown(f":material/timer: {shell.escape(said)}", help=word("memory"))


def _right_or_wrong(test: RightOrWrong, a: str, b: str) -> None:
    """Which run got which rows right."""
    st.table({"": [f"{a} right", f"{a} wrong"], f"{b} right": [test.both_right, test.only_b],
              f"{b} wrong": [test.only_a, test.both_wrong]}, hide_index=True, border="horizontal",
             alt=f"Of {test.n} test rows, both right {test.both_right}, only the first {test.only_a}, "
                 f"only the second {test.only_b}, both wrong {test.both_wrong}")


def confusions(ws: str, runs: Mapping[str, tuple[Run, Result]], names: Mapping[str, str]) -> None:
    """Confusion matrices, two beside each other; a cell opens its rows. Nothing where no run sorts into classes."""
    if not any(run.recipe is None or run.recipe.task.labelled for run, _ in runs.values()):
        return
    st.header("Which errors", help=word("confusion matrix"))
    runs = few(runs, names, key="confusions")
    tables = {i: found for i in runs if (found := shell.api().runs.confusion(ws, i)) is not None}
    ids = list(tables)
    if not ids:
        st.caption("No confusion matrix: none of these runs has predictions on test rows.")
        return
    picked = st.pills("Show", ids, selection_mode="multi", default=ids[:2], format_func=names.__getitem__,
                      key=f"confused_{len(ids)}", label_visibility="collapsed")
    columns = st.columns(2)
    for place, i in enumerate(picked):
        with columns[place % 2]:
            counts, classes = tables[i]
            charts.show(confusion.matrix(counts, classes, name=names[i]), key=f"confusion_{i}", pressed=judged.press(i))
            judged.choose_cell(i, counts, classes)
    for i in picked:
        judged.cell(ws, runs[i], names[i])


def differences(comparison: Comparison, runs: Mapping[str, tuple[Run, Result]], names: Mapping[str, str]) -> None:
    """The recipes beside each other: only the fields in which they differ, or all."""
    st.header("What differs between the recipes", help=word("recipe"))
    only = st.toggle("Differences only", value=True, key="differences_only")
    if only and not comparison.differences:
        same = "Nothing: the recipes are the same."
        st.caption(same if len(runs) > 1 else "Choose a second run to see what differs.")
        return
    ids = list(comparison.ids)
    fields = comparison.differences if only else comparison.settings
    rows = [{"Setting": results.setting(field)} |
            {names[i]: results.setting_text(v) for i, v in zip(ids, values, strict=True)}
            for field, values in fields.items()]
    st.dataframe(inert(rows), hide_index=True, key="differences",
                 column_config={"Setting": st.column_config.TextColumn(pinned=True)},
                 alt=("Settings in which the recipes differ: " if only else "All settings: ")
                 + ", ".join(r["Setting"] for r in rows))
