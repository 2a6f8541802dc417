"""The feature maps of a report: each run's last block beside its base model, points that can be caught, rows listed."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.analysis import contact_sheet, row_looks
from core.analysis.feature_comparison import FeatureComparison
from core.errors import ThawError
from core.plots import shift_map
from core.plots.numbers import minus
from core.plots.shift_map import Colouring
from core.plots.theme import Chart
from core.share.document import Document
from core.share.material import Material
from core.shift.footer import Map
from core.shift.projection import View

CARD_CHARACTERS = 320
"""Of a row's text in the list beside a map."""
NOTE = ("The base model is drawn on the left, the model after training on the right: the same rows, and one PCA fitted "
        "on both together. Draw round points with the lasso to list their rows.")


@dataclass(frozen=True, kw_only=True)
class Rows:
    """The rows of a map, an entry each."""

    keys: list[str]
    labels: list[str]
    texts: list[str]
    """Empty where they are left out, and for pictures."""
    hover: list[str]
    said: list[str]
    """What training did to each."""
    pictures: tuple[str, ...]
    """Paths of picture files; empty where there are none, or they are left out."""
    cache: Path
    """Where small copies of pictures are kept."""


@dataclass(frozen=True, kw_only=True)
class Drawn:
    """One run's map, with all rows; how many of them a file shows is decided later."""

    run: str
    names: tuple[str, str]
    sentences: tuple[str, ...]
    blocks: Chart
    block: str
    identical: bool
    map: Map | None
    colours: Colouring
    rows: Rows


@dataclass(frozen=True, kw_only=True)
class Missing:
    """A run without a map."""

    run: str
    why: str


def measured(material: Material, *, rows: bool) -> list[Drawn | Missing]:
    """The map of each run, or why there is none. rows: whether texts and pictures are taken along."""
    found: list[Drawn | Missing] = []
    for id in material.runs:
        if why := material.no_features.get(id):
            found.append(Missing(run=id, why=why))
        elif id in material.features:
            try:
                found.append(_drawn(id, material.features[id](), rows=rows))
            except ThawError as error:
                found.append(Missing(run=id, why=error.what))
    return found


def _drawn(run: str, compared: FeatureComparison, *, rows: bool) -> Drawn:
    block = len(compared.shift.blocks) - 1
    colour = "label" if compared.labels is not None else "typical move"
    return Drawn(run=run, names=compared.names, sentences=compared.sentences(block),
                 blocks=row_looks.where(compared, block, None), block=compared.shift.blocks[block].name,
                 identical=compared.identical, map=None if compared.identical else compared.map(block, View.UNION),
                 colours=row_looks.colouring(compared, block, colour), rows=_rows(compared, block, rows=rows))


def _rows(compared: FeatureComparison, block: int, *, rows: bool) -> Rows:
    n = len(compared.row_ids)
    openings = row_looks.openings(compared) if rows else [""] * n
    shown = rows and not compared.pictures
    return Rows(
        keys=compared.row_keys.tolist(),
        labels=[row_looks.class_of(compared, compared.labels, place) or row_looks.origin_of(compared, place)
                for place in range(n)],
        texts=[row_looks.short(text[:4 * CARD_CHARACTERS], CARD_CHARACTERS) if shown else ""
               for text in compared.contents],
        hover=[row_looks.html(text) for text in row_looks.hover(compared, block, openings=openings)],
        said=[_said(compared, block, place) for place in range(n)],
        pictures=compared.contents if rows and compared.pictures else (), cache=compared.settings.cache)


def _said(compared: FeatureComparison, block: int, place: int) -> str:
    """What became of a row: both answers, its move, its neighbours."""
    rows = compared.shift.blocks[block].rows
    answers = [f"{side}: {guess}" for side, values in (("before", compared.predictions_a),
                                                       ("after", compared.predictions_b))
               if (guess := row_looks.class_of(compared, values, place))]
    return " · ".join([*answers, *_number("loss {:+.2f} nats a token", compared.loss_change, place),
                       *_number("moved {:.2f} typical distances", rows.distance, place),
                       *_number("kept {:.0f} of 10 neighbours", 10 * rows.kept, place)])


def _number(words: str, values: NDArray[Any] | None, place: int) -> list[str]:
    return [minus(words.format(values[place]))] if values is not None and np.isfinite(values[place]) else []


def section(document: Document, material: Material, maps: Sequence[Drawn | Missing], *, points: int | None) -> None:
    """Blocks and maps of every run. points: most rows of a map, None for all, 0 for no map."""
    if not maps:
        return
    document.heading("What training did to the features")
    if any(isinstance(found, Drawn) and found.map is not None for found in maps):
        document.paragraph(NOTE, kind="note")
    kept: dict[str, str] = {}
    for found in maps:
        document.heading(material.called[found.run], level=3)
        if isinstance(found, Missing):
            document.paragraph(f"No map: {found.why}", kind="note")
            continue
        document.list(list(found.sentences))
        if found.identical:
            document.paragraph("No map: both panes would be the same picture, no feature of any block differs.",
                               kind="note")
            continue
        document.chart(found.blocks)
        if found.map is not None:
            _map(document, found, found.map, points=points, kept=kept)


def _map(document: Document, found: Drawn, drawn: Map, *, points: int | None, kept: dict[str, str]) -> None:
    n, rows = len(found.rows.keys), found.rows
    places = _some(n, points)
    so = "so that this file stays below 15 MB"
    if not places:
        document.paragraph(f"The map of {found.block} is left out, {so}.", kind="note")
        return
    colours = replace(found.colours, values=found.colours.values[places])
    keys = [rows.keys[place] for place in places]
    chart = shift_map.panes(drawn.base[places], drawn.tuned[places], colours, row_ids=range(len(places)),
                            hover=[""] * len(places), names=found.names)
    document.map(chart, {"rows": _shared(document, rows, places, kept), "keys": keys,
                         "hover": [rows.hover[place] for place in places],
                         "said": [rows.said[place] for place in places]})
    fewer = f"; {len(places):,} of them, chosen at random, are drawn, {so}" if len(places) < n else ""
    document.paragraph(f"{found.block.capitalize()}, {n:,} rows{fewer}.", kind="note")


def _some(n: int, most: int | None) -> list[int]:
    """Places of the rows that are drawn, in their order; the same for every run on the same rows."""
    if most is None or n <= most:
        return list(range(n))
    return sorted(np.random.default_rng(0).choice(n, most, replace=False).tolist())


def _shared(document: Document, rows: Rows, places: Sequence[int], kept: dict[str, str]) -> str:
    """What is listed of rows, once for all runs on the same ones: key -> class, text, place of its picture. Returns
    under which name it is kept."""
    table = {rows.keys[place]: [rows.labels[place], rows.texts[place], number] for number, place in enumerate(places)}
    mark = repr((table, rows.pictures[:1]))
    if mark not in kept:
        kept[mark] = f"rows-{len(kept) + 1}"
        document.data(kept[mark], {"rows": table, "sheet": _sheet(rows, places)})
    return kept[mark]


def _sheet(rows: Rows, places: Sequence[int]) -> dict[str, Any] | None:
    """Small copies of the pictures."""
    found = contact_sheet.make([rows.pictures[place] for place in places], cache=rows.cache) if rows.pictures else None
    if found is None:
        return None
    url = "data:image/webp;base64," + base64.b64encode(found.data).decode("ascii")
    return {"url": url, "columns": found.columns, "side": contact_sheet.SIDE}
