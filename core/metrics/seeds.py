"""Several seeds of one arm as one measurement: the mean over seeds, with an interval that covers rows and seeds."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from core.domain.run import Interval
from core.errors import DataError
from core.metrics.intervals import SAMPLES, chunks, interval
from core.metrics.metric import Floats, Judged, Metric
from core.metrics.units import Units


def pooled(judged: Sequence[Judged], metrics: Sequence[Metric], *, seed: int = 0,
           samples: int = SAMPLES) -> dict[str, Interval]:
    """Mean of each metric over seeds with its 95 % percentile interval, by the metric's name.

    judged: one a seed, of the same rows in the same order. Each resample draws rows (or their groups) and seeds, both
    with replacement and independently (the pigeonhole bootstrap, Owen 2007), so that the interval is of "another test
    set and another seed". It errs on the wide side for rows; of seeds, two or three show too little. Rows that are all
    alike with every seed: as in `intervals.interval`.
    Raises DataError without a seed, and where their rows are not as many.
    """
    if len({each.n_rows for each in judged}) != 1:
        raise DataError("There are no predictions to pool.", why="There is no seed, or the seeds have different rows.",
                        remedy="Choose at least one seed, and seeds with predictions of the same rows.")
    n_rows, n_seeds = judged[0].n_rows, len(judged)
    units = Units(judged[0])
    parts = {metric.name: [units.parts(metric, each) for each in judged] for metric in metrics}
    rng = np.random.default_rng(seed)
    draws: dict[str, list[Floats]] = {metric.name: [] for metric in metrics}
    for size in chunks(samples, units.count):
        rows = rng.multinomial(units.count, np.full(units.count, 1 / units.count), size=size)  # (size, n_units)
        seeds = rng.multinomial(n_seeds, np.full(n_seeds, 1 / n_seeds), size=size) / n_seeds  # (size, n_seeds)
        for metric in metrics:
            scores = np.stack([units.values(metric, table, rows) for table in parts[metric.name]])  # (n_seeds, size)
            draws[metric.name].append((scores * seeds.T).sum(0))
    found = {}
    for metric in metrics:
        value = float(np.mean([metric.value(each) for each in judged]))
        found[metric.name] = interval(value, np.concatenate(draws[metric.name]), metric, n_rows)
    return found
