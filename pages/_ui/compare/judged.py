"""From numbers to rows: those behind a cell of a confusion matrix or of a paired test; worst, doubtful, changed."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import streamlit as st

from core.api import JudgedRows, TokenRows
from core.api.runs import BASE
from core.domain.dataset import Dataset
from core.domain.run import Result, Run
from core.models.methods import REGISTRY
from pages._ui import guard, rows, shell

Runs = Mapping[str, tuple[Run, Result]]
Table = JudgedRows | TokenRows

ORDERS = {"worst": "Worst", "doubtful": "Most doubtful", "changed": "Most changed"}
_WORDS = {"worst": "Rows whose true class the run expected least (highest loss) come first.",
          "doubtful": "Rows on which the run was torn between two classes (smallest margin) come first.",
          "changed": "Rows whose answer differs most between the two runs come first."}
UNTOUCHED = "untouched"
"""In the head of a column: the untouched model."""
_TOKEN_ORDERS = {"worst": "Worst", "improved": "Most improved", "worsened": "Got worse"}
_AGAINST_RUN = {"improved": "Better than the other", "worsened": "Worse than the other"}
_TOKEN_WORDS = {"worst": "Rows that surprised the run most (highest loss a taught token) come first.",
                "improved": "Rows whose loss lies farthest below that of {b} come first.",
                "worsened": "Rows whose loss lies farthest above that of {b} come first."}
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
    found = _found(ws, runs, a, b)
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
        _table(ws, runs, found, places, a, (names[a], names[b]), key=f"rows_outcome_{a}_{b}",
               name=f"rows-{ways[chosen].lower().replace(' ', '-')}")


def _rows(n: int) -> str:
    return "row" if n == 1 else "rows"


# -- all of them ----------------------------------------------------------------------------------------------------


def section(ws: str, runs: Runs, names: Mapping[str, str]) -> None:
    """All rows as one table: worst, most doubtful and most changed first; of language models worst, most improved and
    those that got worse."""
    runs = {i: found for i, found in runs.items() if found[0].recipe is not None}
    if not any("test" in result.metrics for _, result in runs.values()):
        return
    st.header("Which rows", help="Every row that the runs were judged on: with the true answer and theirs, or, of "
                                 "language models, with the loss of each.")
    guard.fragment(_section)(ws, dict(runs), dict(names))


def _section(ws: str, runs: Runs, names: Mapping[str, str]) -> None:
    ids = [i for i, (_, result) in runs.items() if "test" in result.metrics]
    with st.container(horizontal=True, vertical_alignment="bottom"):
        a = ids[0]
        if len(ids) > 1:
            a = str(st.selectbox("Run", ids, format_func=names.__getitem__, key=f"judged_a_{len(ids)}", width=260))
        split = _split(runs[a][1], key=f"judged_split_{a}")
        offered = _offered(ws, runs, names, a, split)
        labelled, b = _labelled(runs, a), ""
        if len(offered) > 1:
            b = str(st.selectbox("Beside", list(offered), index=_beside(runs, list(offered), labelled=labelled),
                                 width=260, key=f"judged_b_{a}_{split}_{len(offered)}", format_func=offered.__getitem__,
                                 help=_BESIDE if labelled else _BESIDE_TOKENS))
        order, words = _order(labelled=labelled, b=b, called=offered.get(b, ""))
    found = _found(ws, runs, a, b, split)
    if found is None:
        st.caption("None of these rows has stored features of the base model." if b == BASE else
                   "This run kept no predictions.")
        return
    no_numbers = isinstance(found, JudgedRows) and found.numbers is None
    st.caption(words + (" It recorded no probabilities: wrong rows come first." if no_numbers else ""))
    called = names[a], UNTOUCHED if b == BASE and isinstance(found, TokenRows) else offered.get(b, "")
    _table(ws, runs, found, found.ordered(order), a, called,
           key=f"rows_judged_{a}_{b}_{order}" + ("" if split == "test" else f"_{split}"),
           name=f"rows-{order}" if split == "test" else f"rows-{split}-{order}")


_BESIDE = ("Another run on the same rows. The linear probe, and the base model with a probe as its head (at the rows "
           "whose features are made), show what was there before training.")
_BESIDE_TOKENS = "The untouched model shows what was there before training; or another run on the same rows and tokens."


def _labelled(runs: Runs, id: str) -> bool:
    recipe = runs[id][0].recipe
    return recipe is None or recipe.task.labelled


def _found(ws: str, runs: Runs, a: str, b: str, split: str = "test") -> Table | None:
    """The rows of a run of either kind, beside another."""
    api = shell.api().runs
    return (api.judged if _labelled(runs, a) else api.token_rows)(ws, a, split=split, other=b)


def _table(ws: str, runs: Runs, found: Table, places: Any, a: str, called: tuple[str, str], *, key: str,
           name: str) -> None:
    """These rows of a run, with the columns of its kind."""
    records = found.records(places, a=called[0], b=called[1])
    rows.table(ws, dataset_of(ws, *runs[a]), records, key=key, name=name,
               columns=_columns(called) if isinstance(found, TokenRows) else None)


def _columns(called: tuple[str, str]) -> dict[str, Any]:
    """How the numbers of language models are drawn."""
    def number(help: str, form: str = "%.3f") -> Any:
        return st.column_config.NumberColumn(format=form, help=help)

    loss = "How surprised the model is by this row: nats a taught token, lower is better."
    return {f"Loss ({name})": number(loss) for name in called if name} | {
        "Difference": number("Loss of the first minus loss of the second: below 0 the first is better.", "%+.3f"),
        "Taught tokens": number("How many tokens the loss is a mean of. One row of few tokens says little.", "%d")}


def _split(result: Result, *, key: str) -> str:
    """The rows looked at: test rows, or those of the shift set where there is one."""
    splits = [split for split in ("test", "shift") if split in result.metrics]
    if len(splits) < 2:
        return splits[0]
    made = f"shift ({result.shift_made})" if result.shift_made else "shift"
    return str(st.segmented_control("Rows", splits, default="test", required=True, key=key,
                                    format_func=lambda split: made if split == "shift" else str(split)))


def _offered(ws: str, runs: Runs, names: Mapping[str, str], a: str, split: str) -> dict[str, str]:
    """What the run can be held against -> what that is called."""
    labelled, result = _labelled(runs, a), runs[a][1]
    is_base = not labelled and _solved(runs, a)  # the run is the untouched model itself
    has_base = not is_base and shell.api().runs.has_base(ws, a, split=split)
    same = [i for i, (_, other) in runs.items()
            if i != a and other.dataset_hash == result.dataset_hash and split in other.metrics
            and not (has_base and not labelled and _solved(runs, i) and _model(runs, i) == _model(runs, a))]
    found = {"": "nothing"} | {i: names[i] for i in same}
    if has_base:
        found[BASE] = "its base model" if labelled else "the untouched model"
    return found


def _order(*, labelled: bool, b: str, called: str) -> tuple[str, str]:
    """Which rows come first, and that in words."""
    if labelled:
        orders = {order: said for order, said in ORDERS.items() if b or order != "changed"}  # needs a second answer
        words: Mapping[str, str] = _WORDS
    else:
        orders = _TOKEN_ORDERS | (_AGAINST_RUN if b != BASE else {})
        orders = orders if b else {"worst": orders["worst"]}
        words = _TOKEN_WORDS
    chosen = str(st.segmented_control("First", list(orders), default=next(iter(orders)), format_func=orders.__getitem__,
                                      required=True, key=f"judged_order_{labelled}_{len(orders)}"))
    return chosen, words[chosen].replace("{b}", shell.escape(called))


def _beside(runs: Runs, offered: Sequence[str], *, labelled: bool) -> int:
    """The place of the untouched model, or of the first solved probe, which is the base model with a head; else of the
    first that there is."""
    if not labelled and BASE in offered:
        return offered.index(BASE)
    for place, i in enumerate(offered):
        if i in runs and _solved(runs, i):
            return place
    return min(1, len(offered) - 1)


def _solved(runs: Runs, id: str) -> bool:
    recipe = runs[id][0].recipe
    return bool(recipe and recipe.method in REGISTRY and REGISTRY[recipe.method].card.solved)


def _model(runs: Runs, id: str) -> str:
    recipe = runs[id][0].recipe
    return recipe.base_model if recipe else ""
