"""While a dial was not measured yet: the button that does, and the job that is at it."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from core.domain.run import Run, Status
from core.plots.numbers import about
from pages._ui import guard, live, shell
from pages._ui.strength.choosing import DIALS, Chosen
from pages._ui.try_it.asking import visitor

WORKER_S = 8.0
"""About what a worker takes to start and to load a model."""


def ready(ws: str, chosen: Chosen) -> bool:
    """Whether there is a curve to show; else the way to get it. A job under way is shown either way."""
    state = shell.api().strength.state(ws, chosen.run.id)
    if state.job:
        st.markdown(":material/hourglass_top: The settings are being measured, one after the other. This page goes on "
                    "by itself.")
        guard.fragment(live.job_panel, run_every=live.POLL_S)(ws, state.job, "strength_stop")
    elif state.last is not None and state.last.status in (Status.FAILED, Status.INTERRUPTED):
        live.failure(state.last)
    if chosen.curve is not None:
        return True
    if not state.job:
        _offer(ws, chosen, state.last)
    return False


def _offer(ws: str, chosen: Chosen, last: Run | None) -> None:
    if chosen.curves is None:
        st.markdown(":material/tune: This run was not turned yet. Its model is loaded once and turned from −0.5 to 1.5 "
                    "in nine settings; each is judged on up to 500 validation, test and shift rows, a language model "
                    "on about 10,000 tokens of each and on the forgetting panel. What lies below "
                    "the first block that training changed is computed once.")
    else:
        what = "" if not chosen.blocks else f" of {', '.join(chosen.blocks)}"
        st.markdown(f":material/tune: {DIALS[chosen.dial]}{what} was not measured yet.")
    button(ws, chosen, (), f"Measure{_time(chosen, 9)}", key="strength_measure", primary=True)
    if shell.recorded():
        st.caption(":material/lock: The recorded example holds no weights to turn. Train a model in your workspace.")


def button(ws: str, chosen: Chosen, values: Sequence[float], label: str, *, key: str, primary: bool = False) -> None:
    """Queue the measurement."""
    if st.button(label, key=key, type="primary" if primary else "secondary", icon=":material/play_arrow:",
                 disabled=bool(shell.recorded())):
        with shell.guarded():
            shell.api().ensure_supervisor()
            shell.api().strength.request(ws, chosen.run.id, dial=chosen.dial, blocks=chosen.blocks, head=chosen.head,
                                         values=values)
            st.rerun()


def another(ws: str, chosen: Chosen, value: float) -> None:
    """Measure a setting between the stops: at once, or by a worker where it takes longer than a moment."""
    strength = shell.api().strength
    if not strength.is_live(chosen.run):
        button(ws, chosen, (value,), "Measure it", key="strength_more")
        return
    if st.button("Measure it", key="strength_more", icon=":material/play_arrow:", disabled=bool(shell.recorded())):
        with shell.guarded(), st.spinner("Turns the model. The first time, it is loaded with its rows …"):
            strength.live(ws, chosen.run.id, value, dial=chosen.dial, blocks=chosen.blocks, head=chosen.head,
                          visitor=visitor())
            st.session_state["strength_goto"] = value
            st.rerun()


def _time(chosen: Chosen, settings: int) -> str:
    """What it will take, from what a setting took before; nothing where none was measured."""
    if chosen.curves is None or not chosen.curves.point_seconds:
        return ""
    return f" ({about(WORKER_S + settings * chosen.curves.point_seconds)})"
