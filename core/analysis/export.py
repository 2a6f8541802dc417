"""What can be taken away: every number as JSON and CSV, the map's points as Parquet, figures as HTML, PNG and SVG."""

from __future__ import annotations

import functools
import io
import json
import shutil
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any

import numpy as np

from core.analysis.space import Space
from core.errors import ThawError
from core.spreadsheets import records_to_csv

if TYPE_CHECKING:
    from core.domain.dataset import Dataset
    from core.plots.theme import Chart
    from core.shift.footer import Map

_PACKAGES = ("thaw", "numpy", "scipy", "scikit-learn", "umap-learn")
_BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")


def versions() -> dict[str, str]:
    """Versions that the numbers depend on."""
    out = {}
    for name in _PACKAGES:
        try:
            out[name] = version(name)
        except PackageNotFoundError:
            continue
    return out


def numbers(space: Space) -> bytes:
    """The whole report as one JSON document."""
    document = {**space.shift.to_json(), **origins(space.dataset, space.beside), "versions": versions(), "probe_rows": space.rows}
    return json.dumps(document, indent=1, ensure_ascii=False).encode()


def origins(dataset: Dataset, beside: Dataset | None) -> dict[str, Any]:
    """Which datasets the numbers are about; beside: whose rows the shift rows are, None for the own shift set's or none."""
    def entry(found: Dataset) -> dict[str, str]:
        return {"id": found.id, "name": found.name, "content_hash": found.content_hash}

    return {"dataset": entry(dataset), "beside": None if beside is None else entry(beside)}


def table(space: Space) -> bytes:
    """One line a block, every number, with seed and versions."""
    lines = [{"run": space.shift.run, "base_side": space.shift.base, "dataset": space.dataset.name,
              "beside": "" if space.beside is None else space.beside.name, "rows": space.shift.rows, "seed": space.shift.seed,
              **block.to_json(), "versions": " ".join(f"{k}={v}" for k, v in versions().items())} for block in space.shift.blocks]
    return records_to_csv(lines).encode()


def vectors(space: Space, drawn: Map, block: int) -> bytes:
    """Where each row lies on the map, both sides: row_id in its dataset, x, y, block, run, and split, label where known."""
    import pyarrow as pa
    import pyarrow.parquet as parquet

    n = len(space.row_ids)
    where = np.concatenate([drawn.base, drawn.tuned])
    labels = np.full(n, -1) if space.labels is None else space.labels
    source = [space.beside if far and space.beside else space.dataset for far in space.pair.beside]
    data = {"row_id": np.tile(space.row_ids, 2), "x": where[:, 0], "y": where[:, 1], "block": [space.shift.blocks[block].name] * (2 * n),
            "run": [space.names[0]] * n + [space.names[1]] * n, "split": np.tile(space.pair.splits, 2).tolist(),
            "label": [space.classes[i] if 0 <= i < len(space.classes) else None for i in np.tile(labels, 2)],
            "dataset": 2 * [found.name for found in source], "dataset_id": 2 * [found.id for found in source]}
    sink = io.BytesIO()
    parquet.write_table(pa.table(data, metadata={"view": drawn.view.value, "seed": str(space.shift.seed), **versions()}), sink)
    return sink.getvalue()


def html(chart: Chart) -> bytes:
    """A page that works without a network."""
    return str(chart.titled().to_html(include_plotlyjs=True, full_html=True)).encode()


@functools.cache
def browser() -> str | None:
    """The browser that draws PNG and SVG; None where there is none."""
    return next((path for name in _BROWSERS if (path := shutil.which(name))), None)


def picture(chart: Chart, form: str, *, background: str = "#ffffff", ink: str = "#1b2733") -> bytes:
    """The figure as `png` or `svg`, drawn by the system's browser (seconds). Raises ThawError where there is none or it fails."""
    found = browser()
    if found is None:
        raise ThawError("Pictures cannot be drawn here.", why="No Chromium or Chrome was found on this machine.",
                        remedy="Save the figure as HTML, open it, and save the picture there.")
    import kaleido

    figure = chart.titled()
    figure.update_layout(paper_bgcolor=background, plot_bgcolor=background, font={"color": ink})
    height = int(figure.layout.height or 500) + 60
    try:
        data: Any = kaleido.calc_fig_sync(figure, kopts={"path": found, "n": 1}, opts={
            "format": form, "width": 1200, "height": height, "scale": 2 if form == "png" else 1})
    except Exception as error:
        raise ThawError("The picture could not be drawn.", why=f"The browser gave up ({type(error).__name__}).",
                        remedy="Save the figure as HTML, open it, and save the picture there.") from error
    return bytes(data)
