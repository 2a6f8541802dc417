"""Cells that mean no value: empty ones, nulls, and words for them; and words that may be answers as well."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

import numpy as np

from core.data import labels

if TYPE_CHECKING:
    import numpy.typing as npt

NULLS = frozenset({"nan", "<na>", "nat", "\\n", "#n/a", "#n/a n/a", "#ref!", "#value!", "#div/0!", "#name?",
                   "#null!", "#num!", "#spill!", "#calc!", "#field!", "#getting_data"})
"""What programs write for a missing or broken value, in lower case: never an answer."""
ANSWERS = frozenset({"na", "n/a", "null"})
"""What programs write for a missing value, and people for an answer: the column tells which."""
_LEAST = 3
_SPELLINGS = 20


def folded(column: Any) -> Any:
    """Cells in lower case without outer blanks and invisible characters."""
    import pyarrow.compute as pc

    return pc.utf8_lower(pc.utf8_trim(column, characters=labels.unseen()))


def words(column: Any) -> frozenset[str]:
    """The words that mean no value in this column, in lower case.

    One of `ANSWERS` is an answer where no cell of the column is empty or null, its other values repeat as those of a
    label do, and it is at least half as frequent as the typical one of them.
    """
    counts = {value: count for value, count in _counts(folded(column)) if value}
    filled = sum(counts.values())
    others = [count for value, count in counts.items() if value not in NULLS | ANSWERS]
    empty = filled < len(column) or any(value in NULLS for value in counts)
    if empty or not others or len(others) > sum(others) / 2:
        return NULLS | ANSWERS
    typical = sorted(others)[len(others) // 2]
    return NULLS | {word for word in ANSWERS if counts.get(word, 0) < max(_LEAST, typical / 2)}


def is_missing(column: Any) -> Any:
    """Boolean Arrow array: null, blank, or a word for no value in this column."""
    import pyarrow as pa
    import pyarrow.compute as pc

    known = pa.array(["", *words(column)], type=pa.large_string())
    return pc.or_(pc.is_null(column), pc.fill_null(pc.is_in(folded(column), value_set=known), False))


def reasons(column: Any, what: str) -> list[tuple[npt.NDArray[np.bool_], str]]:
    """(rows without a value (n_rows,), the reason) for each kind there is: `the label is empty`, `the label says
    'NA'`."""
    import pyarrow as pa
    import pyarrow.compute as pc

    missing = np.asarray(is_missing(column), dtype=bool)
    trimmed = pc.utf8_trim(column, characters=labels.unseen())
    said = {value for value, _ in _counts(trimmed.filter(pa.array(missing))) if value}
    found, rest = [], missing.copy()
    for word in sorted(said)[:_SPELLINGS]:
        mask = np.asarray(pc.fill_null(pc.equal(trimmed, word), False), dtype=bool)
        found.append((mask, f"the {what} says {word!r}, which means no value"))
        rest &= ~mask
    return [(rest, f"the {what} is empty"), *found]


def _counts(column: Any) -> list[tuple[str | None, int]]:
    import pyarrow.compute as pc

    total: Counter[str | None] = Counter()
    for item in pc.value_counts(column).to_pylist():
        total[item["values"]] += item["counts"]
    total.pop(None, None)
    return list(total.items())
