"""What a mend is: a change of which rows a dataset has, of their labels, of their splits; never of their contents."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from core.data.leaks import fix_leaks

if TYPE_CHECKING:
    import numpy.typing as npt

    IntArray = npt.NDArray[np.int64]
    Mask = npt.NDArray[np.bool_]
    Names = npt.NDArray[np.object_]


@dataclass(frozen=True, kw_only=True)
class Step:
    """One change that a person chose."""

    mend: str
    """Name of the mend, such as `drop-rows`."""
    finding: str = ""
    """Code of the finding that it answers; its rows are meant unless `rows` says otherwise."""
    rows: tuple[int, ...] | None = None
    """Row ids, where only some are meant."""
    classes: tuple[str, ...] = ()
    """Classes that are meant, where a mend is about classes."""
    name: str = ""
    """A class name to give."""


@dataclass(frozen=True, kw_only=True, eq=False)
class State:
    """The rows of a dataset as mends see them, in the dataset's order; arrays of n_rows entries."""

    row_id: IntArray
    label: Names
    """Class names."""
    split: Names
    exact: IntArray
    """Equal for equal content."""
    near: IntArray
    """Equal for content that is equal or nearly so."""
    why: Names
    """Why a row is dropped; empty for those that are kept."""
    group: IntArray | None = None
    """Equal for rows that no split may cut; None where each stands for itself."""

    @property
    def kept(self) -> Mask:
        return np.asarray(self.why == "")

    def drop(self, rows: Mask, reason: str) -> State:
        """Without these rows, as far as they are still there."""
        why = self.why.copy()
        why[rows & self.kept] = reason
        return dataclasses.replace(self, why=why)

    def label_as(self, rows: Mask, names: Names) -> State:
        """With other labels for these rows. names: one a row of the dataset (n_rows,)."""
        return dataclasses.replace(self, label=np.where(rows & self.kept, names, self.label))

    def renamed(self, names: Mapping[str, str]) -> State:
        """With classes called otherwise; equal names become one class."""
        return dataclasses.replace(self, label=np.asarray([names.get(name, name) for name in self.label], dtype=object))

    def move(self, split: Any) -> State:
        """With other splits (n_rows,); rows of a group go together to the one that is looked at first."""
        if self.group is not None:
            split = fix_leaks(np.asarray(split).astype("<U10"), self.group)
        return dataclasses.replace(self, split=np.asarray(split, dtype=object))

    def counts(self) -> dict[str, int]:
        """class -> kept rows."""
        names, rows = np.unique(self.label[self.kept].astype(str), return_counts=True)
        return dict(zip(names.tolist(), rows.tolist(), strict=True))


@dataclass(frozen=True, kw_only=True, eq=False)
class Meant:
    """What a step is about."""

    rows: Mask
    """(n_rows,) the rows of the finding, or those that were picked."""
    finding: str = ""
    """Its code; empty for a mend of its own."""
    suggested: Mapping[int, str] = field(default_factory=dict)
    """row id -> the class that it may belong to."""
    classes: tuple[str, ...] = ()
    name: str = ""


@dataclass(frozen=True, kw_only=True)
class Mend:
    """One kind of change. A new one is a file in this folder and a line in its registry."""

    name: str
    """Stable: it is stored with the dataset."""
    label: str
    """What a person chooses, as an order: `Drop these rows`."""
    explanation: str
    """What it does to the rows, in a sentence."""
    answers: tuple[str, ...]
    """Codes of the findings that it is an answer to; the first mend in the registry is what is offered first."""
    apply: Callable[[State, Meant], State]
    needs: str = ""
    """What a person has to say for it: `rows` picked by hand, a `class` to give, `classes` to choose; or nothing."""
