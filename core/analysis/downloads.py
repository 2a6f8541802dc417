"""Downloads of the Features page: numbers as JSON and CSV, the map's points as Parquet, figures as HTML, PNG, SVG."""

from __future__ import annotations

import contextlib
import functools
import io
import json
import shutil
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any

import numpy as np

from core.analysis.feature_comparison import FeatureComparison
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
    found = {}
    for name in _PACKAGES:
        with contextlib.suppress(PackageNotFoundError):
            found[name] = version(name)
    return found


def numbers(compared: FeatureComparison) -> bytes:
    """The whole report as one JSON document."""
    document = {**compared.shift.to_json(), **datasets(compared.dataset, compared.second), "versions": versions(),
                "probe_rows": compared.rows}
    return json.dumps(document, indent=1, ensure_ascii=False).encode()


def datasets(dataset: Dataset, second: Dataset | None) -> dict[str, Any]:
    """Which datasets the numbers are about. second: whose rows the shift rows are, None for the own shift set's or
    none."""
    def entry(found: Dataset) -> dict[str, str]:
        return {"id": found.id, "name": found.name, "content_hash": found.content_hash}

    return {"dataset": entry(dataset), "beside": None if second is None else entry(second)}


def table(compared: FeatureComparison) -> bytes:
    """One line a block, every number, with seed and versions."""
    shift = compared.shift
    about = {"run": shift.run, "base_side": shift.base, "dataset": compared.dataset.name,
             "beside": "" if compared.second is None else compared.second.name, "rows": shift.rows, "seed": shift.seed}
    made_with = {"versions": " ".join(f"{name}={number}" for name, number in versions().items())}
    return records_to_csv([{**about, **block.to_json(), **made_with} for block in shift.blocks]).encode()


def points(compared: FeatureComparison, drawn: Map, block: int) -> bytes:
    """Where each row lies on the map, both sides, as Parquet: row_id in its dataset, x, y, block, run, and split, label
    where known."""
    import pyarrow as pa
    import pyarrow.parquet as parquet

    n = len(compared.row_ids)
    positions = np.concatenate([drawn.base, drawn.tuned])  # (2 n, 2)
    labels = np.full(n, -1) if compared.labels is None else compared.labels
    classes = [compared.classes[i] if 0 <= i < len(compared.classes) else None for i in labels]
    sources = [compared.second if far and compared.second else compared.dataset for far in compared.aligned.of_second]
    data = {"row_id": np.tile(compared.row_ids, 2), "x": positions[:, 0], "y": positions[:, 1],
            "block": [compared.shift.blocks[block].name] * (2 * n),
            "run": [compared.names[0]] * n + [compared.names[1]] * n,
            "split": np.tile(compared.aligned.splits, 2).tolist(), "label": 2 * classes,
            "dataset": 2 * [found.name for found in sources], "dataset_id": 2 * [found.id for found in sources]}
    metadata = {"view": drawn.view.value, "seed": str(compared.shift.seed), **versions()}
    sink = io.BytesIO()
    parquet.write_table(pa.table(data, metadata=metadata), sink)
    return sink.getvalue()


def html(chart: Chart) -> bytes:
    """A page that works without a network."""
    return str(chart.titled().to_html(include_plotlyjs=True, full_html=True)).encode()


@functools.cache
def browser() -> str | None:
    """The browser that draws PNG and SVG; None where there is none."""
    return next((path for name in _BROWSERS if (path := shutil.which(name))), None)


def picture(chart: Chart, form: str, *, background: str = "#ffffff", ink: str = "#1b2733") -> bytes:
    """The figure as `png` or `svg`, drawn by the system's browser (seconds). Raises ThawError where there is none or it
    fails."""
    found = browser()
    if found is None:
        raise ThawError("Pictures cannot be drawn here.", why="No Chromium or Chrome was found on this machine.",
                        remedy="Save the figure as HTML, open it, and save the picture there.")
    import kaleido

    figure = chart.titled()
    figure.update_layout(paper_bgcolor=background, plot_bgcolor=background, font={"color": ink})
    height = int(figure.layout.height or 500) + 60
    wanted = {"format": form, "width": 1200, "height": height, "scale": 2 if form == "png" else 1}
    try:
        data: Any = kaleido.calc_fig_sync(figure, kopts={"path": found, "n": 1}, opts=wanted)
    except Exception as error:
        raise ThawError("The picture could not be drawn.", why=f"The browser gave up ({type(error).__name__}).",
                        remedy="Save the figure as HTML, open it, and save the picture there.") from error
    return bytes(data)
