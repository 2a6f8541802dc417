"""The import report: what was found, with an example and a remedy each, and the rows left out."""

from __future__ import annotations

from typing import TYPE_CHECKING

import streamlit as st

from core.domain.dataset import Content, Dataset
from pages._ui import pictures, shell

if TYPE_CHECKING:
    from core.data.report import Finding, ImportReport

_LOOK = {"error": ("red", ":material/error:"), "warning": ("orange", ":material/warning:"),
         "info": ("blue", ":material/info:")}
LEAKS = frozenset({"leakage", "near-leakage"})
_NO_EXAMPLES = frozenset({"left-out"})
"""Findings whose rows were not kept."""
SPELLING = frozenset({"label-spelling"})


def findings(report: ImportReport, ws: str = "", dataset: Dataset | None = None) -> None:
    """All findings, the gravest first, and the download of rows left out.

    dataset: the one whose row ids are the report's row numbers; of pictures, the examples are shown then.
    """
    shown = _examples(report, ws, dataset) if dataset is not None and dataset.task.content is Content.PICTURE else {}
    if not report.findings:
        st.markdown(":material/check_circle: Nothing odd was found.")
    for finding in report.findings:
        colour, icon = _LOOK.get(finding.severity, _LOOK["info"])
        st.markdown(f":{colour}-badge[{icon} {finding.severity}] **{shell.escape(finding.message)}** "
                    f"{shell.escape(finding.remedy)}"
                    + _example(finding))
        if pngs := [(row, *shown[row]) for row in finding.rows if row in shown]:
            with st.container(horizontal=True, gap="small"):
                for row, png, label in pngs:
                    st.image(png, width=pictures.ROW_HEIGHT, caption=f"row {row}: {shell.escape(label)}")
    if report.left_out:
        st.download_button(f"Rows left out, with reasons ({len(report.left_out):,})", data=report.left_out_csv,
                           file_name="left-out.csv", mime="text/csv", on_click="ignore", icon=":material/download:",
                           key="left_out")


def _example(finding: Finding) -> str:
    """A line with a piece of what was found and the numbers of a few rows; nothing where there is neither."""
    rows = f"row{'s' * (len(finding.rows) > 1)} {', '.join(f'{row:,}' for row in finding.rows)}" if finding.rows else ""
    example = " ".join(finding.example.split())
    if example:
        return f"  \nFor example: *{shell.escape(example)}*" + (f" ({rows})" if rows else "")
    return f"  \n{rows.capitalize()}{' …' * (len(finding.rows) < finding.count)}" if rows else ""


def _examples(report: ImportReport, ws: str, dataset: Dataset) -> dict[int, tuple[bytes, str]]:
    """row number -> (small PNG, class) of all rows that the findings name and the dataset has."""
    ids = sorted({row for finding in report.findings if finding.code not in _NO_EXAMPLES for row in finding.rows})
    rows = shell.api().data.rows(ws, dataset.id, n=len(ids), ids=ids) if ids else []
    small = pictures.of_dataset(str(shell.api().settings.home), ws, dataset.id,
                                tuple(str(row["image"]) for row in rows))
    return {row["row_id"]: (small[row["image"]], str(row["label"])) for row in rows if row["image"] in small}


def has(report: ImportReport, codes: frozenset[str]) -> bool:
    """Whether one of these findings is there."""
    return any(finding.code in codes for finding in report.findings)
