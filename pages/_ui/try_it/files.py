"""A whole file: every row answered by a worker, as a table to take along."""

from __future__ import annotations

from pathlib import Path

import streamlit as st

from core import settings
from core.domain.dataset import Content
from core.domain.run import Run, Status
from core.plots.numbers import size
from core.spreadsheets import inert
from pages._ui import guard, live, shell
from pages._ui.data import importing
from pages._ui.try_it.sides import Chosen

SHOWN = 5


def section(ws: str, chosen: Chosen) -> None:
    """The uploader, and what became of files before; for models that tell classes."""
    if chosen.speaks:
        return
    st.header("A whole file")
    pictures = chosen.content is Content.PICTURE
    st.caption(("A ZIP or tar archive of pictures, or a table that holds them: a column of Parquet, pixels in a CSV; "
                "or arrays."
                if pictures else
                "A table with the text column of the training data, or a text file with a text a line.")
               + " A worker answers each with the chosen run's tuned model.")
    key = f"try_file_{st.session_state.get('try_files', 0)}"
    st.file_uploader("Archive" if pictures else "Table or text file", key=key, label_visibility="collapsed",
                     type=[*(importing.WITH_PICTURES if pictures else importing.TABLES), *importing.ARCHIVES],
                     max_upload_size=settings.load().max_upload_mb, on_change=guard.callback(_arrived), args=(ws, key))
    path = st.session_state.get("try_kept_file")
    if path and Path(path).is_file():
        st.caption(f":material/draft: {shell.escape(Path(path).name)}, {size(Path(path).stat().st_size)}")
        with shell.guarded():
            column = "" if pictures else _column(ws, chosen.run.id, Path(path))
            if st.button("Predict every row", icon=":material/table_rows:", key="try_file_go", disabled=column is None):
                shell.api().playground.predict_file(ws, chosen.run.id, Path(path), text=column or "")
                st.session_state.pop("try_kept_file")
                st.rerun()
    jobs = shell.api().playground.file_jobs(ws, chosen.run.id)[:SHOWN]
    busy = any(not job.status.final for job in jobs)
    guard.fragment(_jobs, run_every=live.POLL_S if busy else None)(ws, chosen.run.id, busy)


@st.cache_data(max_entries=16, show_spinner="Looking at the first rows…")
def _looked_at(ws: str, run: str, path: str) -> tuple[str, tuple[str, ...]]:
    """Uploads never change: each is looked at once."""
    return shell.api().playground.text_column(ws, run, Path(path))


def _column(ws: str, run: str, path: Path) -> str | None:
    """The column to read texts from, where the table has none of the name that training used; empty where it has, None
    until one is chosen."""
    if path.suffix.lower().removeprefix(".") not in importing.TABLES:
        return ""
    lacks, columns = _looked_at(ws, run, str(path))
    if not lacks:
        return ""
    shell.problem(f"{path.name} has no column {lacks!r} to read texts from.",
                  f"The run was trained on {lacks!r}. This table has: {', '.join(map(repr, columns))}.",
                  "Choose the column that holds the texts, or give a table with that name in its first row.")
    return st.selectbox("Column with the texts", columns, index=None, key="try_file_column",
                        placeholder="Choose a column")


def _arrived(ws: str, key: str) -> None:
    found = st.session_state[key]
    if found is not None:
        st.session_state["try_files"] = st.session_state.get("try_files", 0) + 1
        st.session_state["try_kept_file"] = str(
            importing.keep(ws, [found], most_bytes=settings.load().max_upload_mb * 1_000_000))


def _jobs(ws: str, run_id: str, was_busy: bool) -> None:
    jobs = shell.api().playground.file_jobs(ws, run_id)[:SHOWN]
    if was_busy and all(job.status.final for job in jobs):
        st.rerun()
    for job in jobs:
        with st.container(border=True):
            _job(ws, job)


def _job(ws: str, job: Run) -> None:
    with st.container(horizontal=True, vertical_alignment="center"):
        st.markdown(f"**{shell.escape(job.name)}**", width="content")
        live.badge(job)
        if not job.status.final and st.button("Stop", icon=":material/stop:", key=f"try_stop_{job.id}",
                                              disabled=job.status is Status.STOPPING):
            shell.api().runs.stop(ws, job.id)
    if not job.status.final:
        run, state = live.follow(ws, job.id)
        live.bar(run, state)
        return
    live.failure(job)
    found = shell.api().playground.file_summary(ws, job.id)
    if found is None:
        return
    labels = ", ".join(f"{shell.escape(label)} {n:,}" for label, n in list(found["labels"].items())[:8])
    st.markdown(f"{found['rows_read']:,} rows read = {found['predicted']:,} predicted + {found['left_out']:,} left "
                f"out. {labels}")
    if reasons := found.get("reasons"):
        st.caption("Left out: " + "; ".join(f"{shell.escape(reason)} ({n:,})" for reason, n in reasons.items())
                   + ". Each row with its reason is in the table.")
    if found["temperature"] is not None:
        st.caption(f"Confidence is the probability after temperature scaling ({found['temperature']:.2f}, fitted on "
                   "the run's validation rows): above 1 the model was too sure of itself, below 1 not sure enough.")
    for note in found["notes"]:
        st.caption(f":material/info: {shell.escape(note)}")
    st.download_button("Predictions as CSV", icon=":material/table:", key=f"try_table_{job.id}", mime="text/csv",
                       data=guard.made(lambda: shell.api().playground.file_table(ws, job.id)), on_click="ignore",
                       file_name=f"predictions-{Path(found['file']).stem}.csv")
    if unlike := found.get("unlike"):
        alarms = "" if unlike["false_alarms"] is None else (
            f" The same rule flags {100 * unlike['false_alarms']:.0f} % of the test rows, which are no different.")
        st.caption(f":material/troubleshoot: {unlike['rows']:,} rows are unlike the training data: farther from the "
                   f"fifth nearest training row than 95 % of the validation rows (cosine distance over "
                   f"{unlike['limit']:.3f}).{alarms}")
    if found["doubtful"]:
        with st.expander("The most doubtful rows", icon=":material/psychology_alt:"):
            st.dataframe(inert(found["doubtful"]), hide_index=True, key=f"try_doubt_{job.id}",
                         alt="Rows whose two likeliest classes are closest, the most doubtful first")
