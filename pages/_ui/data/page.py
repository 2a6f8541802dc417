"""Data: all datasets and the ways in, or the dataset or import that the address names."""

from __future__ import annotations

import streamlit as st

from core.errors import NotFoundError
from pages._ui import example, shell
from pages._ui.data import datasets, detail, importing
from pages._ui.data import job as data_job


def one(ws: str) -> None:
    """The dataset or import that the address names."""
    named = shell.opened("dataset", "import")
    ref, job = named.get("dataset"), named.get("import")
    if ref is None and job is None:
        everything(ws)
        return
    if ref and (undone := st.session_state.pop(f"undone_{ref}", None)):
        shell.go("dataset", dataset=undone)
    shell.link("data", "All datasets", icon=":material/arrow_back:")
    if ref is None:
        data_job.page(ws, str(job))
        return
    dataset = shell.api().data.find(ws, ref)
    if dataset is None:
        raise NotFoundError("This workspace has no such dataset.",
                            why="It was deleted, or it belongs to another workspace.",
                            remedy="Choose one from the list of all datasets.")
    detail.page(ws, dataset)


def everything(ws: str) -> None:
    """All datasets, and the ways to bring one."""
    shell.title("Data")
    datasets.imports(ws)
    datasets.own(ws)
    if example.closed("Nothing can be brought into the recorded example; into your own workspace everything can."):
        return
    st.header("Bring your own data")
    importing.panel(ws)
    st.header("Bundled datasets")
    datasets.bundled(ws)
