"""From numbers to rows: those behind a cell of a confusion matrix or of a paired test; worst, doubtful, changed."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import streamlit as st

from core.api.runs import BASE
from core.domain.dataset import Dataset
from core.domain.run import Result, Run
from core.models.methods import REGISTRY
from pages._ui import guard, rows, shell

Runs = Mapping[str, tuple[Run, Result]]

ORDERS = {"worst": "Worst", "doubtful": "Most doubtful", "changed": "Most changed"}
_WORDS = {"worst": "Rows whose true class the run expected least (highest loss) come first.",
          "doubtful": "Rows on which the run was torn between two classes (smallest margin) come first.",
          "changed": "Rows whose answer differs most between the two runs come first."}
MOST_CELLS = 60
"""Cells offered by name; the others can be pressed in the chart."""


def dataset_of(ws: str, run: Run, result: Result) -> Dataset | None:
    """The dataset that a run was judged on; None when it is gone or another one now."""
    found = shell.api().data.find(ws, run.recipe.dataset) if run.recipe else None
    return found if found is not None and found.content_hash == result.dataset_hash else None


# -- a cell of a confusion matrix -----------------------------------------------------------------------------------


def press(run_id: str) -> Callable[[dict[str, Any]], None]:
    """What a press on a cell of this run's matrix does: choose it below the chart."""
    def chosen(point: dict[str, Any]) -> None:
        if isinstance(cell := point.get("customdata"), (list, tuple)) and len(cell) == 2:
            st.session_state[f"cell_{run_id}"] = (int(cell[0]), int(cell[1]))

    return chosen


def choose_cell(run_id: str, counts: Sequence[Sequence[int]], classes: Sequence[str]) -> None:
    """The same by name, for keyboards: the cells with most errors first."""
    cells = {(t, p): n for t, line in enumerate(counts) for p, n in enumerate(line) if n}
    order = sorted(cells, key=lambda cell: (cell[0] == cell[1], -cells[cell]))[:MOST_CELLS]
    now = st.session_state.get(f"cell_{run_id}")
    if now in cells and now not in order:
        order.append(now)

    def words(cell: tuple[int, int]) -> str:
        n, (true, predicted) = cells[cell], cell
        said = f"{classes[true]}, right" if true == predicted else f"{classes[true]} taken for {classes[predicted]}"
        return f"{said}: {n} {_rows(n)}"

    st.selectbox("Show the rows of", order, index=None, format_func=words, key=f"cell_{run_id}",
                 placeholder="press a cell above, or choose one here")


def cell(ws: str, of: tuple[Run, Result], name: str) -> None:
    """The rows of the chosen cell, if one is."""
    run, result = of
    chosen = st.session_state.get(f"cell_{run.id}")
    found = shell.api().runs.judged(ws, run.id) if chosen else None
    if not chosen or found is None:
        return
    true, predicted = (found.classes[i] for i in chosen)
    what = f"{true}, rightly so called" if true == predicted else f"{true} taken for {predicted}"
    st.markdown(f"**{shell.escape(name)}: {shell.escape(what)}**")
    places = found.ordered("worst", found.cell(*chosen))
    rows.table(ws, dataset_of(ws, run, result), found.records(places), key=f"rows_cell_{run.id}",
               name=f"rows-{true}-as-{predicted}")


# -- a cell of a paired test ----------------------------------------------------------------------------------------


def outcomes(ws: str, runs: Runs, names: Mapping[str, str], a: str, b: str) -> None:
    """`Only LoRA is right: 5 rows`, each opening its rows."""
    found = shell.api().runs.judged(ws, a, other=b)
    if found is None:
        return
    ways = {(True, False): f"Only {names[a]} is right", (False, True): f"Only {names[b]} is right",
            (False, False): "Both are wrong"}
    there = {way: places for way in ways if len(places := found.outcome(a=way[0], b=way[1]))}
    if not there:
        return
    chosen = st.pills("Show the rows", list(there), key=f"outcome_{a}_{b}",
                      format_func=lambda way: f"{ways[way]}: {len(there[way])} {_rows(len(there[way]))}")
    if chosen:
        places = found.ordered("changed", there[chosen])
        rows.table(ws, dataset_of(ws, *runs[a]), found.records(places, a=names[a], b=names[b]),
                   key=f"rows_outcome_{a}_{b}", name=f"rows-{ways[chosen].lower().replace(' ', '-')}")


def _rows(n: int) -> str:
    return "row" if n == 1 else "rows"


# -- all of them ----------------------------------------------------------------------------------------------------


def section(ws: str, runs: Runs, names: Mapping[str, str]) -> None:
    """Worst, most doubtful and most changed rows as one table."""
    runs = {i: found for i, found in runs.items() if found[0].recipe is not None and found[0].recipe.task.labelled}
    if not any("test" in result.metrics for _, result in runs.values()):
        return
    st.header("Which rows", help="Every row that the runs were judged on, with the true answer and theirs.")
    guard.fragment(_section)(ws, dict(runs), dict(names))


def _section(ws: str, runs: Runs, names: Mapping[str, str]) -> None:
    ids = [i for i, (_, result) in runs.items() if "test" in result.metrics]
    with st.container(horizontal=True, vertical_alignment="bottom"):
        a = ids[0]
        if len(ids) > 1:
            a = str(st.selectbox("Run", ids, format_func=names.__getitem__, key=f"judged_a_{len(ids)}", width=260))
        same = [i for i in ids if i != a and runs[i][1].dataset_hash == runs[a][1].dataset_hash]
        offered = {"": "nothing"} | {i: names[i] for i in same}
        if shell.api().runs.has_base(ws, a):
            offered[BASE] = "its base model"
        b = ""
        if len(offered) > 1:
            b = str(st.selectbox("Beside", list(offered), index=_beside(runs, list(offered)), width=260,
                                 key=f"judged_b_{a}_{len(offered)}", format_func=offered.__getitem__,
                                 help="Another run on the same rows. The linear probe, and the base model with a probe "
                                      "as its head (at the rows whose features are made), show what was there before "
                                      "training."))
        orders = [order for order in ORDERS if b or order != "changed"]  # what changed needs a second answer
        order = st.segmented_control("First", orders, default=orders[0], format_func=ORDERS.__getitem__, required=True,
                                     key=f"judged_order_{len(orders)}")
    found = shell.api().runs.judged(ws, a, other=b)
    if found is None:
        st.caption("This run kept no predictions.")
        return
    st.caption(_WORDS[str(order)] + ("" if found.numbers else " It recorded no probabilities: wrong rows come first."))
    rows.table(ws, dataset_of(ws, *runs[a]), found.records(found.ordered(str(order)), a=names[a], b=offered[b]),
               key=f"rows_judged_{a}_{b}_{order}", name=f"rows-{order}")


def _beside(runs: Runs, offered: Sequence[str]) -> int:
    """The place of the first solved probe, which is the base model with a head; else of the first that there is."""
    for place, i in enumerate(offered):
        recipe = runs[i][0].recipe if i in runs else None
        if recipe and recipe.method in REGISTRY and REGISTRY[recipe.method].card.solved:
            return place
    return min(1, len(offered) - 1)
