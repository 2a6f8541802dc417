"""One import under way or done: live progress, the report, and the ways on. Its address survives a reload."""

from __future__ import annotations

from pathlib import Path

import streamlit as st

from core.domain.dataset import Dataset
from core.domain.numbers import Numbers
from core.domain.run import JobKind, Run
from core.errors import NotFoundError
from pages._ui import guard, live, shell
from pages._ui.data import importing, numbers
from pages._ui.data import report as data_report


def page(ws: str, job: str) -> None:
    """All of one import."""
    run = shell.api().runs.get(ws, job)
    if run.kind is not JobKind.IMPORT:
        raise NotFoundError("This is not an import.", why="The address names a run of another kind.",
                            remedy="Go back to all datasets.")
    if concerned := shell.api().mending.concerns(run):
        shell.go("dataset", dataset=concerned)
    shell.title(run.name)
    if not run.status.final:
        live.import_panel(ws, job)
        return
    live.badge(run)
    dataset = shell.api().data.job_dataset(ws, job)
    if run.payload.get("hub"):
        _fetched(ws, run)
        return
    if run.failure is not None:
        live.failure(run)
        st.download_button("Log", data=guard.made(lambda: shell.api().runs.log(ws, job)), file_name=f"{job}.log.txt",
                           mime="text/plain", on_click="ignore", icon=":material/description:", key="log",
                           help="Everything the import wrote.")
    elif dataset is None and run.payload.get("keep", True):
        st.markdown(":material/info: Nothing was kept: the import was stopped, or its dataset was deleted since.")
    _numbers(ws, job)
    _ways_on(ws, run, dataset)
    report = shell.api().data.job_report(ws, job)
    if report is not None:
        st.header("Import report")
        if dataset is not None:
            st.caption("The rows of each finding, and what can be done about them, are on the dataset's page.")
        data_report.findings(report)


def _fetched(ws: str, run: Run) -> None:
    """A hub set that a worker has fetched, or could not fetch: on to its columns, or another try."""
    path = shell.api().data.fetched_upload(ws, run.id)
    if path is not None and st.session_state.pop("fetching", None) == run.id:
        importing.use(ws, path)
        shell.go("data")
    if run.failure is not None:
        live.failure(run)
    elif path is None:
        st.markdown(":material/info: What was fetched is not here any more: it was imported, dropped, or left alone "
                    "for a day.")
    else:
        st.markdown("Fetched. Nothing is kept yet: say next what each column is.")
    with st.container(horizontal=True):
        if path is not None and st.button("Choose its columns", type="primary", icon=":material/view_column:",
                                          key="hub_columns"):
            importing.use(ws, path)
            shell.go("data")
        if path is None and st.button("Fetch it again", icon=":material/refresh:", key="hub_again"):
            wanted = run.payload["hub"]
            with shell.guarded():
                job = shell.api().data.fetch_hub_set(ws, wanted["id"], configuration=wanted.get("configuration"),
                                                     split=wanted.get("split"))
                st.session_state["fetching"] = job
                shell.go("dataset", **{"import": job})


def _numbers(ws: str, job: str) -> None:
    report = shell.api().data.job_report(ws, job)
    if report is not None:
        found = Numbers.of(report)
        st.markdown(f"{numbers.sentence(found)} · {_classes(found)}{shell.escape(report.format)}")


def _classes(found: Numbers) -> str:
    """`5 classes · `; nothing for rows without labels, which are counted under the empty name."""
    named = [name for name in found.classes if name]
    return f"{len(named):,} classes · " if named else ""


def _ways_on(ws: str, run: Run, dataset: Dataset | None) -> None:
    """Open the dataset, or go back to the columns."""
    path = Path(run.payload["path"]) if run.payload.get("path") else None
    with st.container(horizontal=True):
        if dataset is not None and st.button("Open the dataset", type="primary", icon=":material/table_rows:",
                                             key="open_dataset",
                                             help="The uploaded file is removed then; its rows are kept."):
            if path is not None:
                importing.forget(ws, path)
            shell.go("dataset", dataset=dataset.id)
        if path is not None and path.exists() and dataset is None and st.button(
                "Back to the columns", icon=":material/view_column:", key="back_to_columns"):
            st.session_state["upload_path"] = str(path)
            shell.go("data")
