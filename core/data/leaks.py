"""Groups of rows that belong together (duplicates, one author), and what they say about leaks between splits."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from core.data.splits import NAMES

if TYPE_CHECKING:
    import numpy.typing as npt

    IntArray = npt.NDArray[np.int64]
    TextArray = npt.NDArray[np.str_]


def merge_groups(first: IntArray, second: IntArray) -> IntArray:
    """Groups of rows that are linked by either grouping, directly or through others (n_rows,)."""
    parent = list(range(len(first)))

    def root(item: int) -> int:
        while parent[item] != item:
            parent[item] = parent[parent[item]]
            item = parent[item]
        return item

    for groups in (first, second):
        leader: dict[int, int] = {}
        for row, group in enumerate(np.asarray(groups).tolist()):
            a, b = root(leader.setdefault(group, row)), root(row)
            parent[max(a, b)] = min(a, b)
    return np.asarray([root(row) for row in range(len(parent))], dtype=np.int64)


def without_large_groups(groups: IntArray, *, share: float = 0.05) -> IntArray:
    """Groups of which none holds more than `share` of all rows (at least 20): members of larger ones stand alone.

    A split cannot keep its sizes when one group is a large part of the data (rows made from a template, for instance).
    """
    _, code, sizes = np.unique(groups, return_inverse=True, return_counts=True)
    large = sizes[code] > max(20, share * len(code))
    return np.where(large, len(sizes) + np.arange(len(code)), code)


def leaks(split: TextArray, groups: IntArray) -> IntArray:
    """Positions of validation and test rows that have a twin (equal group) in a split that is looked at earlier."""
    order = turns(split)
    earliest = _earliest(order, np.asarray(groups))
    return np.flatnonzero((earliest < order) & (order < 3))


def fix_leaks(split: TextArray, groups: IntArray) -> TextArray:
    """Splits in which no group straddles: rows with a twin in train move to train, with one in validation to
    validation.

    The shift set is left alone. Returns a new array.
    """
    order = turns(split)
    earliest = _earliest(order, np.asarray(groups))
    out = np.asarray(split).copy()
    moved = (earliest < order) & (order < 3)
    out[moved] = np.asarray(NAMES, dtype=out.dtype)[earliest[moved]]
    return out


def twins(rows: IntArray, groups: IntArray, *, split: TextArray | None = None,
          apart: IntArray | None = None) -> IntArray:
    """For each of these positions, the first other row of its group (n,); itself where it is alone.

    split: the first of the split that is looked at earliest. apart: values (n_rows,), such as labels, in which a twin
    is to differ.
    """
    code = np.unique(groups, return_inverse=True)[1]
    keys = (np.arange(len(code)), *(() if split is None else (turns(split),)), code)
    order = np.lexsort(keys)
    begins = np.searchsorted(code[order], np.arange(int(code.max(initial=-1)) + 1))
    first = order[begins]                                            # of each group
    if apart is None:
        second = order[np.minimum(begins + 1, len(order) - 1)]
        other = second
    else:
        unlike = np.flatnonzero(apart[order] != apart[first[code[order]]])
        other = first.copy()
        other[code[order[unlike[::-1]]]] = order[unlike[::-1]]       # the first that differs from the group's first
    alone = code[other] != np.arange(len(first))
    other[alone] = first[alone]
    mine = code[rows]
    same = (first[mine] == rows) if apart is None else (apart[first[mine]] == apart[rows])
    return np.asarray(np.where(same, other[mine], first[mine]))


def turns(split: TextArray) -> IntArray:
    """When each row is looked at (n_rows,): 0 train, 1 validation, 2 test, 3 what is only judged."""
    return np.select([split == name for name in NAMES], [0, 1, 2], default=3).astype(np.int64)


def _earliest(order: IntArray, groups: IntArray) -> IntArray:
    """For each row, the earliest split that its group is in."""
    _, code = np.unique(groups, return_inverse=True)
    first = np.full(int(code.max()) + 1 if len(code) else 0, 3, dtype=np.int64)
    np.minimum.at(first, code, order)
    return first[code]
