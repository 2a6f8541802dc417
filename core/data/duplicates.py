"""Exact and near duplicates in nearly linear time.

Near duplicates: MinHash signatures (Broder 1997) over 24-byte shingles that start at word starts, grouped by
locality-sensitive hashing in 8 bands of 4; candidates are confirmed by their true Jaccard similarity. All hashing is
vectorised over the bytes of all texts, with no Python loop over words.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from core.data import meter

if TYPE_CHECKING:
    import numpy.typing as npt

    IntArray = npt.NDArray[np.int64]
    Hashes = npt.NDArray[np.uint64]

SHINGLE_BYTES = 24
BANDS, BAND_ROWS = 8, 4
THRESHOLD = 0.8
"""Jaccard similarity of shingles from which two texts count as near duplicates."""
_MAX_CHARS = 2_000
"""Of each text, for near duplicates."""
_BLOCK_BYTES = 250_000
"""Hashed at a time: small enough for the processor's cache."""
_BASE = 0x9E3779B97F4A7C15
_SEEDS = tuple((0xD1B54A32D192ED03 * (2 * i + 1)) & 0xFFFFFFFFFFFFFFFF for i in range(BANDS * BAND_ROWS))
"""Odd multipliers: each is a permutation of the 64-bit hashes."""


def normalise(text: str) -> str:
    """What two exact duplicates share: case, and runs and ends of spaces, do not count."""
    return " ".join(text.split()).casefold()


def exact_groups(texts: Sequence[str]) -> IntArray:
    """A group number for each text (n_rows,): equal for exact duplicates (see `normalise`)."""
    seen: dict[str, int] = {}
    return np.asarray([seen.setdefault(normalise(text), len(seen)) for text in texts], dtype=np.int64)


def near_groups(texts: Sequence[str], exact: IntArray | None = None) -> IntArray:
    """A group number for each text (n_rows,): equal for texts linked by exact or near duplication.

    Texts shorter than two shingles are compared exactly only. Takes about 2 s for 100 MB of text.
    """
    exact = exact_groups(texts) if exact is None else exact
    _, first = np.unique(exact, return_index=True)                   # one text of each exact group
    chosen = [texts[i] for i in first]
    parent = list(range(len(first)))
    signatures, eligible = _signatures(chosen)

    @functools.lru_cache(maxsize=20_000)
    def shingles(index: int) -> Hashes:
        return np.unique(_shingle_hashes([_piece(chosen[index])])[0])

    unlike: set[tuple[int, int]] = set()
    for band in range(BANDS):
        part = signatures[:, band * BAND_ROWS : (band + 1) * BAND_ROWS]
        for a, b in _candidates(part, eligible):
            root_a, root_b = _root(parent, a), _root(parent, b)
            if root_a == root_b or (a, b) in unlike:
                continue
            if jaccard(shingles(a), shingles(b)) >= THRESHOLD:
                parent[max(root_a, root_b)] = min(root_a, root_b)
            else:
                unlike.add((a, b))
    roots = np.asarray([_root(parent, i) for i in range(len(first))], dtype=np.int64)
    return roots[exact] if len(exact) else exact


def jaccard(a: Hashes, b: Hashes) -> float:
    """Similarity of two sorted arrays of distinct hashes: shared over all."""
    shared = len(np.intersect1d(a, b, assume_unique=True))
    return shared / max(1, len(a) + len(b) - shared)


def _root(parent: list[int], item: int) -> int:
    while parent[item] != item:
        parent[item] = parent[parent[item]]
        item = parent[item]
    return item


def _piece(text: str) -> bytes:
    return normalise(text[:_MAX_CHARS]).encode("utf-8", "replace")


def _candidates(part: Hashes, eligible: npt.NDArray[np.bool_]) -> list[tuple[int, int]]:
    """Pairs with an equal band: each member of a bucket with the one before it and with the first."""
    key = (part * np.asarray(_SEEDS[: part.shape[1]], dtype=np.uint64)).sum(axis=1, dtype=np.uint64)
    order = np.argsort(key, kind="stable")
    order = order[eligible[order]]
    same = key[order[1:]] == key[order[:-1]]
    pairs: list[tuple[int, int]] = []
    start = 0
    for position in (np.flatnonzero(same) + 1).tolist():
        if position - 1 == 0 or not same[position - 2]:
            start = position - 1
        pairs.append((int(order[position]), int(order[position - 1])))
        if start != position - 1:
            pairs.append((int(order[position]), int(order[start])))
    return pairs


def _signatures(texts: Sequence[str]) -> tuple[Hashes, npt.NDArray[np.bool_]]:
    """((n_texts, 32) MinHash signatures, whether each text is long enough to have more than one shingle)."""
    signatures = np.zeros((len(texts), len(_SEEDS)), dtype=np.uint64)
    eligible = np.zeros(len(texts), dtype=bool)
    start = 0
    while start < len(texts):
        pieces: list[bytes] = []
        size = 0
        while start + len(pieces) < len(texts) and size < _BLOCK_BYTES:
            pieces.append(_piece(texts[start + len(pieces)]))
            size += len(pieces[-1]) + 1
        stop = start + len(pieces)
        hashes, offsets = _shingle_hashes(pieces)
        for column, seed in enumerate(_SEEDS):
            signatures[start:stop, column] = np.minimum.reduceat(hashes * np.uint64(seed), offsets)
        eligible[start:stop] = np.diff([*offsets, len(hashes)]) > 1
        start = stop
        meter.report("looking for duplicates", start, len(texts))
    return signatures, eligible


def _shingle_hashes(pieces: Sequence[bytes]) -> tuple[Hashes, Any]:
    """(hash of every shingle of all texts in order, where each text's begin). Every text has at least one."""
    data = np.frombuffer(b" ".join(pieces) + b" ", dtype=np.uint8)
    lengths = np.asarray([len(piece) for piece in pieces], dtype=np.int64)
    begins = np.cumsum(lengths + 1) - (lengths + 1)
    owner = np.repeat(np.arange(len(pieces)), lengths + 1)
    spaces = np.add.reduceat((data == 32).astype(np.int64), begins)
    sparse = (spaces * 20 < lengths)  # scripts without spaces: shingles start at every character
    at_word = np.empty(len(data), dtype=bool)
    at_word[0], at_word[1:] = True, data[:-1] == 32
    at_character = sparse[owner] & ((data & 0xC0) != 0x80)
    whole = np.arange(len(data)) + SHINGLE_BYTES <= (begins + lengths)[owner]
    picked = (at_word | at_character) & whole
    picked[begins] = True
    at = np.flatnonzero(picked)
    ends = np.minimum(at + SHINGLE_BYTES, (begins + lengths)[owner[at]])
    count = max(len(data) + 1, _BLOCK_BYTES + 10_000)
    powers, inverse = _powers(_BASE, count), _powers(pow(_BASE, -1, 1 << 64), count)
    prefix = np.zeros(len(data) + 1, dtype=np.uint64)
    np.cumsum((data.astype(np.uint64) + np.uint64(1)) * powers[: len(data)], out=prefix[1:])
    hashes = _mix((prefix[ends] - prefix[at]) * inverse[at])
    return hashes, np.searchsorted(at, begins)


@functools.lru_cache(maxsize=4)
def _powers(base: int, count: int) -> Hashes:
    """base^0 … base^(count-1) modulo 2^64."""
    factors = np.full(count, base, dtype=np.uint64)
    factors[0] = 1
    return np.cumprod(factors, dtype=np.uint64)


def _mix(values: Hashes) -> Hashes:
    """The finaliser of splitmix64: spreads every bit over the whole word."""
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return np.asarray(values ^ (values >> np.uint64(31)))
