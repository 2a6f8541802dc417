"""The import report: what was found, with an example and a remedy each, and the rows left out."""

from __future__ import annotations

from typing import TYPE_CHECKING

import streamlit as st

from pages._ui import shell

if TYPE_CHECKING:
    from core.data.report import ImportReport

_LOOK = {"error": ("red", ":material/error:"), "warning": ("orange", ":material/warning:"), "info": ("blue", ":material/info:")}
LEAKS = frozenset({"leakage", "near-leakage"})
SPELLING = frozenset({"label-spelling"})


def findings(report: ImportReport) -> None:
    """All findings, the gravest first, and the download of rows left out."""
    if not report.findings:
        st.markdown(":material/check_circle: Nothing odd was found.")
    for finding in report.findings:
        colour, icon = _LOOK.get(finding.severity, _LOOK["info"])
        with st.container(horizontal=True, gap="small"):
            st.badge(finding.severity, icon=icon, color=colour)  # type: ignore[arg-type]
            st.markdown(f"{shell.escape(finding.message)} {shell.escape(finding.remedy)}"
                        + (f" For example: {shell.escape(finding.example)}" if finding.example else ""))
    if report.left_out:
        st.download_button(f"Rows left out, with reasons ({len(report.left_out):,})", data=report.left_out_csv, file_name="left-out.csv",
                           mime="text/csv", on_click="ignore", icon=":material/download:", key="left_out")


def has(report: ImportReport, codes: frozenset[str]) -> bool:
    """Whether one of these findings is there."""
    return any(finding.code in codes for finding in report.findings)
