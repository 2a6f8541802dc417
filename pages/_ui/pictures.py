"""Pictures in tables: small copies of them as cells."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import streamlit as st

from core.analysis import contact_sheet
from core.spreadsheets import inert
from pages._ui import shell

if TYPE_CHECKING:
    from core.analysis import FeatureComparison

ROW_HEIGHT = 64
"""Pixels of a table row that shows a picture."""


def cell(png: bytes | None) -> str | None:
    """A PNG as what `ImageColumn` shows; None stays an empty cell."""
    return None if png is None else "data:image/png;base64," + base64.b64encode(png).decode("ascii")


def with_pictures(rows: Sequence[Mapping[str, Any]], column: str, small: Mapping[str, bytes]) -> list[dict[str, Any]]:
    """The rows with the picture itself first, in the column `picture`."""
    return [{"picture": cell(small.get(str(row[column]))), **row} for row in rows]


def table(rows: Sequence[Mapping[str, Any]], *, key: str, alt: str, pictures: bool, height: int | str = "auto",
          pick: bool = False) -> list[int]:
    """Rows as a table; with pictures, rows are tall enough to see them. Returns the place of the row that is picked,
    where one may be."""
    options: dict[str, Any] = {"on_select": "rerun", "selection_mode": "single-row"} if pick else {}
    config: dict[str, Any] = {"Row": st.column_config.NumberColumn(width=70)}
    config |= {"picture": st.column_config.ImageColumn("Picture", width="small", pinned=True)} if pictures else {}
    picked: Any = st.dataframe(inert(rows), hide_index=True, key=key, alt=alt, column_config=config,
                               row_height=ROW_HEIGHT if pictures else None, height=height, **options)
    return list(picked.selection.rows) if pick else []


@st.cache_data(max_entries=64, show_spinner=False)
def of_dataset(home: str, ws: str, dataset: str, images: tuple[str, ...]) -> dict[str, bytes]:
    """Small PNGs of pictures of a dataset, made once, as datasets never change; `home` is part of the key."""
    return shell.api().data.thumbnails(ws, dataset, images)


@dataclass(frozen=True)
class Sheet:
    """Small copies of all pictures of a comparison on one picture. url: a data address; columns: pictures in a line."""

    key: str
    url: str
    columns: int


@st.cache_resource(max_entries=4, show_spinner="Making small copies of the pictures…")
def _sheet(key: str, _compared: FeatureComparison) -> Sheet | None:
    found = contact_sheet.make(_compared.contents, cache=_compared.settings.cache)
    if found is None:
        return None
    url = "data:image/webp;base64," + base64.b64encode(found.data).decode("ascii")
    return Sheet(key=key, url=url, columns=found.columns)


def sheet(compared: FeatureComparison) -> Sheet | None:
    """The sheet of a comparison's pictures, in the order of its rows; None when there are too many to send."""
    return _sheet(compared.key, compared)
