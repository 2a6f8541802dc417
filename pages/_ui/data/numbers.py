"""How many rows there are, said in one way wherever a dataset is named."""

from __future__ import annotations

from core.domain.dataset import Dataset, Role, Shape, Split
from core.domain.numbers import Numbers
from pages._ui.words import rows_called


def sentence(numbers: Numbers, *, kept: str = "kept") -> str:
    """`69 rows read, **62 kept**, 7 left out`."""
    return f"{numbers.read:,} rows read, **{numbers.kept:,} {kept}**, {numbers.left_out:,} left out"


def brief(dataset: Dataset) -> str:
    """`62 texts, 3 classes · train 44, validation 6, test 12 · shift set 30`: without the shift set in the total."""
    return f"{Numbers.of(dataset).own:,} {rows_called(dataset)}{parts(dataset)} · {splits(dataset)}"


def parts(dataset: Dataset) -> str:
    """What the rows are sorted or held together by: `, 3 classes`, ` of 64 documents`, or nothing."""
    if dataset.task.labelled:
        return f", {len(dataset.classes):,} classes"
    if not dataset.groups:
        return ""
    named = Role.GROUP in dataset.columns.values() or dataset.shape is Shape.CHAT
    return f" in {dataset.groups:,} groups" if named else f" of {dataset.groups:,} documents"


def splits(dataset: Dataset) -> str:
    """`train 44, validation 6, test 12, shift set 30`; a shift set that was made is called so."""
    rows, made = Numbers.of(dataset).splits, f" ({dataset.shift_called})" if dataset.shift_called else ""
    return ", ".join(f"{'shift set' if split == Split.SHIFT else split} {count:,}{made * (split == Split.SHIFT)}"
                     for split, count in rows.items())
