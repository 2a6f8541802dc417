"""The import report: what was found, the rows it is about, what can be done; and the rows left out."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import TYPE_CHECKING

import streamlit as st

from core.api import RowPage
from core.domain.dataset import Dataset
from pages._ui import shell
from pages._ui.data import finding_rows, mend

if TYPE_CHECKING:
    from core.data.report import Finding, ImportReport, LeftOut

LEFT_OUT = "left-out"

_LOOK = {"error": ("red", ":material/error:"), "warning": ("orange", ":material/warning:"),
         "info": ("blue", ":material/info:")}
NOTHING = ":material/check_circle: Nothing odd was found."


def findings(report: ImportReport) -> None:
    """All findings, the gravest first, and the download of rows left out."""
    if not report.findings:
        st.markdown(NOTHING)
    for finding in report.findings:
        line(finding)
    left_out(report)


def mendable(ws: str, dataset: Dataset, report: ImportReport, plan: mend.Plan) -> None:
    """The same, each finding with its rows and what can be done about it."""
    if not report.findings:
        st.markdown(NOTHING)
    counts = shell.api().mending.found(ws, dataset.id)
    if counts is None:
        _check_again(ws, dataset, report)
    for finding in report.findings:
        if finding.code == LEFT_OUT:
            with st.container(border=True):
                line(finding, examples=False)
                _left_out_rows(ws, dataset, report, finding)
            continue
        rows = (counts or {}).get(finding.code, 0)
        answers = counts is not None and shell.api().mending.answers(finding.code)
        if not rows and not answers:
            line(finding)
            continue
        with st.container(border=True):
            line(finding, examples=not rows)
            with st.container(horizontal=True, vertical_alignment="center"):
                shown = rows and st.toggle(f"Show rows ({rows:,})", key=f"show_{dataset.id}_{finding.code}")
                mend.choice(plan, finding)
            if shown:
                _rows(ws, dataset, finding, plan)
    left_out(report)


def _rows(ws: str, dataset: Dataset, finding: Finding, plan: mend.Plan) -> None:
    picked = finding_rows.table(
        ws, dataset.id, lambda **asked: shell.api().mending.rows(ws, dataset.id, finding.code, **asked),
        key=f"found_{dataset.id}_{finding.code}", alt=f"Rows of the finding: {finding.message}", pick=True)
    mend.of_picked(plan, finding, picked)


def _left_out_rows(ws: str, dataset: Dataset, report: ImportReport, finding: Finding) -> None:
    """Numbers of the rows that were left out for a reason; what stood in them was not kept."""
    reason = finding.message.partition(": ")[2].rstrip(".")
    of_reason = [item for item in report.left_out if item.reason == reason]
    if of_reason and st.toggle(f"Show rows ({len(of_reason):,})", key=f"show_{dataset.id}_left_out_{reason}"):
        finding_rows.table(ws, dataset.id, functools.partial(_page_of, of_reason), key=f"left_{dataset.id}_{reason}",
                           alt=f"Rows left out: {reason}", sorts=("row",))


def _page_of(items: Sequence[LeftOut], *, search: str = "", sort: str = "", descending: bool = False, start: int = 0,
             n: int = 50) -> RowPage:
    matching = [item for item in items if search.casefold() in f"{item.file} {item.reason}".casefold()]
    ordered = matching[::-1] if descending else matching
    rows = [{"Row": item.row, **({"File": item.file} if item.file else {}), "Reason": item.reason}
            for item in ordered[start : start + n]]
    return RowPage(rows=rows, total=len(matching), of=len(items))


def _check_again(ws: str, dataset: Dataset, report: ImportReport) -> None:
    """Offer to look at the rows of a dataset of an earlier version, which names examples only."""
    if not any(finding.rows for finding in report.findings):
        return
    with st.container(border=True, horizontal=True, vertical_alignment="center"):
        st.markdown("This dataset was imported by an earlier version, which kept only examples of what it found.")
        if st.button("Find all rows", icon=":material/search:", key="recheck",
                     help="A worker checks its rows again; they stay as they are."):
            st.session_state[f"mending_{dataset.id}"] = shell.api().mending.recheck(ws, dataset.id)
            st.rerun()


def line(finding: Finding, *, examples: bool = True) -> None:
    """One finding in words."""
    colour, icon = _LOOK.get(finding.severity, _LOOK["info"])
    st.markdown(f":{colour}-badge[{icon} {finding.severity}] **{shell.escape(finding.message)}** "
                f"{shell.escape(finding.remedy)}" + (_example(finding) if examples else ""))


def left_out(report: ImportReport, *, key: str = "left_out") -> None:
    """The download of rows that were read and not kept."""
    if report.left_out:
        st.download_button(f"Rows left out, with reasons ({len(report.left_out):,})", data=report.left_out_csv,
                           file_name="left-out.csv", mime="text/csv", on_click="ignore", icon=":material/download:",
                           key=key)


def _example(finding: Finding) -> str:
    """A line with a piece of what was found and the numbers of a few rows; nothing where there is neither."""
    rows = f"row{'s' * (len(finding.rows) > 1)} {', '.join(f'{row:,}' for row in finding.rows)}" if finding.rows else ""
    example = " ".join(finding.example.split())
    if example:
        return f"  \nFor example: *{shell.escape(example)}*" + (f" ({rows})" if rows else "")
    return f"  \n{rows.capitalize()}{' …' * (len(finding.rows) < finding.count)}" if rows else ""

