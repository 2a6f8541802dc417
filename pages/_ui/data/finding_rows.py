"""The rows of a finding in a table: searched, sorted, a page at a time, and some of them picked."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import streamlit as st

from core.api import RowPage
from core.spreadsheets import inert
from pages._ui import pictures, shell

PAGE = 50
_SORTS = {"as found": "as found", "row": "row number", "label": "class", "split": "split", "twin": "row it is like",
          "suggested": "suggested class"}
Read = Callable[..., RowPage | None]
"""Gives a page of rows: `search`, `sort`, `descending`, `start`, `n` as `core.data.row_pages.page` takes them."""


def table(ws: str, dataset: str, read: Read, *, key: str, alt: str, pick: bool = False,
          splits: bool = True, sorts: Sequence[str] = tuple(_SORTS)) -> list[dict[str, Any]]:
    """Draw a page of rows and the controls above it; returns the rows that are picked.

    splits: show which they are in. sorts: the ways to sort that are offered.
    """
    with st.container(horizontal=True, vertical_alignment="bottom"):
        search = st.text_input("Containing", key=f"{key}_search", width=200, placeholder="a word")
        sort = str(st.selectbox("Sorted by", sorts, key=f"{key}_sort", width=180,
                                format_func=_SORTS.__getitem__))
        descending = st.toggle("Last first", key=f"{key}_down")
        place = st.empty()
    page_key = f"{key}_page"
    asked = {"search": (search or "").strip(), "sort": sort, "descending": descending}
    number = int(st.session_state.get(page_key, 1))
    found = read(**asked, start=(number - 1) * PAGE, n=PAGE)
    if found is None:
        st.caption("These rows were not kept.")
        return []
    pages = max(1, -(-found.total // PAGE))
    if number > pages:                                               # the search has fewer
        st.session_state[page_key] = number = pages
        found = read(**asked, start=(number - 1) * PAGE, n=PAGE) or found
    if pages > 1:
        place.number_input(f"Page, of {pages:,}", 1, pages, key=page_key, width=130)
    first = (number - 1) * PAGE + 1
    of = f" of {found.of:,}" if found.total != found.of else ""
    if not found.rows:
        st.caption(f"None of these {found.of:,} rows contains {shell.escape(asked['search'])!r}."
                   if asked["search"] else "No row is left.")
        return []
    more = "" if pages == 1 else f"; rows {first:,} to {first + len(found.rows) - 1:,} are shown"
    hint = " Tick rows at their left edge to decide about them alone." if pick else ""
    st.caption(f"{found.total:,}{of} row{'s' * (found.total != 1)}{more}.{hint}")
    return [found.rows[at] for at in _draw(ws, dataset, found, key=f"{key}_{number}_{sort}_{descending}_{search}",
                                           alt=alt, pick=pick, splits=splits)]


def _draw(ws: str, dataset: str, found: RowPage, *, key: str, alt: str, pick: bool, splits: bool) -> list[int]:
    """The table itself; positions of the picked rows."""
    shown = [_columns(row) for row in found.rows]
    empty = {name for name in ("Like", "Suggested") if not any(row.get(name) for row in shown)} | (
        set() if splits else {"Split"})
    shown = [{name: cell for name, cell in row.items() if name not in empty} for row in shown]
    pictured = "image" in found.rows[0]
    config: dict[str, Any] = {"Row": st.column_config.NumberColumn(pinned=True, format="localized")}
    if pictured:
        small = pictures.of_dataset(str(shell.api().settings.home), ws, dataset,
                                    tuple(str(row["image"]) for row in found.rows))
        shown = [{"Picture": pictures.cell(small.get(str(row["image"]))), **cells}
                 for row, cells in zip(found.rows, shown, strict=True)]
        config["Picture"] = st.column_config.ImageColumn(width="small", pinned=True)
    else:
        config["Text"] = st.column_config.TextColumn(width="large")
    options: dict[str, Any] = {"on_select": "rerun", "selection_mode": "multi-row"} if pick else {}
    picked: Any = st.dataframe(inert(shown), hide_index=True, column_config=config, key=key, alt=alt,
                               row_height=pictures.ROW_HEIGHT if pictured else None,
                               height=min(420, 38 + 36 * len(shown)) if not pictured else 420, **options)
    return list(picked.selection.rows) if pick else []


def _columns(row: dict[str, Any]) -> dict[str, Any]:
    """The cells of a row, in words."""
    if "row_id" not in row:
        return row
    content = {"File": row.get("file")} if "image" in row else {"Text": row.get("text")}
    return {"Row": row["row_id"], "Class": row["label"], "Split": row["split"], "Like": row.get("twin"),
            "Suggested": row.get("suggested"), **content}
