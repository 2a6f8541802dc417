"""One dataset: what it holds, what the import found and what can be done about it, its shift set, its rows,
and deleting it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import streamlit as st

from core.domain.dataset import Content, Dataset, Split
from core.domain.numbers import Numbers
from core.spreadsheets import inert
from pages._ui import guard, pictures, shell, teaching
from pages._ui.data import mend, numbers, shift
from pages._ui.data import report as data_report
from pages._ui.words import rows_called, things, word

if TYPE_CHECKING:
    from core.data.report import ImportReport

SHOWN = 50
_HEADS = {"row_id": "Row", "text": "Text", "label": "Class", "file": "File"}
HITS, AROUND = 5, 80
"""Rows shown with the search text highlighted, and characters around it."""


def page(ws: str, dataset: Dataset) -> None:
    """All of one dataset."""
    shell.title(dataset.name)
    splits = numbers.splits(dataset)
    st.markdown(f"{numbers.sentence(Numbers.of(dataset))} · {_holds(dataset)}  \n{splits[:1].upper()}{splits[1:]}  \n"
                f"Source: {shell.escape(dataset.source)}"
                + (f" · licence: {shell.escape(dataset.licence)}" if dataset.licence else ""))
    if shell.recorded():
        _looked_at(ws, dataset)
        return
    with st.container(horizontal=True, vertical_alignment="center"):
        shell.link("train", "Train on it", icon=":material/model_training:", dataset=dataset.id)
        if st.button("Delete", icon=":material/delete:", key="delete_dataset"):
            _delete(ws, dataset)
    if mend.under_way(ws, dataset):
        return
    mend.history(ws, dataset)
    plan = mend.Plan(dataset)
    report = _report(ws, dataset, plan)
    mend.bar(ws, plan, report.findings if report else ())
    _counts(dataset, plan)
    teaching.of_dataset(ws, dataset)
    with shell.guarded():
        shift.section(ws, dataset)
    _rows(ws, dataset)


def _holds(dataset: Dataset) -> str:
    if dataset.task.labelled:
        return f"{len(dataset.classes)} classes of {things(dataset.task)}"
    answers = f", every answer one of {len(dataset.answers):,}" if dataset.answers else ""
    return f"{rows_called(dataset)} for language models{numbers.parts(dataset)}{answers}"


def _looked_at(ws: str, dataset: Dataset) -> None:
    """A dataset that only may be looked at."""
    report = shell.api().data.report(ws, dataset.id)
    if report is not None:
        st.header("Import report")
        for finding in report.findings:
            data_report.line(finding)
    _counts(dataset, None)
    _rows(ws, dataset)


def _report(ws: str, dataset: Dataset, plan: mend.Plan) -> ImportReport | None:
    report = None
    with shell.guarded():
        report = shell.api().data.report(ws, dataset.id)
    if report is not None:
        st.header("Import report")
        data_report.mendable(ws, dataset, report, plan)
    return report


def _counts(dataset: Dataset, plan: mend.Plan | None) -> None:
    if not dataset.task.labelled:
        return
    st.header("Rows by class and split", help=word("split"))
    splits = [s.value for s in Split if dataset.rows(s)]
    rows = [{"Class": c} | {s: dataset.counts.get(s, {}).get(c, 0) for s in splits} for c in dataset.classes]
    st.dataframe(inert(rows), hide_index=True, key="counts",
                 column_config={"Class": st.column_config.TextColumn(pinned=True)},
                 alt=f"Rows of each of {len(dataset.classes)} classes in {', '.join(splits)}")
    if plan is not None:
        mend.classes(plan)


def _rows(ws: str, dataset: Dataset) -> None:
    st.header("Rows")
    pictured = dataset.task.content is Content.PICTURE
    with st.container(horizontal=True, vertical_alignment="bottom"):
        split = st.selectbox("Split", [s.value for s in Split if dataset.rows(s)], key="rows_split", width=150)
        label = st.selectbox("Class", ["any class", *dataset.classes], key="rows_label", width=220) \
            if dataset.task.labelled else "any class"
        search = st.text_input("Name contains" if pictured else "Containing", key="rows_search", width=220,
                               placeholder="part of a file name" if pictured else "a word")
        pager = st.empty()
    asked = {"split": str(split), "search": search or "", "label": None if label == "any class" else str(label)}
    key = f"rows_page_{asked}"                                       # another choice starts on its first page
    found = shell.api().mending.rows(ws, dataset.id, start=(st.session_state.get(key, 1) - 1) * SHOWN, n=SHOWN, **asked)
    pages = -(-found.total // SHOWN) if found else 1
    if pages > 1:
        pager.number_input(f"Page, of {pages:,}", 1, pages, key=key, width=130)
    hidden = {"split"} if dataset.task.labelled else {"split", "label"}
    rows = [{name: cell for name, cell in row.items() if name not in hidden} for row in found.rows] if found else []
    if not rows:
        st.caption("No row matches; choose another class or word.")
        return
    if search and not pictured:
        _hits(rows, search)
    if pictured:
        small = pictures.of_dataset(str(shell.api().settings.home), ws, dataset.id, tuple(row["image"] for row in rows))
        rows = [{k: v for k, v in row.items() if k != "image"} for row in pictures.with_pictures(rows, "image", small)]
    rows = [{_HEADS.get(name, name): cell for name, cell in row.items()} for row in rows]
    drawn = pictures.table(rows, key="rows", alt=f"{len(rows)} rows of {dataset.name}", pictures=pictured,
                           height=460 if pictured else "auto", pick=not dataset.task.labelled)
    if drawn:
        _whole(ws, dataset, int(rows[drawn[0]]["Row"]))
    elif not dataset.task.labelled:
        st.caption("Tick a row at its left edge to read it whole.")
    if found and pages > 1:
        st.caption(f"{len(rows):,} of {found.total:,} rows that match.")


def _whole(ws: str, dataset: Dataset, row_id: int) -> None:
    """One row, all of it: a passage, or a conversation with its speakers."""
    row = shell.api().data.contents(ws, dataset.id, [row_id], whole=True).get(row_id)
    if row is not None:
        with st.container(border=True):
            st.markdown(f"**Row {row_id:,}**")
            st.text(row["text"])


def _hits(rows: Sequence[Mapping[str, Any]], search: str) -> None:
    """The first rows that contain the search text, with it highlighted among the words around it."""
    for row in rows[:HITS]:
        text = " ".join(str(row["text"]).split())
        at = text.lower().find(" ".join(search.lower().split()))
        if at < 0:
            continue
        start, end = max(0, at - AROUND), at + len(search)
        before, hit, after = text[start:at], text[at:end], text[end:end + AROUND]
        before = "…" * (start > 0) + shell.escape(before)
        after = shell.escape(after) + "…" * (end + AROUND < len(text))
        label = f"**{shell.escape(row['label'].strip())}** · " if row.get("label") else ""
        st.markdown(f"row {row['row_id']} · {label}{before}:orange-background[{shell.escape(hit)}]{after}")


@guard.dialog("Delete this dataset?")
def _delete(ws: str, dataset: Dataset) -> None:
    users = shell.api().data.users(ws, dataset.id)
    st.markdown(f"**{shell.escape(dataset.name)}**, {dataset.rows_kept:,} rows, will be gone for good.")
    if users:
        names = ", ".join(shell.escape(r.name) for r in users[:5])
        st.markdown(f":material/warning: {len(users)} run{'s' * (len(users) > 1)} used it. They keep what they "
                    f"measured, but cannot be resumed or forked any more: {names}{' …' if len(users) > 5 else ''}")
    if known := shell.api().mending.before(ws, dataset.id):
        st.markdown(f"The data from before the last change ({known[0].rows_kept:,} rows) is in the list again then.")
    with st.container(horizontal=True):
        if st.button("Delete", type="primary", icon=":material/delete:", key="dataset_delete_yes"):
            with shell.guarded():
                shell.api().data.delete(ws, dataset.id)
                shell.go("data")
        if st.button("Keep it", key="dataset_delete_no"):
            st.rerun()
