"""How the rows and blocks of two sides are drawn: the colour of a row, what its point says, the chart over the blocks.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from core.analysis.feature_comparison import FeatureComparison
from core.domain.run import Interval
from core.plots import shift_blocks
from core.plots.shift_map import Colouring
from core.plots.theme import Chart
from core.shift.blocks import BlockShift

HOVER_CHARACTERS = 90


def colouring(compared: FeatureComparison, block: int, colour: str) -> Colouring:
    """The colour of every row."""
    rows, n = compared.shift.blocks[block].rows, len(compared.row_ids)
    if colour == "typical move":
        moved = np.isfinite(rows.distance).any()
        high = float(np.nanpercentile(rows.distance, 98) or 1.0) if moved else 1.0
        return Colouring(title="Move", values=rows.distance, low=0.0, high=high)
    if colour == "change in loss" and compared.loss_change is not None:
        most = float(np.nanpercentile(np.abs(compared.loss_change), 98)) or 1.0
        return Colouring(title="Change in loss, nats", values=compared.loss_change, low=-most, high=most)
    if colour == "group" and compared.groups is not None:
        known = np.unique(compared.groups[compared.groups >= 0])
        numbers = np.where(compared.groups < 0, -1.0, np.searchsorted(known, compared.groups).astype(float))
        return _classes("Group", numbers, tuple(f"group {number}" for number in known), compared)
    if colour == "neighbours kept":
        return Colouring(title="Neighbours kept", values=rows.kept, low=0.0, high=1.0)
    if colour == "domain":
        names: tuple[str, ...] = ("target rows",) if compared.second else ("target rows", compared.shift_words)
        return _classes("Domain", (~rows.target).astype(float), names, compared)
    if colour == "changed prediction" and compared.predictions_a is not None and compared.predictions_b is not None:
        classes = ("same prediction", "fixed", "broken", "changed otherwise")
        return _classes("Prediction", _change(compared), classes, compared)
    title, values = "Label", compared.labels
    if colour == "prediction":
        title, values = "Prediction of B", compared.predictions_b
    return _classes(title, np.full(n, -1.0) if values is None else values.astype(float), compared.classes, compared)


def _classes(title: str, values: np.ndarray, classes: tuple[str, ...], compared: FeatureComparison) -> Colouring:
    """Colours by class, and the rows of a second dataset in their own, whatever the target rows are coloured by."""
    if compared.second is None:
        return Colouring(title=title, values=values, classes=classes)
    values = np.where(compared.aligned.of_second, len(classes), values)
    return Colouring(title=title, values=values, classes=classes, second=compared.shift_words)


def _change(compared: FeatureComparison) -> np.ndarray:
    """0 same, 1 fixed, 2 broken, 3 changed from one wrong class to another, −1 where a side predicted nothing."""
    a, b, sides = compared.predictions_a, compared.predictions_b, compared.correct()
    if a is None or b is None:
        return np.full(len(compared.row_ids), -1.0)
    out = np.where(a == b, 0.0, 3.0)
    if sides is not None:
        out[sides[0]], out[sides[1]] = 1.0, 2.0
    out[(a < 0) | (b < 0)] = -1.0
    return out


def hover(compared: FeatureComparison, block: int, *, openings: Sequence[str]) -> list[str]:
    """What a point says, line by line: class, the beginning of its text, how many neighbours it kept."""
    rows = compared.shift.blocks[block].rows
    kept = [f"kept {k:.0f} of 10 neighbours" if k == k else "" for k in (10 * rows.kept).tolist()]
    heads = [class_of(compared, compared.labels, row) or origin_of(compared, row) for row in range(len(kept))]
    return ["\n".join(part for part in parts if part) for parts in zip(heads, openings, kept, strict=True)]


def openings(compared: FeatureComparison) -> list[str]:
    """The beginning of each row's text; nothing for pictures, which are shown themselves."""
    if compared.pictures:
        return [""] * len(compared.contents)
    return [short(content[:4 * HOVER_CHARACTERS], HOVER_CHARACTERS) for content in compared.contents]


def html(text: str) -> str:
    """Hover text as Plotly reads it."""
    head, *rest = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").split("\n")
    return "<br>".join([f"<b>{head}</b>", *(_wrap(line) for line in rest)])


def _wrap(text: str) -> str:
    """Two lines instead of one long one."""
    middle = text.find(" ", len(text) // 2)
    return text if len(text) < 50 or middle < 0 else f"{text[:middle]}<br>{text[middle + 1:]}"


def short(text: str, most: int) -> str:
    """The beginning of a text, on one line, cut at a word."""
    text = " ".join(text.split())
    return text if len(text) <= most else f"{text[:most].rsplit(' ', 1)[0]}…"


def class_of(compared: FeatureComparison, values: np.ndarray | None, row: int) -> str:
    """Name of a row's class; empty where unknown."""
    if values is None or not 0 <= values[row] < len(compared.classes):
        return ""
    return compared.classes[int(values[row])]


def origin_of(compared: FeatureComparison, row: int) -> str:
    """The second dataset's name for its rows; empty for the others."""
    return compared.second.name if compared.second and compared.aligned.of_second[row] else ""


def where(compared: FeatureComparison, block: int, seeds: tuple[float | None, ...] | None) -> Chart:
    """The chart over the blocks. seeds: CKA a block between two seeds of the arm, where there are two."""
    found = compared.shift.blocks
    return shift_blocks.where(
        [b.name for b in found], [b.frozen for b in found], cka=[_value(b.cka) for b in found],
        cka_low=[b.cka.low if b.cka else None for b in found], cka_high=[b.cka.high if b.cka else None for b in found],
        kept=[b.knn_overlap for b in found], unrelated=_unrelated(found),
        displacement=[b.displacement for b in found], displacement_shift=[b.displacement_shift for b in found],
        probe_base=[_value(b.base.probe_accuracy) for b in found],
        probe_tuned=[_value(b.tuned.probe_accuracy) for b in found], majority=compared.shift.majority, yardstick=seeds,
        selected=block, second=compared.shift_words if compared.second else "")


def _unrelated(blocks: Sequence[BlockShift]) -> float | None:
    """The higher one of what CKA and neighbours kept reach between unrelated features."""
    limits = [null.limit_any for b in blocks for null in (b.cka_null, b.knn_overlap_null) if null is not None]
    return max(limits, default=None)


def _value(interval: Interval | None) -> float | None:
    return interval.value if interval else None
