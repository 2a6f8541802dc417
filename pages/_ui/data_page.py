"""Data: the dataset or import that the address names, or else all datasets and the ways in."""

from __future__ import annotations

import streamlit as st

from pages._ui import data_detail, data_import, data_job, data_list, shell


def page(ws: str) -> None:
    """Drawn at `/data` and at `/dataset` alike: the browser's Back button meets the one address with the query of the other."""
    ref, job = st.query_params.get("dataset"), st.query_params.get("import")
    if ref is None and job is None:
        _all(ws)
        return
    shell.link("data", "All datasets", icon=":material/arrow_back:")
    if ref is None:
        data_job.page(ws, str(job))
        return
    dataset = shell.api().dataset(ws, ref)
    if dataset is None:
        shell.problem("This workspace has no such dataset.", "It was deleted, or it belongs to another workspace.",
                      "Choose one from the list of all datasets.")
        return
    data_detail.page(ws, dataset)


def _all(ws: str) -> None:
    st.title("Data")
    data_list.imports(ws)
    data_list.own(ws)
    st.subheader("Bring your own data")
    data_import.panel(ws)
    st.subheader("Bundled datasets")
    data_list.bundled(ws)
