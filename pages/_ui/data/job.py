"""One import under way or done: live progress, the report, and the ways on. Its address survives a reload."""

from __future__ import annotations

from pathlib import Path

import streamlit as st

from core.domain.dataset import Dataset
from core.domain.run import JobKind, Run
from core.errors import NotFoundError
from pages._ui import guard, live, shell
from pages._ui.data import importing
from pages._ui.data import report as data_report


def page(ws: str, job: str) -> None:
    """All of one import."""
    run = shell.api().runs.get(ws, job)
    if run.kind is not JobKind.IMPORT:
        raise NotFoundError("This is not an import.", why="The address names a run of another kind.",
                            remedy="Go back to all datasets.")
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
        data_report.findings(report, ws, None if run.payload.get("shift_of") else dataset)


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
        st.markdown(f"{report.rows_read:,} rows read, **{report.rows_kept:,} usable**, {len(report.left_out):,} left "
                    f"out · {len(report.classes):,} classes · {shell.escape(report.format)}")


def _ways_on(ws: str, run: Run, dataset: Dataset | None) -> None:
    """Open the dataset, import again with what the report advises, or go back to the columns."""
    report = shell.api().data.job_report(ws, run.id)
    path = Path(run.payload["path"]) if run.payload.get("path") else None
    again = path is not None and path.exists()
    used = run.payload.get("options") or {}
    leaks = again and report and data_report.has(report, data_report.LEAKS) and not used.get("fix_leaks")
    spelling = again and report and data_report.has(report, data_report.SPELLING) and not used.get("merge_labels")
    with st.container(horizontal=True):
        if dataset is not None and st.button("Open the dataset", type="primary", icon=":material/table_rows:",
                                             key="open_dataset",
                                             help="The uploaded file is removed then; its rows are kept."):
            if path is not None:
                importing.forget(ws, path)
            shell.go("dataset", dataset=dataset.id)
        if leaks and st.button(
                "Fix the leaks and import again", icon=":material/healing:", key="fix_leaks",
                help="Validation and test rows with a twin on another side move to the side of their twin."):
            _again(ws, run, suffix="leaks fixed", fix_leaks=True, merge_labels=bool(used.get("merge_labels")))
        if spelling and st.button(
                "Merge the spellings and import again", icon=":material/merge:", key="merge_labels",
                help="Labels that differ only in case, spaces, invisible characters or the way a number is written "
                     "become one class."):
            _again(ws, run, suffix="labels merged", fix_leaks=bool(used.get("fix_leaks")), merge_labels=True)
        if again and dataset is None and st.button(
                "Back to the columns", icon=":material/view_column:", key="back_to_columns"):
            st.session_state["upload_path"] = str(path)
            shell.go("data")


def _again(ws: str, run: Run, *, suffix: str, fix_leaks: bool, merge_labels: bool) -> None:
    """Submit the same import with other options; what the first one made stays."""
    api, payload = shell.api(), run.payload
    options = api.data.import_options(fix_leaks=fix_leaks, merge_labels=merge_labels,
                                      template=(payload.get("options") or {}).get("template"))
    with shell.guarded():
        job = api.data.submit_import(ws, Path(payload["path"]), name=f"{payload.get('name', '')} ({suffix})",
                                     roles=payload.get("roles"),
                                options=options, shift_of=payload.get("shift_of"))
        shell.go("dataset", **{"import": job})
