"""The numbers of a chart as records: what is drawn, a line a point."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import plotly.graph_objects as go


def records(figure: go.Figure) -> list[dict[str, Any]]:
    """Series, both coordinates under the titles of their axes, and the bounds of intervals where they are drawn; of a
    heat map every cell. Traces that are no data (guides, bars of intervals) are left out."""
    layout = figure.layout.to_plotly_json()
    found: list[dict[str, Any]] = []
    for trace in figure.to_dict()["data"]:
        if trace.get("hoverinfo") == "skip" or (trace.get("marker") or {}).get("opacity") == 0:
            continue
        found += _cells(trace, layout) if trace.get("z") is not None and trace["type"] == "heatmap" else _points(
            trace, layout)
    return found


def _points(trace: Mapping[str, Any], layout: Mapping[str, Any]) -> list[dict[str, Any]]:
    x, y = (_listed(trace.get(side)) for side in ("x", "y"))
    count = max(len(x), len(y))
    names = {side: _axis(trace, layout, side) for side in ("x", "y")}
    text, meta = _listed(trace.get("text")), trace.get("meta") or {}
    extra, more = (meta.get("columns", ()) if isinstance(meta, Mapping) else ()), _listed(trace.get("customdata"))
    rows = []
    for place in range(count):
        row: dict[str, Any] = {"series": trace.get("name") or ""}
        for side, values in (("x", x), ("y", y)):
            if place < len(values):
                row[names[side][0]] = names[side][1].get(values[place], values[place])
                row |= _bounds(trace.get(f"error_{side}"), values[place], place, names[side][0])
        if extra and place < len(more):
            row |= dict(zip(extra, more[place], strict=False))
        if place < len(text) and isinstance(text[place], str):
            row["point"] = text[place].split("<br>")[0]
        rows.append(row)
    return rows


def _cells(trace: Mapping[str, Any], layout: Mapping[str, Any]) -> list[dict[str, Any]]:
    z = [_listed(line) for line in _listed(trace["z"])]
    x, y = _listed(trace.get("x")), _listed(trace.get("y"))
    (x_name, x_words), (y_name, y_words) = (_axis(trace, layout, side) for side in ("x", "y"))
    more = [_listed(line) for line in _listed(trace.get("customdata"))]
    named = ((trace.get("meta") or {}).get("columns") or ("",))[0]
    return [{y_name: y_words.get(y[row], y[row]) if row < len(y) else row,
             x_name: x_words.get(x[col], x[col]) if col < len(x) else col, "value": value}
            | ({named: more[row][col]} if named else {})
            for row, line in enumerate(z) for col, value in enumerate(line)]


def _axis(trace: Mapping[str, Any], layout: Mapping[str, Any], side: str) -> tuple[str, dict[Any, str]]:
    """The title of the axis that a trace is on, and what its ticks are called."""
    own = str(trace.get(f"{side}axis") or side)
    axis = layout.get(f"{side}axis{own[1:]}", {})
    title = (axis.get("title") or {}).get("text") or side
    ticks = dict(zip(_listed(axis.get("tickvals")), _listed(axis.get("ticktext")), strict=False))
    return title.replace("<br>", " "), {key: str(value).replace("<br>", " ") for key, value in ticks.items()}


def _bounds(bars: Mapping[str, Any] | None, value: Any, place: int, name: str) -> dict[str, Any]:
    if not bars or bars.get("array") is None or not isinstance(value, (int, float)):
        return {}
    above = _listed(bars["array"])
    below = _listed(bars.get("arrayminus")) or above
    if place >= len(above) or above[place] is None:
        return {}
    return {f"{name}, low": value - below[place], f"{name}, high": value + above[place]}


def _listed(values: Any) -> list[Any]:
    """Plotly hands arrays back as tuples, numpy arrays, or base64 with their kind."""
    import base64

    import numpy as np

    if values is None or isinstance(values, str):
        return []
    if isinstance(values, Mapping) and "bdata" in values:
        flat = np.frombuffer(base64.b64decode(values["bdata"]), dtype=values["dtype"])
        shape = values.get("shape")
        return flat.reshape([int(n) for n in str(shape).split(",")]).tolist() if shape else flat.tolist()
    return values.tolist() if isinstance(values, np.ndarray) else list(values)
