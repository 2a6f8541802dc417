"""Finished runs handed on, and those of others taken in: the parts of the experiment, Compare, Run and Runs pages."""

from __future__ import annotations

import time
from collections.abc import Sequence

import streamlit as st

from core.api.share import file_name
from core.domain.run import Run
from core.errors import RecipeError, ThawError
from core.plots.numbers import size
from pages._ui import guard, shell
from pages._ui.train import prefill

LARGE_BYTES = 100_000_000
"""Features above this are for the command line: a browser's download is held in memory."""


def popover(ws: str, ids: Sequence[str]) -> None:
    """What can be handed on of these runs; nothing without one."""
    if not ids:
        return
    share, key = shell.api().share, ids[0]
    title = share.title(ws, ids)
    with st.popover("Share", icon=":material/ios_share:"):
        st.caption("One file that others read without this server, an account or a network.")
        bound = share.bound(ws, ids)
        rows = st.checkbox("With rows of the dataset", value=not bound, key=f"share_rows_{key}",
                           help="Texts and pictures beside the maps, and what language models answered. Without them, "
                                "rows show their number and class.")
        if bound:
            st.caption(f":material/gavel: {shell.escape(', '.join(bound))}: its licence does not let rows be handed on "
                       "without conditions.")
        st.download_button("One HTML file", data=guard.made(lambda: share.report(ws, ids, rows=rows)),
                           file_name=file_name(title, "html"), mime="text/html", on_click="ignore",
                           icon=":material/html:", key=f"share_report_{key}",
                           help="Every figure, table and verdict; the maps with a lasso. At most 15 MB. Takes some "
                                "seconds.")
        _archive(ws, ids, title, key=key, rows=rows)


def _archive(ws: str, ids: Sequence[str], title: str, *, key: str, rows: bool) -> None:
    """For another Thaw, once all have ended."""
    share = shell.api().share
    ended = share.ended(ws, ids)
    taken = share.features_bytes(ws, ended)
    features = False
    if taken and taken <= LARGE_BYTES:
        features = st.checkbox(f"Archive with features ({size(taken)})", key=f"share_features_{key}",
                               help="So that the Features page of the other Thaw shows these runs, too.")
    elif taken:
        st.caption(f"Features take {size(taken)}, too much to send to a browser: the archive is without them. Whoever "
                   "runs this server can write one with them from the command line.")
    st.download_button("Archive for another Thaw", icon=":material/folder_zip:", mime="application/zip",
                       data=guard.made(lambda: share.archive_bytes(ws, ended, rows=rows, features=features)),
                       file_name=file_name(title, "thaw.zip"), on_click="ignore", key=f"share_archive_{key}",
                       disabled=not ended,
                       help="Recipes, results, predictions and curves, without models. Imported on the Runs page, it "
                            "stands beside own runs there.")


def importing(ws: str) -> None:
    """At the end of the Runs page: take in an archive."""
    if shell.recorded():
        return
    with st.expander("Import an archive", icon=":material/move_to_inbox:"):
        st.caption("Runs that somebody else shared as an archive: they stand beside yours, marked as imported, to be "
                   "looked at, compared and started anew.")
        key = f"archive_{st.session_state.get('archives', 0)}"
        st.file_uploader("Archive", type=["zip"], key=key, label_visibility="collapsed",
                         max_upload_size=shell.api().settings.max_upload_mb, on_change=guard.callback(_arrived),
                         args=(ws, key))
        if refused := st.session_state.pop("archive_refused", None):
            shell.show_error(refused)
    if came := st.session_state.pop("archive_came", None):
        shell.go("experiment", experiment=came)


def _arrived(ws: str, key: str) -> None:
    upload = st.session_state[key]
    if upload is None:
        return
    st.session_state["archives"] = st.session_state.get("archives", 0) + 1  # a fresh, empty uploader
    try:
        st.session_state["archive_came"] = shell.api().share.take_in_upload(ws, upload).experiments[0]
    except ThawError as error:
        st.session_state["archive_refused"] = error


def imported(ws: str, runs: Sequence[Run], *, experiment: str = "") -> None:
    """Where these runs came from, and the way to start them anew. experiment: its name, where they are a whole one."""
    about = runs[0].payload["imported"]
    made = time.strftime("%d %B %Y", time.gmtime(float(about.get("made") or 0))).lstrip("0")
    title, version = (shell.escape(str(about.get(name))) for name in ("title", "thaw"))
    st.caption(f":material/move_to_inbox: Imported: trained elsewhere, shared on {made} by Thaw {version} as *{title}*."
               " Nothing in it can be changed; the experiment can be deleted as a whole.")
    label = "Duplicate with changes" if experiment else "Fork"
    if st.button(label, icon=":material/fork_right:", key="fork_imported",
                 help="Opens the Train page with " + ("these recipes" if experiment else "this recipe") + "."):
        with shell.guarded():
            missing = dict.fromkeys(said for run in runs for said in shell.api().share.missing(ws, run.id))
            if missing:
                raise RecipeError("This cannot be trained here yet.", why=" ".join(missing),
                                  remedy="Bring what is missing, then press again.")
            prefill.train(ws, experiment or runs[0].name, runs)
            shell.go("train")
