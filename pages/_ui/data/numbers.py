"""How many rows there are, said in one way wherever a dataset is named."""

from __future__ import annotations

from core.domain.dataset import Dataset, Split
from core.domain.numbers import Numbers
from pages._ui.words import things


def sentence(numbers: Numbers, *, kept: str = "kept") -> str:
    """`69 rows read, **62 kept**, 7 left out`."""
    return f"{numbers.read:,} rows read, **{numbers.kept:,} {kept}**, {numbers.left_out:,} left out"


def brief(dataset: Dataset) -> str:
    """`62 texts, 3 classes · train 44, validation 6, test 12 · shift set 30`: without the shift set in the total."""
    return f"{Numbers.of(dataset).own:,} {things(dataset.task)}, {len(dataset.classes):,} classes · {splits(dataset)}"


def splits(dataset: Dataset) -> str:
    """`train 44, validation 6, test 12, shift set 30`."""
    rows = Numbers.of(dataset).splits
    return ", ".join(f"{'shift set' if split == Split.SHIFT else split} {count:,}" for split, count in rows.items())
