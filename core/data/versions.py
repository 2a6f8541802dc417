"""A dataset that takes the place of another in the list: the other stays on disk, for its runs and for undoing.

The one that was replaced carries a note that names the one in its place. When that one is deleted, the other is back.
"""

from __future__ import annotations

import dataclasses
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from core import files, values
from core.data.mends.mend import Step
from core.domain import codec
from core.domain.dataset import Split

NOTE = "replaced.json"
"""In the folder of a dataset that another one has taken the place of."""


@dataclass(frozen=True, kw_only=True)
class Changes:
    """What a new dataset has otherwise than the one in whose place it is."""

    before: dict[str, dict[str, int]] = field(default_factory=dict)
    """split -> class -> rows."""
    after: dict[str, dict[str, int]] = field(default_factory=dict)
    dropped: dict[str, int] = field(default_factory=dict)
    """reason -> rows."""
    relabelled: int = 0
    """Kept rows with another class."""
    moved: int = 0
    """Kept rows in another split."""
    added: int = 0
    """Rows of a shift set that was attached."""
    steps: tuple[Step, ...] = ()

    @property
    def rows_before(self) -> int:
        return _total(self.before)

    @property
    def rows_after(self) -> int:
        return _total(self.after)

    @property
    def nothing(self) -> bool:
        """Whether all is as before."""
        return not (self.dropped or self.relabelled or self.moved or self.added)


@dataclass(frozen=True, kw_only=True)
class Replaced:
    """The note in the folder of a dataset that was replaced."""

    by: str
    """Id of the dataset in its place."""
    changes: Changes = Changes()
    undone: bool = False
    """Whether this is the one that was made later, and undone."""
    created: float = 0.0
    """Unix time in seconds."""


def _total(counts: dict[str, dict[str, int]]) -> int:
    return sum(sum(rows.values()) for rows in counts.values())


def by_class(counts: dict[str, dict[str, int]], *, without_shift: bool = False) -> dict[str, int]:
    """class -> rows in all splits."""
    found: Counter[str] = Counter()
    for split, rows in counts.items():
        if not (without_shift and split == Split.SHIFT):
            found.update(rows)
    return dict(found)


def replaced(folder: Path) -> Replaced | None:
    """What took the place of the dataset in this folder; None where it is in the list itself."""
    note = values.read(folder / NOTE, Replaced)
    return note if note is not None and (folder.parent / note.by / "dataset.json").is_file() else None


def replace(old: Path, new: str, changes: Changes) -> None:
    """Put the dataset with this id in the place of the one in the folder `old`."""
    if old.name == new:
        return
    (old.parent / new / NOTE).unlink(missing_ok=True)
    files.write_json(old / NOTE, codec.to_json(Replaced(by=new, changes=changes, created=time.time())))


def before(folder: Path) -> tuple[str, Replaced] | None:
    """(id, note) of the dataset whose place the one in this folder took, the last that it took; None for none."""
    found = [(path.parent.name, note) for path in folder.parent.glob(f"*/{NOTE}")
             if (note := values.read(path, Replaced)) and note.by == folder.name and not note.undone
             and (path.parent / "dataset.json").is_file()]
    return max(found, key=lambda item: item[1].created, default=None)


def undo(new: Path, *, keep: bool) -> str | None:
    """Bring back the dataset whose place this one took; returns its id, None where there is none.

    keep: leave the new one on disk, out of the list (its runs need it), instead of removing it.
    """
    found = before(new)
    if found is None:
        return None
    old = found[0]
    if keep:
        files.write_json(new / NOTE, codec.to_json(Replaced(by=old, undone=True, created=time.time())))
    (new.parent / old / NOTE).unlink(missing_ok=True)
    if not keep:
        files.remove_folder(new)
    return old


def show(folder: Path) -> None:
    """Put a dataset back into the list: somebody has imported its file again. What took its place stays, too."""
    (folder / NOTE).unlink(missing_ok=True)


def forget(folder: Path) -> None:
    """Before a dataset that was replaced is deleted: what it replaced is now replaced by the one in its place."""
    note = values.read(folder / NOTE, Replaced)
    if note is None:
        return
    for path in folder.parent.glob(f"*/{NOTE}"):
        other = values.read(path, Replaced)
        if other and other.by == folder.name:
            files.write_json(path, codec.to_json(dataclasses.replace(other, by=note.by)))
