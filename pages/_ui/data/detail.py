"""One dataset: what it holds, what the import found, its rows, and deleting it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import streamlit as st

from core.domain.dataset import Content, Dataset, Split
from core.spreadsheets import inert
from pages._ui import guard, pictures, shell
from pages._ui.data import report as data_report
from pages._ui.words import things, word

SHOWN = 50
HITS, AROUND = 5, 80
"""Rows shown with the search text highlighted, and characters around it."""


def page(ws: str, dataset: Dataset) -> None:
    """All of one dataset."""
    shell.title(dataset.name)
    left_out = dataset.rows_read - dataset.rows_kept
    st.markdown(f"{dataset.rows_read:,} rows read, **{dataset.rows_kept:,} kept**, {left_out:,} left out · "
                f"{len(dataset.classes)} classes of {things(dataset.task)} · source: {shell.escape(dataset.source)}"
                + (f" · licence: {shell.escape(dataset.licence)}" if dataset.licence else ""))
    with st.container(horizontal=True, vertical_alignment="center"):
        shell.link("train", "Train on it", icon=":material/model_training:", dataset=dataset.id)
        if st.button("Delete", icon=":material/delete:", key="delete_dataset"):
            _delete(ws, dataset)
    _report(ws, dataset)
    _counts(dataset)
    _rows(ws, dataset)


def _report(ws: str, dataset: Dataset) -> None:
    report = None
    with shell.guarded():
        report = shell.api().data.report(ws, dataset.id)
    if report is None:
        return
    st.header("Import report")
    data_report.findings(report, ws, dataset)


def _counts(dataset: Dataset) -> None:
    st.header("Rows by class and split", help=word("split"))
    splits = [s.value for s in Split if dataset.rows(s)]
    rows = [{"Class": c} | {s: dataset.counts.get(s, {}).get(c, 0) for s in splits} for c in dataset.classes]
    st.dataframe(inert(rows), hide_index=True, key="counts",
                 column_config={"Class": st.column_config.TextColumn(pinned=True)},
                 alt=f"Rows of each of {len(dataset.classes)} classes in {', '.join(splits)}")


def _rows(ws: str, dataset: Dataset) -> None:
    st.header("Rows")
    pictured = dataset.task.content is Content.PICTURE
    with st.container(horizontal=True, vertical_alignment="bottom"):
        split = st.selectbox("Split", [s.value for s in Split if dataset.rows(s)], key="rows_split", width=150)
        label = st.selectbox("Class", ["any class", *dataset.classes], key="rows_label", width=220)
        search = st.text_input("Name contains" if pictured else "Containing", key="rows_search", width=220,
                               placeholder="part of a file name" if pictured else "a word")
    rows = shell.api().data.rows(ws, dataset.id, n=SHOWN, split=str(split), search=search or "",
                                   label=None if label == "any class" else str(label))
    if not rows:
        st.caption("No row matches; choose another class or word.")
        return
    if search and not pictured:
        _hits(rows, search)
    if pictured:
        small = pictures.of_dataset(str(shell.api().settings.home), ws, dataset.id, tuple(row["image"] for row in rows))
        rows = [{k: v for k, v in row.items() if k != "image"} for row in pictures.with_pictures(rows, "image", small)]
    pictures.table(rows, key="rows", alt=f"{len(rows)} rows of {dataset.name}", pictures=pictured,
                   height=460 if pictured else "auto")
    if len(rows) == SHOWN:
        st.caption(f"The first {SHOWN} that match.")


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
        st.markdown(f"row {row['row_id']} · **{shell.escape(row['label'].strip())}** · "
                    f"{before}:orange-background[{shell.escape(hit)}]{after}")


@guard.dialog("Delete this dataset?")
def _delete(ws: str, dataset: Dataset) -> None:
    users = shell.api().data.users(ws, dataset.id)
    st.markdown(f"**{shell.escape(dataset.name)}**, {dataset.rows_kept:,} rows, will be gone for good.")
    if users:
        names = ", ".join(shell.escape(r.name) for r in users[:5])
        st.markdown(f":material/warning: {len(users)} run{'s' * (len(users) > 1)} used it. They keep what they "
                    f"measured, but cannot be resumed or forked any more: {names}{' …' if len(users) > 5 else ''}")
    with st.container(horizontal=True):
        if st.button("Delete", type="primary", icon=":material/delete:", key="dataset_delete_yes"):
            with shell.guarded():
                shell.api().data.delete(ws, dataset.id)
                shell.go("data")
        if st.button("Keep it", key="dataset_delete_no"):
            st.rerun()
