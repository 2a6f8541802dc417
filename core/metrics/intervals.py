"""Bootstrap intervals over rows, or over groups of rows that are not independent, of any metric.

Drawing n rows with replacement and tabulating them is one multinomial draw over the cells of the confusion table. So
for metrics of labels and predictions alone the rows themselves are never resampled: exact, and as cheap as the table is
small.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from core.domain.run import Interval
from core.errors import DataError
from core.metrics.metric import Floats, Judged, Metric, Need, Unit
from core.metrics.units import Units

SAMPLES = 2000
CHUNK_CELLS = 2_000_000
"""Numbers held at once: 16 MB."""
TABLE = frozenset({Need.LABELS, Need.PREDICTIONS})

Draw = Callable[[int], NDArray[np.int64]]
"""Number of resamples -> how often each row occurs in each of them, `(n_resamples, n_rows)`."""


def bootstrap(judged: Judged, metrics: Sequence[Metric], *, seed: int = 0,
              samples: int = SAMPLES) -> dict[str, Interval]:
    """95 % percentile intervals over rows, by the metric's name.

    samples: resamples of all rows with replacement. Same seed, same interval; see `interval` for where it is widened.
    Raises DataError without a resample.
    """
    if samples < 1:
        raise DataError("A bootstrap needs at least one resample.", remedy=f"Ask for {SAMPLES}, the default.")
    tabled = [metric for metric in metrics if metric.needs <= TABLE and judged.groups is None]
    others = [metric for metric in metrics if metric not in tabled]
    found: dict[str, Interval] = {}
    if tabled:
        cells, counts = _table(judged)
        found |= _intervals(cells, counts, tabled, _cell_draw(counts, seed), samples)
    if others:
        found |= _of_units(judged, others, seed=seed, samples=samples)
    return found


def interval(value: float, draws: Floats, metric: Metric, n_rows: int) -> Interval:
    """The 95 % percentile interval of a value among its resamples, widened to hold the value where these are biased.

    Where rows are all alike (every one right, every one wrong), resampling can show no other outcome than 0 or 1; then
    the bound is the exact binomial one (Clopper and Pearson 1934).
    """
    if metric.unit is Unit.SHARE and value in (0.0, 1.0) and draws.min() == draws.max() == value:
        return share(int(value) * n_rows, n_rows)
    low, high = np.percentile(draws, [2.5, 97.5])
    return Interval(value=value, low=float(min(low, value)), high=float(max(high, value)))


def share(right: int, n_rows: int) -> Interval:
    """A share of rows with the 95 % percentile interval of unlimited resamples, which is binomial.

    Where every row is right, or none, the bound is the exact binomial one, as in `interval`.
    """
    from scipy import stats

    if not 0 <= right <= n_rows or not n_rows:
        raise DataError("A share needs at least one row.", why=f"It was asked for {right} of {n_rows} rows.")
    if right in (0, n_rows):
        exact = stats.binomtest(right, n_rows).proportion_ci(0.95, method="exact")
        return Interval(value=right / n_rows, low=float(exact.low), high=float(exact.high))
    low, high = stats.binom.ppf([0.025, 0.975], n_rows, right / n_rows) / n_rows
    return Interval(value=right / n_rows, low=float(low), high=float(high))


def row_draw(n_rows: int, seed: int) -> Draw:
    """Resamples of rows with replacement."""
    rng = np.random.default_rng(seed)

    def draw(size: int) -> NDArray[np.int64]:
        drawn = rng.integers(0, n_rows, size=(size, n_rows))
        drawn += n_rows * np.arange(size)[:, None]  # the rows of each resample get numbers of their own
        return np.bincount(drawn.ravel(), minlength=size * n_rows).reshape(size, n_rows)

    return draw


@functools.lru_cache(maxsize=2)
def _same_draw(n_rows: int, seed: int, size: int) -> NDArray[np.int64]:
    """One draw, kept: many runs are asked about the same rows, one after another."""
    drawn = row_draw(n_rows, seed)(size)
    drawn.setflags(write=False)
    return drawn


def _cell_draw(counts: NDArray[np.int64], seed: int) -> Draw:
    """Resamples of the cells of a table, each of as many rows as the table holds."""
    rng = np.random.default_rng(seed)
    n_rows = int(counts.sum())
    return lambda size: rng.multinomial(n_rows, counts / n_rows, size=size)


def chunks(samples: int, width: int) -> Iterator[int]:
    """Sizes of the parts in which so many resamples of `width` numbers each are made."""
    step = max(1, CHUNK_CELLS // width)
    for start in range(0, samples, step):
        yield min(step, samples - start)


def _intervals(judged: Judged, counts: NDArray[np.int64], metrics: Sequence[Metric], draw: Draw,
               samples: int) -> dict[str, Interval]:
    """counts: how many rows each row of `judged` stands for."""
    n_rows = int(counts.sum())
    parts = {metric.name: metric.parts(judged) for metric in metrics}
    width = max(judged.n_rows, *(table.shape[1] for table in parts.values()))
    draws: dict[str, list[Floats]] = {metric.name: [] for metric in metrics}
    for size in chunks(samples, width):
        occurrences = draw(size)
        for metric in metrics:
            draws[metric.name].append(metric.of_sums(occurrences @ parts[metric.name], n_rows))
    found = {}
    for metric in metrics:
        value = float(metric.of_sums(counts @ parts[metric.name], n_rows))
        found[metric.name] = interval(value, np.concatenate(draws[metric.name]), metric, n_rows)
    return found


def _of_units(judged: Judged, metrics: Sequence[Metric], *, seed: int, samples: int) -> dict[str, Interval]:
    """By resampling rows, or groups where rows have any."""
    units = Units(judged)
    draw = row_draw(units.count, seed)
    parts = {metric.name: units.parts(metric, judged) for metric in metrics}
    draws: dict[str, list[Floats]] = {metric.name: [] for metric in metrics}
    for size in chunks(samples, max(units.count, *(table.shape[1] for table in parts.values()))):
        occurrences = _same_draw(units.count, seed, size) if size == samples else draw(size)
        for metric in metrics:
            draws[metric.name].append(units.values(metric, parts[metric.name], occurrences))
    return {metric.name: interval(metric.value(judged), np.concatenate(draws[metric.name]), metric, judged.n_rows)
            for metric in metrics}


def _table(judged: Judged) -> tuple[Judged, NDArray[np.int64]]:
    """The pairs of label and prediction that occur, as rows, and how often each does."""
    labels, predictions, n_classes = judged.of(Need.LABELS), judged.of(Need.PREDICTIONS), judged.n_classes
    cells, counts = np.unique(labels * n_classes + predictions, return_counts=True)
    truth, guess = np.divmod(cells, n_classes)
    return Judged(labels=truth, predictions=guess), counts
