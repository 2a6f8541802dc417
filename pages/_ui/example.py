"""The recorded example on pages: the way in, what it is, the way out, and its texts."""

from __future__ import annotations

import time

import streamlit as st

from core.api import RECORDED, Card, Thaw
from core.plots.numbers import duration, share, size
from pages._ui import guard, live, shell


def link(label: str = "Look at a finished example") -> None:
    """A way in, where an example comes with this copy and is not open already."""
    card = Thaw.recorded_card()
    if card is not None and not shell.recorded():
        st.page_link("pages/experiment.py", label=label, icon=":material/inventory_2:",
                     query_params={"ws": RECORDED, "own": shell.workspace(), "experiment": card.experiment})


def where(card: Card) -> str:
    """On which machine and when it was recorded."""
    machine = "a GPU" if card.machine.kind == "cuda" else f"{card.machine.cores} processor cores without a GPU"
    return f"on {machine} ({shell.escape(card.machine.name)}), {_day(card)}"


def _day(card: Card) -> str:
    return time.strftime("%d %B %Y", time.gmtime(card.made)).lstrip("0")


def banner() -> None:
    """At the top of every page of the example: that it was recorded elsewhere, and the way out."""
    card = shell.recorded()
    if card is None:
        return
    with st.container(horizontal=True, vertical_alignment="center", gap="xsmall"):
        st.badge("Recorded example", icon=":material/inventory_2:", color="blue")
        st.caption(f"Not your runs: measured elsewhere, {_day(card)}. Nothing can be changed.", width="content")
        with st.popover("About it"):
            _about(card)
        if st.button("Close", icon=":material/close:", key="close_example",
                     help="Back to your own workspace; the home page leads here again."):
            leave()


def leave(page: str = "home") -> None:
    """Back to the own workspace."""
    st.switch_page(f"pages/{page}.py", query_params={"ws": shell.own_workspace()})


def closed(what: str) -> bool:
    """Whether the example is open, where this page can do nothing: it says so, with the way back."""
    if shell.recorded() is None:
        return False
    with st.container(border=True):
        st.markdown(f":material/lock: {what}")
        if st.button("Back to my workspace", icon=":material/arrow_back:", key="leave_example"):
            leave()
    return True


def _about(card: Card) -> None:
    low, high = card.captured
    st.markdown(
        f"- {shell.escape(card.title)}: {len(card.runs)} runs at {card.effort} effort, {duration(card.seconds)} one "
        f"after another, {where(card)}, with Thaw {card.version}. Every number and curve is what they measured.\n"
        f"- To fit into the app, each block's features keep their {card.directions} strongest directions "
        f"({share(low, 1)} to {share(high, 1)} of the variance). The numbers by block were measured on all of them; "
        "maps, and two runs side by side, use what is kept. Weights and the features recorded during training are "
        "not here, so there is nothing to predict with, to resume or to replay.\n"
        "- The articles are the BBC's and may not be handed on with it: rows show their number and label.")
    api = shell.api()
    entry = next((d for d in api.data.bundled() if d.id == card.dataset), None)
    if api.recorded_has_texts() or entry is None:
        st.caption(":material/check_circle: The articles are on this machine, so rows show their texts.")
        return
    if st.button(f"Fetch the articles ({size(entry.size_bytes)})", icon=":material/download:", key="example_texts"):
        with shell.guarded():
            st.session_state["example_job"] = shell.own_api().models.prepare(shell.own_workspace(), dataset=entry.id)
    if job := st.session_state.get("example_job"):
        guard.fragment(_follow, run_every=live.POLL_S)(job)


def _follow(job: str) -> None:
    with shell.guarded():
        run = shell.own_api().runs.get(shell.own_workspace(), job)
        if run.status.final:
            del st.session_state["example_job"]
            st.rerun()
        live.badge(run)
