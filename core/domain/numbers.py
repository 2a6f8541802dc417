"""How many rows a dataset or an import report has: the one place where they are counted, for pages and command line."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from core.domain.dataset import Dataset, Split


class Report(Protocol):
    """What an import report says of its rows (`core.data.report.ImportReport`)."""

    @property
    def rows_read(self) -> int: ...
    @property
    def rows_kept(self) -> int: ...
    @property
    def splits(self) -> dict[str, dict[str, int]]: ...


@dataclass(frozen=True, kw_only=True)
class Numbers:
    """Rows of a dataset; `read == kept + left_out`, and `kept` is the sum over the splits."""

    read: int
    kept: int
    splits: dict[str, int]
    """split -> rows, for splits with any, in the order of `Split`."""
    classes: dict[str, int]
    """class -> rows outside of the shift set, largest first."""

    @staticmethod
    def of(found: Dataset | Report) -> Numbers:
        """Of a dataset, or of the report of its import."""
        counts: Mapping[str, Mapping[str, int]] = found.counts if isinstance(found, Dataset) else found.splits
        splits = {split.value: sum(counts[split].values()) for split in Split if any(counts.get(split, {}).values())}
        classes: dict[str, int] = {}
        for split, rows in counts.items():
            for name, count in rows.items():
                classes[name] = classes.get(name, 0) + (count if split != Split.SHIFT else 0)
        ordered = dict(sorted(classes.items(), key=lambda item: (-item[1], item[0])))
        kept = sum(splits.values())                                  # passages, where an import cut texts into them
        read = max(kept, found.rows_read - found.rows_kept + kept)  # some datasets count the texts that were cut
        return Numbers(read=read, kept=kept, splits=splits, classes=ordered)

    @property
    def left_out(self) -> int:
        """Rows that were read and not kept."""
        return self.read - self.kept

    @property
    def shift(self) -> int:
        """Rows of the shift set."""
        return self.splits.get(Split.SHIFT.value, 0)

    @property
    def own(self) -> int:
        """Kept rows outside of the shift set."""
        return self.kept - self.shift
