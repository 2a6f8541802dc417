"""The splits of rows without labels: no group is cut, and rows that are alike stay together where possible."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from core.data import leaks, splits
from core.data.rows import Rows

if TYPE_CHECKING:
    from core.data.check import Options

LARGEST = 0.5
"""Share of all rows above which rows that are alike no longer bind groups together: nothing would be left to split."""
FEWEST_GROUPS = 3
"""One for training, one to choose by, one to judge on."""


def of(rows: Rows, *, alike: Sequence[Any], near: Any, options: Options) -> Any:
    """Names of splits (n_rows,). alike: groupings of rows that should stay together, the widest first.

    Splits that a column names are kept, but for rows whose group is in several of them: these go to the one that is
    looked at first. The passages of one or two texts are split in their order, as there are no three texts to part.
    """
    within = rows.group if rows.group is not None else np.arange(len(rows))
    bound = _bound(within, alike)
    if rows.split is not None:
        found = splits.from_column(rows.split, np.zeros(len(rows), dtype=np.int64), seed=options.seed, groups=bound)
        found = leaks.fix_leaks(found, within)
        return leaks.fix_leaks(found, leaks.merge_groups(near, within)) if options.fix_leaks else found
    if options.sizes is not None and rows.group is None:
        return splits.stratified(np.zeros(len(rows), dtype=np.int64), seed=options.seed, sizes=options.sizes,
                                 groups=bound)
    if too_few_documents(rows):
        return splits.in_order(len(rows), fractions=options.fractions)
    return splits.whole_groups(bound, seed=options.seed, fractions=options.fractions)


def too_few_documents(rows: Rows) -> bool:
    """Whether the rows are passages of fewer texts than there are splits, and no column groups them."""
    return rows.own_groups and rows.group is not None and len(np.unique(rows.group)) < FEWEST_GROUPS


def _bound(group: Any, alike: Sequence[Any]) -> Any:
    """Groups that must not be cut, joined where their rows are alike: as widely as leaves something to split."""
    for grouping in alike:
        joined = leaks.merge_groups(group, grouping)
        sizes = np.unique(joined, return_counts=True)[1]
        if len(sizes) >= FEWEST_GROUPS and sizes.max() <= LARGEST * len(joined):
            return joined
    return group
