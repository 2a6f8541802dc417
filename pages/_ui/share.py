"""Finished runs handed on: the button of the experiment, Compare and Run pages."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from core.api.share import file_name
from pages._ui import guard, shell


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
