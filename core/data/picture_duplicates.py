"""Exact and near duplicates among pictures.

Exact: equal pixels, whatever the file format. Near: a perceptual hash (pHash, the signs of the lowest frequencies of
the discrete cosine transform; Zauner 2010) picks candidates, and small copies of the pictures must agree. So a picture
saved again at another size, format or quality is found, and two drawings of one kind are told apart.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from core.data.pictures.source import DecodedPictures

if TYPE_CHECKING:
    import numpy.typing as npt

    IntArray = npt.NDArray[np.int64]

BITS = 8
"""Most bits of 63 in which the hashes of near duplicates differ."""
MEAN_DIFFERENCE, LARGEST_DIFFERENCE = 4.0, 48
"""Between 16 x 16 copies, in grey steps of 255: the mean over all cells and colours, and the most in any."""
_BLOCK = 512
_ALL_PAIRS = 50_000
"""Above so many different pictures only those with equal hashes are compared: all pairs would take minutes."""
_FLAT = 4.0
"""Pictures of less spread than this have no shape to compare."""


def exact_groups(decoded: DecodedPictures) -> IntArray:
    """A group number for each picture (n_rows,): equal for equal pixels."""
    seen: dict[str, int] = {}
    return np.asarray([seen.setdefault(digest, len(seen)) for digest in decoded.digest], dtype=np.int64)


def near_groups(decoded: DecodedPictures, exact: IntArray) -> IntArray:
    """A group number for each picture (n_rows,): equal for pictures linked by exact or near duplication."""
    if not len(exact):
        return exact
    _, first = np.unique(exact, return_index=True)                   # one picture of each exact group
    first = np.sort(first)
    parent = list(range(len(first)))

    def root(item: int) -> int:
        while parent[item] != item:
            parent[item] = parent[parent[item]]
            item = parent[item]
        return item

    hashes, thumbs = decoded.likeness[first], decoded.thumb[first]
    solid = np.flatnonzero(decoded.spread[first] >= _FLAT)
    for a, b in _candidates(hashes, solid):
        difference = np.abs(thumbs[a].astype(np.int16) - thumbs[b].astype(np.int16))        # (n_pairs, 16, 16, 3)
        alike = ((difference.mean(axis=(1, 2, 3)) <= MEAN_DIFFERENCE)
                 & (difference.max(axis=(1, 2, 3)) <= LARGEST_DIFFERENCE))
        for x, y in zip(a[alike].tolist(), b[alike].tolist(), strict=True):
            root_x, root_y = root(x), root(y)
            parent[max(root_x, root_y)] = min(root_x, root_y)
    roots = np.asarray([root(i) for i in range(len(first))], dtype=np.int64)
    place = np.zeros(int(exact.max()) + 1, dtype=np.int64)
    place[exact[first]] = np.arange(len(first))
    return roots[place[exact]]


def _candidates(hashes: Any, solid: IntArray) -> Any:
    """Pairs (positions a, positions b) whose hashes differ in few bits, in blocks."""
    if len(solid) > _ALL_PAIRS:
        order = solid[np.argsort(hashes[solid], kind="stable")]
        same = hashes[order[1:]] == hashes[order[:-1]]
        for at in range(0, int(same.sum()), _BLOCK * 16):
            picked = np.flatnonzero(same)[at : at + _BLOCK * 16]
            yield order[picked], order[picked + 1]
        return
    codes = hashes[solid]
    for start in range(0, len(solid), _BLOCK):
        rows = codes[start : start + _BLOCK, None]
        close = np.bitwise_count(rows ^ codes[None, start:]) <= BITS  # (block, the rest from here on)
        a, b = np.nonzero(close)
        later = b > a
        a, b = solid[a[later] + start], solid[b[later] + start]
        for at in range(0, len(a), _BLOCK * 16):
            yield a[at : at + _BLOCK * 16], b[at : at + _BLOCK * 16]
