"""Rows of a dataset as a table: texts or small pictures beside whatever is known of them; searched, sorted, saved."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

import streamlit as st

from core.domain.dataset import Content, Dataset
from core.spreadsheets import inert, records_to_csv
from pages._ui import guard, pictures, shell

SHOWN = 100
"""Rows drawn at once; the file has all."""

Record = Mapping[str, Any]

_COLUMNS: dict[str, Any] = {
    "Sure": st.column_config.NumberColumn(format="%.2f", help="Probability that it gave to the class it predicted."),
    "Loss": st.column_config.NumberColumn(format="%.2f", help="How little it expected the true class: 0 is best; "
                                                              "0.7 is a coin toss; above 3 is surely wrong."),
    "Margin": st.column_config.NumberColumn(format="%.2f", help="Between the likeliest class and the next: 0 is torn "
                                                                "between two."),
    "Entropy": st.column_config.NumberColumn(format="%.2f", help="Doubt over all classes, in bits: 0 is sure."),
    "Change": st.column_config.NumberColumn(format="%.2f", help="How far apart both answers are: 0 the same, 1 nothing "
                                                                "in common."),
}


def table(ws: str, dataset: Dataset | None, records: Sequence[Record], *, key: str, name: str,
          columns: Mapping[str, Any] | None = None) -> None:
    """Draw rows with their texts or pictures, a search field and a CSV file. It draws itself again on its own.

    dataset: whose rows they are; None when it is gone: then what is known is shown without texts and pictures.
    records: `row_id` and any columns of its own, in the order to show. name: of the file, and for screen readers.
    columns: how those are drawn that are not the usual ones.
    """
    guard.fragment(_table)(ws, dataset, list(records), key, name, _COLUMNS | dict(columns or {}))


def _table(ws: str, dataset: Dataset | None, records: Sequence[Record], key: str, name: str,
           columns: Mapping[str, Any]) -> None:
    with st.container(horizontal=True, vertical_alignment="bottom"):
        search = st.text_input("Search these rows", key=f"{key}_search", width=260,
                               placeholder=_sought(dataset))
        st.download_button("Rows as CSV", data=guard.made(lambda: _csv(ws, dataset, records)), mime="text/csv",
                           file_name=f"{name}.csv", on_click="ignore", icon=":material/download:", key=f"{key}_csv")
    found = _matching(ws, dataset, records, search or "")
    if not found:
        st.caption("No row matches.")
        return
    shown = found[:SHOWN]
    more = f"The first {SHOWN} of {len(found):,}; the file has all {len(records):,}." if len(found) > SHOWN else \
        f"{len(found):,} {'row' if len(found) == 1 else 'rows'}. Press a column's name to sort, a row to read it whole."
    drawn = _with_contents(ws, dataset, shown)
    digest = hashlib.sha256(repr([row["row_id"] for row in shown]).encode()).hexdigest()[:8]
    picked = st.dataframe(
        inert(drawn), hide_index=True, key=f"{key}_{digest}", alt=f"{name}: {len(found)} rows", on_select="rerun",
        selection_mode="single-row", height="auto" if len(shown) < 9 else 380,
        row_height=pictures.ROW_HEIGHT if _pictured(dataset) else None, column_config=_config(dataset) | dict(columns))
    st.caption(more)
    if chosen := picked["selection"]["rows"]:
        _whole(ws, dataset, shown[chosen[0]])


def _config(dataset: Dataset | None) -> dict[str, Any]:
    first: dict[str, Any] = {"Row": st.column_config.NumberColumn(width=60, format="%d")}
    if _pictured(dataset):
        first["picture"] = st.column_config.ImageColumn("Picture", width="small", pinned=True)
    return first | {"Text": st.column_config.TextColumn(width=300)}


def _sought(dataset: Dataset | None) -> str:
    """An example of what rows are searched for."""
    if _pictured(dataset):
        return "part of a name or a class"
    return "a word" if dataset is not None and not dataset.task.labelled else "a word or a class"


def _pictured(dataset: Dataset | None) -> bool:
    return dataset is not None and dataset.task.content is Content.PICTURE


def _contents(ws: str, dataset: Dataset, ids: Sequence[int], *, search: str = "",
              whole: bool = False) -> dict[int, dict[str, Any]]:
    """Row id -> the row as the library gives it; those alone that hold what is searched for."""
    return shell.api().data.contents(ws, dataset.id, ids, search=search, whole=whole)


@st.cache_data(max_entries=32, show_spinner=False)
def _drawn(home: str, ws: str, dataset: str, ids: tuple[int, ...]) -> dict[int, dict[str, Any]]:
    """The rows of one drawing, read once: datasets never change, and their rows lie anywhere in their files."""
    return {row["row_id"]: row for row in shell.api().data.rows(ws, dataset, n=len(ids), ids=ids)}


def _matching(ws: str, dataset: Dataset | None, records: Sequence[Record], search: str) -> list[Record]:
    """Rows whose text, file name, or any column holds what is searched for."""
    if not search.strip():
        return list(records)
    wanted = search.strip().lower()
    hits = _contents(ws, dataset, [row["row_id"] for row in records], search=search.strip()) if dataset else {}
    return [row for row in records if row["row_id"] in hits
            or any(wanted in value.lower() for value in row.values() if isinstance(value, str))]


def _with_contents(ws: str, dataset: Dataset | None, records: Sequence[Record]) -> list[dict[str, Any]]:
    own = [{"Row": row["row_id"]} | {key: value for key, value in row.items() if key != "row_id"} for row in records]
    if dataset is None:
        return own
    there = _drawn(str(shell.api().settings.home), ws, dataset.id, tuple(row["row_id"] for row in records))
    if not _pictured(dataset):
        return [_answers_first(row, str(there.get(row["Row"], {}).get("text", ""))) for row in own]
    names = tuple(str(row["image"]) for row in there.values())
    small = pictures.of_dataset(str(shell.api().settings.home), ws, dataset.id, names)
    return [{"picture": pictures.cell(small.get(str(there.get(row["Row"], {}).get("image"))))} | row for row in own]


def _answers_first(row: dict[str, Any], text: str) -> dict[str, Any]:
    """Number and words of a row, then its text, then its numbers: on a phone the answers are in sight."""
    words = {key: value for key, value in row.items() if key == "Row" or isinstance(value, str)}
    return words | {"Text": text} | row


def _whole(ws: str, dataset: Dataset | None, record: Record) -> None:
    """One row, all of it."""
    if dataset is None:
        return
    row = _contents(ws, dataset, [record["row_id"]], whole=True).get(record["row_id"])
    if row is None:
        return
    with st.container(border=True):
        answers = {key: value for key, value in record.items() if isinstance(value, str)}
        said = " · ".join(f"{shell.escape(key)}: **{shell.escape(value)}**" for key, value in answers.items())
        st.markdown(f"Row {record['row_id']} · {said}" if said else f"Row {record['row_id']}")
        if _pictured(dataset):
            small = pictures.of_dataset(str(shell.api().settings.home), ws, dataset.id, (str(row["image"]),))
            if png := small.get(str(row["image"])):
                st.image(png, width=240, caption=str(row.get("file", "")))
        else:
            st.text(row["text"])


def _csv(ws: str, dataset: Dataset | None, records: Sequence[Record]) -> bytes:
    """All rows with whole texts, or names of picture files."""
    there = _contents(ws, dataset, [row["row_id"] for row in records], whole=True) if dataset else {}
    found = []
    for row in records:
        content = there.get(row["row_id"], {})
        named = {key: content[key] for key in ("text", "file", "image") if key in content}
        found.append(dict(row) | named)
    return records_to_csv(found).encode()
