"""Two measures against each other, an arm a point: which arms nothing beats on both."""

from __future__ import annotations

import streamlit as st

from core.analysis import measures
from core.analysis.measures import Measure
from core.domain.run import Interval
from core.planning import arms, names
from core.plots import pareto
from core.plots.pareto import Axis, Point
from core.share import results
from pages._ui import charts
from pages._ui.compare import table
from pages._ui.compare.narrow import Looks


def section(ws: str, runs: results.Runs, looks: Looks) -> None:
    """Nothing with a single run, or where there is only one thing to compare by."""
    offered = {each.name: each for each in measures.available([result for _, result in runs.values()])}
    if len(runs) < 2 or len(offered) < 2:
        return
    st.header("What is worth its price", help="An arm is off the frontier where another is clearly better on one "
                                              "measure and, on the other, clearly better or exactly equal. Where "
                                              "intervals overlap, neither beats the other.")
    listed = list(offered)
    cost = next((name for name in ("seconds", "trainable_params") if name in offered), listed[-1])
    with st.container(horizontal=True):
        y = str(st.selectbox("Upwards", listed, format_func=lambda name: offered[name].label, key="pareto_y"))
        across = [name for name in listed if name != y]
        x = str(st.selectbox("To the right", across, index=across.index(cost) if cost in across else 0,
                             format_func=lambda name: offered[name].label, key=f"pareto_x_{y}"))
    points = _points(ws, runs, offered[x], offered[y], looks)
    if len(points) < 2:
        st.caption("Fewer than two arms have both.")
        return
    charts.show(pareto.chart(points, _axis(offered[x]), _axis(offered[y])), key="pareto")
    st.caption("Ringed: on the frontier. Seeds of one arm are one point with an interval over them. Of a single run, "
               "seconds differ from a factor of 1.5 on, and memory from 1.2.")


def _axis(measure: Measure) -> Axis:
    return Axis(label=measure.label, sign=measure.sign, log=measure.log)


def _points(ws: str, runs: results.Runs, x: Measure, y: Measure, looks: Looks) -> list[Point]:
    """A point an arm that has both."""
    groups = [group.ids for group in table.seed_groups(ws, runs)]
    inside = {id for ids in groups for id in ids}
    members = [*groups, *((id,) for id in runs if id not in inside)]
    pooled = {group.ids: group.metrics for group in table.seed_groups(ws, runs)}
    called = names.short([runs[ids[0]][0] for ids in members], seeds=False)
    usual = arms.looks([runs[ids[0]][0] for ids in members])
    found = []
    for ids in members:
        values = [_value(measure, ids, runs, pooled.get(ids, {})) for measure in (x, y)]
        if values[0] is None or values[1] is None:
            continue
        seeds = f", {len(ids)} seeds" if len(ids) > 1 else ""
        said = f"{y.label.lower()} {y.words(values[1])}, {x.label.lower()} {x.words(values[0])}{seeds}"
        found.append(Point(name=called[ids[0]], x=values[0], y=values[1], said=said,
                           look=looks.of.get(ids[0]) or usual[ids[0]], kind=looks.kinds.get(ids[0], "")))
    return found


def _value(measure: Measure, ids: tuple[str, ...], runs: results.Runs, pooled: dict[str, Interval]) -> Interval | None:
    """On test rows, the mean of an arm with the interval of the table of seeds."""
    split, _, metric = measure.name.partition(".")
    if split == "test" and metric in pooled:
        return pooled[metric]
    return measures.over_seeds(measure, [runs[id][1] for id in ids])
