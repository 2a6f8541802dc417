"""Which run, which dial, what of the model it turns."""

from __future__ import annotations

from dataclasses import dataclass

import streamlit as st

from core import tasks
from core.analysis.strength_files import Curve, Curves
from core.domain.freeze import HEAD
from core.domain.run import Run
from core.domain.strength import Dial, HeadRule
from core.planning import names
from pages._ui import shell, start
from pages._ui.runs import run_list
from pages._ui.words import word

DIALS = {Dial.STRENGTH: "Strength", Dial.RANK: "Rank", Dial.INTRUDERS: "Intruder dimensions"}


@dataclass(frozen=True, kw_only=True)
class Chosen:
    """One dial of one run."""

    run: Run
    dial: Dial
    blocks: tuple[str, ...]
    head: HeadRule
    curves: Curves | None

    @property
    def curve(self) -> Curve | None:
        """What was measured of it."""
        return self.curves.find(self.dial, self.blocks, self.head) if self.curves else None


def choose(ws: str) -> Chosen | None:
    """The run and its dial; None, with the next step on screen, while there is nothing to turn."""
    api = shell.api()
    runs = {run.id: run for run in api.strength.usable(ws)}
    if not runs:
        if shell.recorded():
            shell.empty("The recorded example holds results, not models: its weights would be too large to come with "
                        "Thaw. Train one comparison of your own to turn its runs here.")
        else:
            start.empty(ws, "There are no models yet. Train one first; then see here what more or less of its training "
                            "is worth.")
        return None
    states = {id: api.strength.state(ws, id) for id in runs}
    called = names.short(list(runs.values()), run_list.titles(ws))
    wanted = st.query_params.get("run", "")
    possible = [id for id, state in states.items() if not state.reason]
    first = wanted if wanted in runs else next(iter([*possible, *runs]))
    picked = str(st.selectbox("Run", list(runs), index=list(runs).index(first), format_func=called.__getitem__,
                              key=f"strength_run_{len(runs)}"))
    st.query_params["run"] = picked
    state, run = states[picked], runs[picked]
    if state.reason:
        shell.problem(f"{called[picked]} cannot be turned.", state.reason, "Choose another run.")
        return None
    dial = _dial(state.curves)
    blocks, head = _what(run, dial, state.curves)
    return Chosen(run=run, dial=dial, blocks=blocks, head=head, curves=state.curves)


def _dial(curves: Curves | None) -> Dial:
    """Strength, and the dials of low-rank updates where the run has any; those that do not apply say why."""
    offered = [Dial.STRENGTH]
    if curves is not None and curves.rank is not None:
        offered += [Dial.RANK] if curves.rank > 1 else []
        offered += [] if curves.no_intruders else [Dial.INTRUDERS]
    if len(offered) == 1:
        return Dial.STRENGTH
    if st.session_state.get("strength_dial") not in offered:
        st.session_state["strength_dial"] = Dial.STRENGTH
    found = st.segmented_control("Dial", offered, key="strength_dial", required=True, format_func=DIALS.__getitem__,
                                 help="Strength scales the whole change. Rank keeps the strongest directions of each "
                                      f"low-rank update. {word('intruder dimensions')}")
    if curves is not None and curves.no_intruders and curves.rank is not None:
        st.caption(f"Intruder dimensions cannot be turned here: {curves.no_intruders}.")
    return found or Dial.STRENGTH


def _what(run: Run, dial: Dial, curves: Curves | None) -> tuple[tuple[str, ...], HeadRule]:
    """Blocks that are turned, and the head's rule; asked once the whole model was measured."""
    if dial is not Dial.STRENGTH or curves is None or run.recipe is None:
        return (), HeadRule.FOLLOWS
    own_head = tasks.card(run.recipe.task).new_head
    offered = [*curves.moved, *([HEAD] if curves.head_follows and own_head else [])]
    with st.container(horizontal=True, vertical_alignment="bottom"):
        picked = st.multiselect("What is turned", offered, key=f"strength_what_{run.id}_{len(offered)}", width=360,
                                placeholder="The whole model",
                                help="Nothing chosen: the whole model. Else these blocks together; the others stay as "
                                     "they were trained.")
        if not own_head:
            st.caption("An output layer that is one with the embeddings goes with them; one of its own goes from the "
                       "published to the trained one.")
        elif not curves.head_follows:
            st.caption("The trained head stays: this run kept no head solved on the base model.")
        elif not picked:
            fixed = st.toggle("Keep the trained head", key=f"strength_head_{run.id}",
                              help="Off: the head goes with the body, from the one solved on the base model's features "
                                   "to the trained one. On: the trained head throughout.")
            return (), HeadRule.FIXED if fixed else HeadRule.FOLLOWS
    return tuple(name for name in offered if name in picked), HeadRule.FOLLOWS
