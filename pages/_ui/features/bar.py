"""The Features page's bar: which two models, which block, which view, which colour."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import streamlit as st

from core.analysis import NOTHING, ROWS_OFFERED, SECOND_ROWS, SHIFT_SET, Availability, FeatureComparison, View
from core.api import Thaw
from core.domain.dataset import Split
from core.domain.model import Weights
from core.domain.run import Run, Status
from core.domain.side import Side, Which
from core.errors import NotFoundError
from core.models import methods
from core.planning import names
from core.plots.numbers import size
from pages._ui import shell, start
from pages._ui.features import waiting
from pages._ui.features.waiting import Known
from pages._ui.runs import run_list

VIEWS = {View.BASE: "fixed camera", View.UNION: "fitted to both", View.CHANGE: "where it moved",
         View.CLASSES: "class axes", View.UMAP: "UMAP"}
DRAWN = ("side by side", "arrows", "on the way")
COLOURS = ("label", "prediction", "changed prediction", "change in loss", "typical move", "neighbours kept", "group",
           "domain")
MOST_PILLS = 16
"""With more blocks than this, a strip of all of them is longer than a page is wide."""
MOST_GROUPS = 24
"""With more groups among the rows than this, no colour tells them apart."""


@dataclass(frozen=True, kw_only=True)
class Chosen:
    """The two sides of the page."""

    a: Side
    b: Side
    names: tuple[str, str]
    """Of both in the words of the page: what tells these two apart."""
    called: Mapping[str, str]
    """Id of a run that A or B is a model of -> what it is called here."""
    rows: int
    second: str
    """`shift`, `none`, or the id of a second dataset."""
    replayed: bool
    """Only the rows that B's run recorded while training, at every position of the slider."""

    def compared(self, ws: str, api: Thaw) -> FeatureComparison:
        """Both sides compared. Callbacks, fragments and downloads ask for it anew instead of keeping it: Streamlit
        holds on to them as long as the page is open, and a comparison takes megabytes a person."""
        return api.features.compare(ws, self.a, self.b, names=self.names, rows=self.rows, second=self.second,
                                    replayed=self.replayed)


def choose(ws: str) -> Chosen | None:
    """The two models to compare. None, with the next step on screen, while there is nothing to compare."""
    rows = _rows_wanted()
    known: Known = shell.api().features.states(ws, rows=rows)
    if not known:
        start.empty(ws, "There are no runs yet. Train a model first; then see here what training did to its features.")
        return None
    labels = names.short([run for run, _ in known.values()], run_list.titles(ws))
    left, right, more = st.columns([4, 4, 2], vertical_alignment="bottom")
    box = more.popover("Rows", icon=":material/tune:", width="stretch")
    with right:
        picked = _run_b(known, labels)
    with box:
        st.caption("Test and validation rows, the same for every run on this data;"
                   " at most a quarter from the shift set.")
        replayed = _replayed(picked, known)
    b = _side_b(picked, known, slider=replayed)
    with left:
        a = _model_a(known, labels, b)
    with box:
        second = NOTHING if replayed else _second(ws, known[picked][0], steps=Which.STEP in (a.which, b.which))
        _rows_control(ws, known[picked][0], rows)
    if not waiting.ready(ws, known, labels, a, b, rows):
        return None
    if second not in (SHIFT_SET, NOTHING):
        state = shell.api().features.state
        there = {id: (known[id][0], state(ws, id, rows=rows, second=second)) for id in {b.run, a.run}}
        if not waiting.ready(ws, there, labels, a, b, rows, second):
            return None
    st.query_params["a"], st.query_params["b"], st.query_params["beside"] = a.text, b.text, second
    st.session_state["_features_a"], st.session_state["_features_b"] = a.text, b.text
    said = names.short([known[id][0] for id in dict.fromkeys((a.run, b.run))], run_list.titles(ws))
    return Chosen(a=a, b=b, names=(_name(a, said), _name(b, said)), called=said, rows=rows, second=second,
                  replayed=replayed)


def _second(ws: str, run: Run, *, steps: bool) -> str:
    """What is drawn with the target rows: the dataset's own shift set unless another dataset, or nothing, is chosen."""
    api = shell.api()
    dataset = api.data.find(ws, run.recipe.dataset) if run.recipe else None
    if dataset is None:
        return SHIFT_SET
    others = {other.id: other.name for other in api.features.second_datasets(ws, run.id)}
    own = {NOTHING: "nothing"}
    if dataset.rows(Split.SHIFT):
        made = f" ({dataset.shift_called})" if dataset.shift_called else ""
        own = {SHIFT_SET: f"its own shift set{made}", NOTHING: "nothing"}
    offered = own if steps else own | others
    if len(own | others) == 1:
        return NOTHING
    linked = st.query_params.get("beside", "")
    words = (f"Rows of another domain in the same map, to see what moved that should not have: up to {SECOND_ROWS} "
             "rows of any other dataset here. Their labels play no part.")
    if steps:
        words = "Recorded steps have features of the run's own dataset only."
    index = list(offered).index(linked) if linked in offered else 0
    return str(st.selectbox("Beside", list(offered), index=index, format_func=offered.__getitem__, help=words,
                            key=f"features_beside_{dataset.id}_{len(offered)}"))


def _rows_wanted() -> int:
    """Size of the probe sample: the control's, else the address's, else the default."""
    linked = st.query_params.get("rows", "")
    if "features_rows" not in st.session_state and linked.isdigit() and int(linked) in ROWS_OFFERED:
        st.session_state["features_rows"] = int(linked)
    return int(st.session_state.get("features_rows") or ROWS_OFFERED[0])


def _rows_control(ws: str, run: Run, rows: int) -> None:
    """How many rows to compare; offered where the dataset has more than the default sample."""
    dataset = shell.api().data.find(ws, run.recipe.dataset) if run.recipe else None
    there = 0
    if dataset is not None:
        there = sum(dataset.rows(split) for split in (Split.TEST, Split.VALIDATION, Split.SHIFT))
    first, *larger = ROWS_OFFERED
    offered = [first, *(n for n, smaller in zip(larger, ROWS_OFFERED, strict=False) if there > smaller)]
    if len(offered) > 1 or rows != first:
        st.segmented_control("Rows", sorted({*offered, rows}), key="features_rows", required=True,
                             default=None if "features_rows" in st.session_state else rows,
                             format_func=lambda n: f"up to {n:,}", persist_state="session",
                             help="Test and validation rows, an equal share of each class; at most a quarter from the "
                                  "shift set.")


def _linked(name: str, known: Known) -> Side | None:
    """A side that the address names, or that was looked at last, when this workspace has it."""
    text = st.query_params.get(name, "")
    if not text and "run" not in st.query_params:
        text = st.session_state.get(f"_features_{name}", "")
    try:
        found = Side.parse(text) if text else None
    except NotFoundError:
        return None
    if found is None or found.run not in known:
        return None
    found.check_as_trained()
    return found


def _run_b(known: Known, labels: Mapping[str, str]) -> str:
    """The run that B is a model of."""
    linked = _linked("b", known)
    ids = list(known)
    start_with = linked.run if linked else _first_run(known)
    return str(st.selectbox("Model B", ids, index=ids.index(start_with), key=f"features_b_{len(ids)}",
                            format_func=lambda id: _with_state(labels[id], *known[id]),
                            help="A run: its model after training. Its steps are under *Rows*."))


def _replayed(run: str, known: Known) -> bool:
    """Whether B is looked at along its training, at the rows recorded then; offered where some were."""
    if not known[run][1].steps:
        return False
    linked = _linked("b", known)
    at_step = linked is not None and linked.run == run and linked.which is Which.STEP
    return st.toggle("Along training", value=at_step, key=f"features_along_{run}",
                     help="A slider from the start of training to its end. Every position shows the same rows, those "
                          "whose features were recorded while training; after training alone there are more.")


def _side_b(run: str, known: Known, *, slider: bool) -> Side:
    """The run's model after training; with the slider, before it or at a recorded step."""
    linked = _linked("b", known)
    sides = [side for side in known[run][1].sides_of(run) if side.which is not Which.FOUR_BIT]
    index = sides.index(linked) if linked in sides else len(sides) - 1
    if not slider and (linked not in sides or sides[index].which in (Which.FINAL, Which.STEP)):
        return sides[-1]
    words = {Which.BASE: "before training", Which.FINAL: "after training"}
    place = st.select_slider("Checkpoint", range(len(sides)), value=index, key=f"features_at_{run}_{len(sides)}",
                             format_func=lambda i: words.get(sides[i].which, f"step {sides[i].step or 0:,}"),
                             help="Before training against the base model must read identical: a check of the page.")
    return sides[int(place)]


def _first_run(known: Known) -> str:
    """The run that the address names, else one with features, else one that could have them, else any; of several the
    newest that moved pretrained features."""
    wanted = st.query_params.get("run", "")
    if wanted in known:
        return wanted
    ready = [id for id, (_, found) in known.items() if found.ready]
    possible = [id for id, (_, found) in known.items() if not found.reason]
    moved = [id for id in ready if _moves_pretrained(known[id][0])]
    return next(iter([*moved, *ready, *possible, *known]))


def moving(ws: str, chosen: Chosen) -> tuple[str, list[tuple[str, str, str]]]:
    """Of two sides that are equal: why; and runs of the same data whose features are there and moved, up to three, as
    name, side A, side B."""
    known: Known = shell.api().features.states(ws, rows=chosen.rows)
    own = known[chosen.b.run][0]
    same = [run for id, (run, found) in known.items()
            if found.ready and id != own.id and _moves_pretrained(run) and run.recipe and own.recipe
            and run.recipe.dataset == own.recipe.dataset]
    why = "no feature differs between the two."
    if own.recipe and own.recipe.method in methods.REGISTRY and methods.REGISTRY[own.recipe.method].card.solved:
        why = "this method trains a head alone, so the features stay as they were."
    called = names.short(same)
    return why, [(called[run.id], Side(run=run.id, which=Which.BASE).text, Side(run=run.id).text) for run in same[:3]]


def _moves_pretrained(run: Run) -> bool:
    card = methods.REGISTRY[run.recipe.method].card if run.recipe and run.recipe.method in methods.REGISTRY else None
    return card is not None and not card.solved and card.weights is not Weights.FRESH


def _model_a(known: Known, labels: Mapping[str, str], b: Side) -> Side:
    """The base model that B started from, the 4-bit one, or another run on the same dataset."""
    run, found = known[b.run]
    sides = [side for side in found.sides_of(b.run) if side != b or side.which in (Which.BASE, Which.FOUR_BIT)]
    for id, (other, there) in known.items():
        same_data = other.recipe and run.recipe and other.recipe.dataset == run.recipe.dataset
        if id != b.run and same_data and not there.reason:
            sides.append(Side(run=id))
    linked = _linked("a", known)
    index = sides.index(linked) if linked in sides else 0
    place = st.selectbox("Model A", range(len(sides)), index=index, format_func=lambda i: _name(sides[i], labels),
                         key=f"features_a_{b.text}_{len(sides)}",
                         help="What B is compared with: the base model unless you choose another.")
    return sides[int(place)]


def _name(side: Side, labels: Mapping[str, str]) -> str:
    if side.which is Which.BASE:
        return "base model"
    if side.which is Which.FOUR_BIT:
        return "4-bit base model, untrained"
    return labels[side.run] + ("" if side.step is None else f" at step {side.step:,}")


def _with_state(label: str, run: Run, found: Availability) -> str:
    parts = [label, *([run.status.value] if run.status is not Status.DONE else [])]
    if not found.ready and not found.reason:
        parts.append("no features yet")
    return " · ".join(parts)


@dataclass(frozen=True, kw_only=True)
class Look:
    """What of the two sides is looked at."""

    block: int
    colour: str
    view: View
    way: str
    """One of `DRAWN`."""


def look(compared: FeatureComparison) -> Look:
    """Block, colour, view and drawing: what the map and every sentence that names a block follow."""
    with st.container(horizontal=True, vertical_alignment="bottom", key="features_look"):
        block, colour = _block(compared), _colour(compared)
        unknown = {View.CLASSES} if compared.labels is None else set()
        views = [v for v in VIEWS if v not in unknown and not (v is View.UMAP and compared.linear_only)]
        view = View(_one_of(views, "View", key="features_view", words=VIEWS))
        # distances of a view that is not linear mean nothing, so neither do arrows
        way = _one_of(DRAWN if view.linear else DRAWN[:1], "Drawing", key="features_way")
    return Look(block=block, colour=colour, view=view, way=str(way))


def _one_of(offered: Sequence[str], label: str, *, key: str, words: Mapping[Any, str] | None = None) -> str:
    """One of these, kept from run to run as long as it is offered."""
    if st.session_state.get(key) not in offered:
        st.session_state[key] = offered[0]
    return st.segmented_control(label, offered, key=key, required=True, label_visibility="collapsed",
                                format_func=words.__getitem__ if words else str) or offered[0]


def _block(compared: FeatureComparison) -> int:
    """The block that everything is about; the last one unless chosen."""
    names = [b.name for b in compared.shift.blocks]
    if st.session_state.get("features_block") not in names:
        st.session_state["features_block"] = names[-1]
    words = ("One unit of depth, in forward order. Map and numbers are about this one; a click on a point of the chart "
             "under *Measure it* chooses it, too.")
    if len(names) > MOST_PILLS:
        picked = st.selectbox("Block", names, key="features_block", help=words, width=200)
    else:
        picked = st.pills("Block", names, key="features_block", required=True, help=words)
    return names.index(str(picked)) if picked in names else len(names) - 1


def _colour(compared: FeatureComparison) -> str:
    """What the colour of a row says; only what these sides know."""
    one_width = all(w.code != "different-widths" for w in compared.shift.warnings)
    a, b = compared.predictions_a is not None, compared.predictions_b is not None
    known = {"label": compared.labels is not None, "prediction": b, "changed prediction": a and b,
             "change in loss": compared.loss_change is not None and bool(np.isfinite(compared.loss_change).any()),
             "group": compared.groups is not None and 1 < len(np.unique(compared.groups)) <= MOST_GROUPS,
             "typical move": one_width, "neighbours kept": True,
             "domain": compared.aligned.features.shift is not None}
    offered = [c for c in COLOURS if known[c]]
    if st.session_state.get("features_colour") not in offered:
        st.session_state["features_colour"] = offered[0]
    return str(st.selectbox("Colour", offered, key="features_colour", width=200))


def disk(found: Availability) -> None:
    """What the features take on disk."""
    st.caption(f":material/hard_drive: This run's features take {size(found.size_bytes)}; those of the published "
               f"model, shared by all runs on the same data, {size(found.base_bytes)}.")
