"""The datasets of a workspace, and the bundled ones that can be added."""

from __future__ import annotations

import streamlit as st

from core.domain.run import JobKind
from core.plots.numbers import size
from pages._ui import live, shell, start
from pages._ui.data import numbers
from pages._ui.words import rows_called


def own(ws: str) -> None:
    """One row a dataset of this workspace, with the ways on."""
    datasets = shell.api().data.all(ws)
    if not datasets and not shell.api().data.damaged(ws):
        start.empty(ws, "No dataset yet. Upload texts or pictures below, add a bundled dataset, or start with the "
                        "first comparison, which brings one.", links=("train",))
    for dataset in datasets:
        with st.container(border=True, horizontal=True, vertical_alignment="center"):
            st.markdown(f"**{shell.escape(dataset.name)}** · {numbers.brief(dataset)}")
            shell.link("dataset", "Look at it", icon=":material/table_rows:", dataset=dataset.id)
            if not shell.recorded():
                shell.link("train", "Train on it", icon=":material/model_training:", dataset=dataset.id)
    for ref, why in shell.api().data.damaged(ws).items():
        with st.container(border=True, horizontal=True, vertical_alignment="center"):
            st.markdown(f":material/broken_image: **A damaged dataset** ({ref}) · {shell.escape(why)} Its file can be "
                        "imported again.")
            if st.button("Delete", icon=":material/delete:", key=f"delete_damaged_{ref}"):
                with shell.guarded():
                    shell.api().data.delete(ws, ref)
                    st.rerun()


def imports(ws: str) -> None:
    """Imports that are waiting or under way, one link each."""
    for run in shell.api().runs.all(ws, kind=JobKind.IMPORT):
        if not run.status.final:
            with st.container(border=True, horizontal=True, vertical_alignment="center"):
                st.markdown(f"**{shell.escape(run.name)}**")
                live.badge(run)
                shell.link("dataset", "Watch it", icon=":material/arrow_forward:", width=None, **{"import": run.id})


def bundled(ws: str) -> None:
    """Datasets that Thaw can fetch by itself."""
    api = shell.api()
    for entry in api.data.bundled():
        with st.container(border=True):
            size_bytes = sum(part.size_bytes for part in api.data.parts(entry))
            fetched = f"{size(size_bytes)} to fetch" if size_bytes else "nothing to fetch"
            st.markdown(f"**{entry.name}** · {entry.rows:,} {rows_called(entry)} · {fetched}")
            st.caption(f"{entry.description} [Source]({entry.source_url}), licence: "
                       f"[{entry.licence}]({entry.licence_url}).")
            if api.data.is_there(ws, entry.id):
                st.caption(":material/check_circle: In this workspace.")
                continue
            if st.button("Add", key=f"add_{entry.id}", icon=":material/download:"):
                with shell.guarded():
                    st.session_state["data_job"] = (entry.id, api.models.prepare(ws, dataset=entry.id))
            job = st.session_state.get("data_job")
            if job and job[0] == entry.id:
                live.prepare_panel(ws, job[1])
