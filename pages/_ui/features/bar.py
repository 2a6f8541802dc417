"""The Features page's bar: which two models, which block, which colour; and what to do while there are no features yet."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import streamlit as st

from core.analysis import BESIDE_ROWS, NOTHING, SHIFT_SET, Space, State
from core.analysis.ask import ROWS_OFFERED, second_set, sides_of
from core.domain.dataset import Split
from core.domain.run import JobKind, Run, Status
from core.domain.side import Side, Which
from core.errors import NotFoundError
from core.plots.numbers import size
from pages._ui import arms, guard, live, shell
from pages._ui.runs import run_list

Known = Mapping[str, tuple[Run, State]]
COLOURS = ("label", "prediction", "changed prediction", "typical move", "neighbours kept", "domain")


@dataclass(frozen=True, kw_only=True)
class Chosen:
    """The two sides of the page."""

    a: Side
    b: Side
    names: tuple[str, str]
    rows: int
    beside: str
    """`shift`, `none`, or the id of a second dataset."""


def choose(ws: str) -> Chosen | None:
    """The two models to compare. None, with the next step on screen, while there is nothing to compare."""
    rows = _rows_wanted()
    known: Known = shell.api().features.states(ws, rows=rows)
    if not known:
        shell.empty("There are no runs yet. Train a model first; then see here what training did to its features.", page="train",
                    label="Go to Train")
        return None
    labels = _labels(ws, known)
    with st.container(border=True):
        left, right = st.columns(2)
        with right:
            b = _tuned(known, labels)
        with left:
            a = _against(known, labels, b)
            beside = _beside(ws, known[b.run][0], steps=Which.STEP in (a.which, b.which))
        _rows_control(ws, known[b.run][0], rows)
    if not _ready(ws, known, labels, a, b, rows):
        return None
    if second_set(beside):
        there = {i: (known[i][0], shell.api().features.state(ws, i, rows=rows, beside=beside)) for i in dict.fromkeys((b.run, a.run))}
        if not _ready(ws, there, labels, a, b, rows, beside):
            return None
    st.query_params["a"], st.query_params["b"], st.query_params["beside"] = a.text, b.text, beside
    return Chosen(a=a, b=b, names=(_name(a, known, labels), _name(b, known, labels)), rows=rows, beside=beside)


def _beside(ws: str, run: Run, *, steps: bool) -> str:
    """What is drawn beside the target rows: the dataset's own shift set unless another dataset, or nothing, is chosen."""
    api = shell.api()
    dataset = api.data.find(ws, run.recipe.dataset) if run.recipe else None
    if dataset is None:
        return SHIFT_SET
    others = {other.id: other.name for other in api.features.beside_choices(ws, run.id)}
    own = {SHIFT_SET: "its own shift set", NOTHING: "nothing"} if dataset.rows(Split.SHIFT) else {NOTHING: "nothing"}
    offered = own | ({} if steps else others)
    if len(own | others) == 1:
        return NOTHING
    linked = st.query_params.get("beside", "")
    words = ("Recorded steps have features of the run's own dataset only." if steps else
             f"Rows of another domain in the same map, to see what moved that should not have: up to {BESIDE_ROWS} rows of any other "
             "dataset here. Their labels play no part.")
    picked = st.selectbox("Beside", list(offered), index=list(offered).index(linked) if linked in offered else 0,
                          format_func=offered.__getitem__, key=f"features_beside_{dataset.id}_{len(offered)}", help=words)
    return str(picked)


def _rows_wanted() -> int:
    """Size of the probe sample: the control's, else the address's, else the default."""
    asked = st.query_params.get("rows", "")
    if "features_rows" not in st.session_state and asked.isdigit() and int(asked) in ROWS_OFFERED:
        st.session_state["features_rows"] = int(asked)
    return int(st.session_state.get("features_rows") or ROWS_OFFERED[0])


def _rows_control(ws: str, run: Run, rows: int) -> None:
    """How many rows to compare; offered where the dataset has more than the default sample."""
    dataset = shell.api().data.find(ws, run.recipe.dataset) if run.recipe else None
    there = 0 if dataset is None else sum(dataset.rows(split) for split in (Split.TEST, Split.VALIDATION, Split.SHIFT))
    offered = [n for i, n in enumerate(ROWS_OFFERED) if i == 0 or there > ROWS_OFFERED[i - 1]]
    if len(offered) > 1 or rows != offered[0]:
        st.segmented_control("Rows", sorted({*offered, rows}), default=None if "features_rows" in st.session_state else rows,
                             key="features_rows", format_func=lambda n: f"up to {n:,}", required=True, persist_state="session",
                             help="Test and validation rows, an equal share of each class; at most a quarter from the shift set.")


def _labels(ws: str, known: Known) -> dict[str, str]:
    return arms.titled([run for run, _ in known.values()], run_list.titles(ws))


def _linked(name: str, known: Known) -> Side | None:
    """A side that the address names, when this workspace has it."""
    text = st.query_params.get(name, "")
    try:
        found = Side.parse(text) if text else None
    except NotFoundError:
        return None
    if found is None or found.run not in known:
        return None
    found.check_as_trained()
    return found


def _tuned(known: Known, labels: Mapping[str, str]) -> Side:
    """Side B: a run, and where there are recorded steps, which of them."""
    linked, run = _linked("b", known), st.query_params.get("run", "")
    first = next((i for i, (_, s) in known.items() if s.ready), None) or next((i for i, (_, s) in known.items() if not s.reason), None)
    start = linked.run if linked else run if run in known else first or next(iter(known))
    ids = list(known)
    picked = str(st.selectbox("Model B", ids, index=ids.index(start), format_func=lambda i: _with_state(labels[i], known[i]),
                              key=f"features_b_{len(ids)}", help="A run. Its model after training, or at a recorded step."))
    sides = [side for side in sides_of(picked, known[picked][1]) if side.which is not Which.FOUR_BIT]
    index = sides.index(linked) if linked in sides else len(sides) - 1
    words = {Which.BASE: "before training", Which.FINAL: "after training"}
    place = st.select_slider("Checkpoint", range(len(sides)), value=index, key=f"features_at_{picked}_{len(sides)}",
                             format_func=lambda i: words.get(sides[i].which, f"step {sides[i].step or 0:,}"),
                             help="After training, before it, or at a step whose features were recorded. Before training against the base "
                                  "model must read identical: a check of the page.")
    return sides[int(place)]


def _against(known: Known, labels: Mapping[str, str], b: Side) -> Side:
    """Side A: the base model that B started from, the 4-bit one, or another run on the same dataset."""
    run, found = known[b.run]
    own = sides_of(b.run, found)
    sides = [side for side in own if side != b or side.which in (Which.BASE, Which.FOUR_BIT)]
    sides += [Side(run=i) for i, (other, s) in known.items()
              if i != b.run and not s.reason and other.recipe and run.recipe and other.recipe.dataset == run.recipe.dataset]
    linked = _linked("a", known)
    index = sides.index(linked) if linked in sides else 0
    place = st.selectbox("Model A", range(len(sides)), index=index, format_func=lambda i: _name(sides[i], known, labels),
                         key=f"features_a_{b.text}_{len(sides)}", help="What B is compared with: the base model unless you choose another.")
    return sides[int(place)]


def _name(side: Side, known: Known, labels: Mapping[str, str]) -> str:
    fixed = {Which.BASE: "base model", Which.FOUR_BIT: "4-bit base model, untrained"}.get(side.which)
    return fixed or labels[side.run] + (f" at step {side.step:,}" if side.step is not None else "")


def _with_state(label: str, entry: tuple[Run, State]) -> str:
    run, found = entry
    return label if found.ready else f"{label} · {run.status.value}" if found.reason else f"{label} · features come when chosen"


# -- no features yet -----------------------------------------------------------------------------------------------------------------


def _ready(ws: str, known: Known, labels: Mapping[str, str], a: Side, b: Side, rows: int, beside: str = "") -> bool:
    """Whether both sides are on disk (beside: at the rows of that second dataset); else the way to get them."""
    missing = [i for i in dict.fromkeys((b.run, a.run)) if not known[i][1].ready]
    if not missing:
        return True
    run, found = known[missing[0]]
    label = shell.escape(labels[run.id])
    if found.reason:
        if not run.status.final:
            st.markdown(f":material/local_fire_department: **{label}** is still {run.status.value}. Its features can be compared as soon "
                        "as it is done; this page goes on by itself.")
            guard.fragment(_wait, run_every=live.POLL_S)(ws, run.id)
            shell.link("run", "Watch it", icon=":material/visibility:", run=run.id)
        else:
            shell.problem(f"{labels[run.id]} has nothing to compare.", found.reason, found.remedy)
        return False
    job = found.job or _begin(ws, known, run, rows, beside)
    if job:
        dataset = shell.api().data.find(ws, beside) if beside else None
        rows_of = f" at up to {BESIDE_ROWS} rows of {shell.escape(dataset.name)}" if dataset else ""
        st.markdown(f":material/hourglass_top: Getting the features of **{label}**{rows_of}: the same rows go through the base model and "
                    "the tuned model once each, about as long as two evaluations, and both are kept. This page goes on by itself.")
        guard.fragment(_follow, run_every=live.POLL_S)(ws, job)
    return False


def _begin(ws: str, known: Known, run: Run, rows: int, beside: str) -> str | None:
    """Ask for the features of this run, and after it of the others of its experiment; None while a failed try waits for a person."""
    mates = [r.id for r, s in known.values() if r.experiment == run.experiment and not s.ready and not s.reason and not s.job]
    wanted = [run.id, *(i for i in mates if i != run.id)]
    last = next((job for job in shell.api().runs.all(ws, kind=JobKind.FEATURES)
                 if run.folder in job.payload.get("runs", ()) and job.payload.get("rows") == rows
                 and job.payload.get("beside", "") == beside), None)
    if last is not None:  # it has ended, and yet the features are not there
        if last.status is not Status.DONE:
            live.failure(last)
        words = {Status.DONE: "were extracted, but the cache has let them go", Status.STOPPED: "were not extracted: that was stopped"}
        st.markdown(f":material/scatter_plot: The features of **{shell.escape(arms.short(run))}** "
                    f"{words.get(last.status, 'could not be extracted')}.")
        if not st.button("Extract features", type="primary", icon=":material/play_arrow:", key="extract_again"):
            return None
        wanted = [run.id]
    return shell.api().features.request(ws, wanted, rows=rows, beside=beside)


def _follow(ws: str, job: str) -> None:
    with shell.guarded():
        run, story = live.follow(ws, job)
        if run.status.final:
            st.rerun()
        with st.container(horizontal=True, vertical_alignment="center"):
            live.badge(run)
            if st.button("Stop", icon=":material/stop:", key="stop_features", disabled=run.status is Status.STOPPING):
                shell.api().runs.stop(ws, job)
                st.rerun(scope="fragment")
        live.bar(run, story)


def _wait(ws: str, run_id: str) -> None:
    with shell.guarded():
        run, story = live.follow(ws, run_id)
        if run.status.final:
            st.rerun()
        live.bar(run, story)


# -- block and colour ----------------------------------------------------------------------------------------------------------------


def block(space: Space) -> int:
    """The block that everything below is about; the last one unless chosen."""
    names = [b.name for b in space.shift.blocks]
    if st.session_state.get("features_block") not in names:
        st.session_state["features_block"] = names[-1]
    picked = st.pills("Block", names, key="features_block", required=True,
                      help="Everything below is about this block. A click on a point of the chart above chooses it, too.")
    return names.index(str(picked)) if picked in names else len(names) - 1


def colour(space: Space) -> str:
    """What the colour of a row says; only what these sides know."""
    known = {"label": space.labels is not None, "prediction": space.predictions_b is not None, "domain": space.pair.sides.shift is not None,
             "changed prediction": space.predictions_a is not None and space.predictions_b is not None,
             "typical move": not any(w.code == "different-widths" for w in space.shift.warnings), "neighbours kept": True}
    offered = [c for c in COLOURS if known[c]]
    if st.session_state.get("features_colour") not in offered:
        st.session_state["features_colour"] = offered[0]
    return str(st.selectbox("Colour", offered, key="features_colour", width=240))


def disk(found: State) -> None:
    """What the features take on disk."""
    st.caption(f":material/hard_drive: This run's features take {size(found.size_bytes)}; base-model features, shared by all runs on the "
               f"same data, {size(found.base_bytes)}.")
