"""Splits: stratified, seeded, group-aware; from a given column; and nested label budgets.

Every function is deterministic in its seed and works on plain integer labels, one a row.
"""

from __future__ import annotations

import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from core.domain.dataset import Split
from core.errors import DataError

if TYPE_CHECKING:
    import numpy.typing as npt

    IntArray = npt.NDArray[np.int64]
    TextArray = npt.NDArray[np.str_]

DEFAULT_FRACTIONS = (0.7, 0.1, 0.2)
"""Train, validation, test shares of a person's own data."""

NAMES = (Split.TRAIN.value, Split.VALIDATION.value, Split.TEST.value)

ALIASES: Mapping[str, str] = {
    "train": "train", "training": "train", "trn": "train",
    "validation": "validation", "valid": "validation", "val": "validation", "dev": "validation",
    "validate": "validation",
    "development": "validation", "test": "test", "testing": "test", "tst": "test", "eval": "test", "evaluation": "test",
    "holdout": "test", "shift": "shift", "publictest": "validation", "privatetest": "test",
}  # fmt: skip
"""What a split column may say, in lower case, and what it means. `eval` is validation beside a test split."""

_FOR_TEST = frozenset({"test", "testing", "tst", "holdout"})
_FILLERS = frozenset({"set", "sets", "data", "dataset", "split", "splits", "part", "images", "image", "imgs",
                      "img", "pictures", "pics", "photos", "texts", "text", "files", "folder", "the", "my"})
"""Words of a folder's name that do not count: `train_images`, `TestSet`, `validation-data`."""


def meanings(values: Iterable[str]) -> dict[str, str]:
    """value -> split for those of these different values that name one (in any letter case), read together."""
    folded = {value: value.strip().casefold() for value in values}
    found = {value: ALIASES[name] for value, name in folded.items() if name in ALIASES}
    if _FOR_TEST & set(folded.values()):
        found |= {value: NAMES[1] for value in found if folded[value] in ("eval", "evaluation")}
    return found


def folder_meanings(names: Iterable[str]) -> dict[str, str]:
    """folder -> split for those of the folders beside each other that name one: `Training`, `test_set`, `seg_train`
    beside `seg_test`.

    What is left of a name without the split's word must be the same for all; the largest group with a train folder
    counts.
    """
    groups: dict[tuple[str, ...], dict[str, str]] = defaultdict(dict)
    for name in names:
        words = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", unicodedata.normalize("NFKC", name)).casefold()
        words = re.sub(r"hold[\s_-]?out", "holdout", words)
        words = re.sub(r"\b(train|training|test|testing|val|valid|validation|dev|eval)(set|data|split|images|imgs)\b",
                       r"\1", words)
        tokens = [token for token in re.split(r"[\W\d_]+", words) if token and token not in _FILLERS]
        named = [token for token in tokens if token in ALIASES and token != "shift"]
        if len(named) == 1:
            groups[tuple(token for token in tokens if token != named[0])][name] = named[0]
    found = [meanings_of for group in groups.values() if NAMES[0] in (meanings_of := _renamed(group)).values()]
    return max(found, key=len, default={})


def _renamed(words: Mapping[str, str]) -> dict[str, str]:
    """folder -> split, given the word of each folder that names it."""
    meaning = meanings(set(words.values()))
    return {name: meaning[word] for name, word in words.items()}


def stratified(labels: Sequence[int] | IntArray, *, seed: int = 0, fractions: Sequence[float] = DEFAULT_FRACTIONS,
               sizes: Sequence[int] | None = None, groups: Sequence[int] | IntArray | None = None) -> TextArray:
    """Give each row `train`, `validation` or `test`; returns an array of n_rows names.

    labels: class index a row. fractions: shares of the three splits, in that order. sizes: exact row counts instead
    (their sum must be n_rows). groups: rows with an equal number stay together (duplicates, one author, one patient).
    Each class keeps its share in every split as closely as whole rows allow. Without groups, a class of three or more
    rows is in all three splits, a class of two in train and test, a single row in train. Raises DataError when the
    sizes cannot be met.
    """
    y = np.asarray(labels, dtype=np.int64)
    totals = _totals(len(y), fractions, sizes)
    out = np.full(len(y), NAMES[0], dtype="<U10")
    if not len(y):
        return out
    rng = np.random.default_rng(seed)
    n_classes = int(y.max()) + 1
    used = [share > 0 for share in (sizes if sizes is not None else fractions)]
    quota = _quotas(np.bincount(y, minlength=n_classes), totals, used=used, exact=sizes is not None)
    loose = np.arange(len(y))
    if groups is not None:
        loose = _place_groups(y, np.asarray(groups, dtype=np.int64), quota, out, rng)
        quota = _requota(y[loose], np.maximum(quota, 0), exact=sizes is not None)
    for label in range(n_classes):
        rows = rng.permutation(loose[y[loose] == label])
        start = 0
        for name, count in zip(NAMES, quota[label], strict=True):
            out[rows[start : start + count]] = name
            start += count
    return out


def whole_groups(groups: Sequence[int] | IntArray, *, seed: int = 0,
                 fractions: Sequence[float] = DEFAULT_FRACTIONS) -> TextArray:
    """Splits of rows without labels: rows with an equal number stay together, whatever it does to the shares.

    Groups go where rows are missed most, large ones first; of three groups or more, each split with a share gets one
    at least (the smallest of a split that has several). Returns an array of n_rows names.
    """
    _, code, sizes = np.unique(np.asarray(groups), return_inverse=True, return_counts=True)
    shares = _totals(len(code), fractions, None).astype(np.float64)
    used = [split for split in range(3) if fractions[split] > 0]
    order = np.random.default_rng(seed).permutation(len(sizes))
    order = order[np.argsort(-sizes[order], kind="stable")]
    place, missed = np.zeros(len(sizes), dtype=np.int64), shares.copy()
    for group in order.tolist():
        place[group] = max(used, key=lambda split: (missed[split] >= sizes[group], missed[split]))
        missed[place[group]] -= sizes[group]
    for split in used:
        counts = np.bincount(place, minlength=3)
        if len(sizes) >= len(used) and not counts[split]:
            giver = max(used, key=lambda other: (counts[other] > 1, -missed[other]))
            of_giver = order[place[order] == giver]
            missed[giver] += sizes[of_giver[-1]]
            place[of_giver[-1]] = split
    return np.asarray(NAMES, dtype="<U10")[place][code]


def in_order(n_rows: int, *, fractions: Sequence[float] = DEFAULT_FRACTIONS) -> TextArray:
    """The first rows train, the next validation, the last test: for the passages of one text, whose neighbours are
    alike."""
    return np.repeat(np.asarray(NAMES, dtype="<U10"), _totals(n_rows, fractions, None))


def _totals(n_rows: int, fractions: Sequence[float], sizes: Sequence[int] | None) -> IntArray:
    if sizes is not None:
        if len(sizes) != 3 or min(sizes) < 0 or sum(sizes) != n_rows:
            raise DataError(f"The split sizes {', '.join(map(str, sizes))} do not fit {n_rows:,} rows.",
                            why="Train, validation and test must add up to the number of rows kept.",
                            remedy="Give three sizes that add up, or shares instead of sizes.")
        return np.asarray(sizes, dtype=np.int64)
    if len(fractions) != 3 or min(fractions) < 0 or abs(sum(fractions) - 1) > 1e-6:
        raise DataError(f"The split shares {', '.join(map(str, fractions))} are not three shares of a whole.",
                        remedy="Give train, validation and test as three numbers that add up to 1, such as "
                               "0.7, 0.1, 0.2.")
    return largest_remainder(np.asarray(fractions, dtype=float) * n_rows, n_rows)


def largest_remainder(quotas: npt.NDArray[np.float64], total: int) -> IntArray:
    """Whole numbers that sum to `total` and differ from `quotas` (which sum to about `total`) by less than one."""
    floor = np.floor(quotas + 1e-9).astype(np.int64)
    short = total - int(floor.sum())
    order = np.argsort(floor - quotas, kind="stable")
    floor[order[: max(0, short)]] += 1
    return floor


def _quotas(counts: IntArray, totals: IntArray, *, used: Sequence[bool], exact: bool) -> IntArray:
    """Rows of each class in each split: (n_classes, 3), rows sum to `counts`, columns to `totals` (or more)."""
    n = int(counts.sum())
    quota = np.zeros((len(counts), 3), dtype=np.int64)
    left = counts.copy()
    for column, keep in ((2, 1), (1, 1)):
        wanted = int(totals[column])
        ceiling = np.maximum(left - keep, 0)
        if column == 1:
            ceiling = np.where(counts >= 3, ceiling, 0)
        least = (np.minimum((counts >= (3 if column == 1 else 2)).astype(np.int64), ceiling) if used[column]
                 else np.zeros_like(left))
        if column == 2:
            ceiling = np.where(counts >= 3, counts - 2, ceiling)
        quota[:, column] = _fill(np.asarray(counts * (wanted / n), dtype=np.float64), wanted, least, ceiling,
                                 exact=exact)
        left = counts - quota.sum(axis=1)
    quota[:, 0] = left
    return quota


def _fill(ideal: npt.NDArray[np.float64], wanted: int, least: IntArray, ceiling: IntArray, *, exact: bool) -> IntArray:
    """Whole numbers near `ideal`, between `least` and `ceiling`, that sum to `wanted` where the bounds allow it."""
    got = np.clip(largest_remainder(ideal, wanted), least, ceiling)
    while (excess := int(got.sum()) - wanted) != 0:
        step = -1 if excess > 0 else 1
        movable = np.flatnonzero(got > least) if excess > 0 else np.flatnonzero(got < ceiling)
        if not len(movable):
            break
        order = movable[np.argsort(step * (got[movable] - ideal[movable]), kind="stable")]
        got[order[: abs(excess)]] += step
    if exact and int(got.sum()) != wanted:
        raise DataError(f"A split of exactly {wanted:,} rows is not possible.",
                        why=f"Each class must be in every split: that gives between {int(least.sum()):,} and "
                            f"{int(ceiling.sum()):,} rows.",
                        remedy="Choose other sizes, or shares instead of sizes.")
    return got


def _place_groups(y: IntArray, groups: IntArray, quota: IntArray, out: TextArray, rng: Any) -> IntArray:
    """Place every group of two or more rows, largest first, where it is missed most; returns the rows left over.

    `quota` is lowered in place by what was placed (a class may go below zero where a group overfills it).
    """
    _, code, sizes = np.unique(groups, return_inverse=True, return_counts=True)
    loose = np.flatnonzero(sizes[code] == 1)
    order = np.argsort(code, kind="stable")
    members = np.split(order, np.cumsum(sizes)[:-1])
    large = [g for g in rng.permutation(len(sizes)) if sizes[g] > 1]
    large.sort(key=lambda g: -int(sizes[g]))
    start = np.maximum(quota.sum(axis=0), 1).astype(float)
    for g in large:
        rows = members[g]
        labels, counts = np.unique(y[rows], return_counts=True)
        room = quota[labels] - counts[:, None]                       # (labels of the group, 3)
        overflow = np.minimum(room, 0).sum(axis=0)
        place = max(range(3), key=lambda s: (overflow[s], quota[:, s].sum() / start[s], -s))
        out[rows] = NAMES[place]
        quota[labels, place] -= counts
    return loose


def _requota(y: IntArray, quota: IntArray, *, exact: bool) -> IntArray:
    """Fit what is left of the quotas to the loose rows that are left, class by class, then (exact) column by column."""
    counts = np.bincount(y, minlength=len(quota)) if len(y) else np.zeros(len(quota), dtype=np.int64)
    wanted = quota.sum(axis=0)
    fitted = np.zeros_like(quota)
    for label, count in enumerate(counts):
        share = quota[label].astype(float)
        if share.sum() == 0:
            share = wanted.astype(float) if wanted.sum() else np.array([1.0, 0.0, 0.0])
        fitted[label] = largest_remainder(share * (count / share.sum()), int(count))
    if exact:
        _balance(fitted, wanted)
    return fitted


def _balance(fitted: IntArray, wanted: IntArray) -> None:
    """Move single rows between splits, in the class that has most to give, until the columns are as wanted."""
    for _ in range(int(np.abs(fitted.sum(axis=0) - wanted).sum())):
        difference = fitted.sum(axis=0) - wanted
        source, sink = int(difference.argmax()), int(difference.argmin())
        if difference[source] <= 0 or difference[sink] >= 0:
            return
        label = int(fitted[:, source].argmax())
        fitted[label, source] -= 1
        fitted[label, sink] += 1


def from_column(values: Sequence[str | None], labels: Sequence[int] | IntArray, *, seed: int = 0,
                groups: Sequence[int] | IntArray | None = None) -> TextArray:
    """Splits as a column of the file gives them; what it lacks is taken from its train rows, stratified.

    Understands the `ALIASES` in any letter case. Without a validation part a tenth of train becomes validation; without
    a test part, a fifth becomes test. Raises DataError naming values that are no split, or when no row is for training.
    """
    known = meanings({value for value in values if value})
    meant = [known.get(value or "", "") for value in values]
    if unknown := sorted({str(value) for value, name in zip(values, meant, strict=True) if not name}):
        shown = ", ".join(repr(value[:30]) for value in unknown[:5])
        raise DataError(f"The split column says {shown}, which Thaw does not know.",
                        why=f"It understands {', '.join(sorted(ALIASES))}.",
                        remedy="Correct these cells, or give this column another role and let Thaw split the rows.")
    out = np.asarray(meant, dtype="<U10")
    missing = [name for name in NAMES[1:] if name not in meant]
    train = np.flatnonzero(out == NAMES[0])
    if not len(train):
        raise DataError("The split column leaves no row for training.", why="No cell of it says train.",
                        remedy="Mark the rows to train on with train, or give this column another role.")
    if missing:
        shares = (0.0, 0.1 if "validation" in missing else 0.0, 0.2 if "test" in missing else 0.0)
        within = None if groups is None else np.asarray(groups)[train]
        out[train] = stratified(np.asarray(labels)[train], seed=seed, fractions=(1 - sum(shares), *shares[1:]),
                                groups=within)
    return out


def budget_order(labels: Sequence[int] | IntArray, *, seed: int = 0) -> IntArray:
    """An order of rows in which every beginning is stratified: the first n rows are the label budget n, and budgets
    nest.

    The first rows hold one of each class (large classes first), so a budget of at least n_classes rows misses none.
    """
    y = np.asarray(labels, dtype=np.int64)
    y = y - min(0, int(y.min(initial=0)))  # rows without a label, −1, are a class of their own
    shuffled = np.random.default_rng(seed).permutation(len(y))
    counts = np.bincount(y) if len(y) else np.zeros(0, dtype=np.int64)
    by_class = shuffled[np.argsort(y[shuffled], kind="stable")]      # rows, class by class, each in random order
    starts = np.cumsum(counts) - counts
    rank = np.arange(len(y)) - starts[y[by_class]]                  # place within its class
    key = np.where(rank == 0, 0.0, (rank + 0.5) / counts[y[by_class]])
    return np.asarray(by_class[np.lexsort((y[by_class], -counts[y[by_class]], key))])


def label_budget(labels: Sequence[int] | IntArray, budget: int | None, *, seed: int = 0) -> IntArray:
    """Sorted positions of the `budget` training rows to use (None or more than there are: all).

    Raises DataError when the budget is smaller than one row.
    """
    if budget is None or budget >= len(labels):
        return np.arange(len(labels))
    if budget < 1:
        raise DataError(f"A label budget of {budget} rows is not possible.",
                        remedy="Choose at least one row, best one a class or more.")
    return np.sort(budget_order(labels, seed=seed)[:budget])
