"""Data, mended in place: the rows of findings, what can be done about them, and the way back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from core import files
from core.api.desk import Desk
from core.data import found, import_job, leaky_splits, library, made, mends, row_pages, versions
from core.data.leaky_splits import Leaks
from core.data.row_pages import RowPage
from core.data.versions import Changes
from core.domain.dataset import Dataset, Split
from core.domain.run import JobKind, Run
from core.errors import ThawError

if TYPE_CHECKING:
    from core.data.check import Options


@dataclass(frozen=True, kw_only=True)
class ShiftLook:
    """What a look at a shift set has found, before anything is accepted."""

    of: str
    """Id of the dataset that it would belong to."""
    staged: str
    matched: dict[str, str] = field(default_factory=dict)
    """label -> class."""
    unmatched: dict[str, int] = field(default_factory=dict)
    """label without a class -> rows that would be left out."""
    labels: list[str] = field(default_factory=list)
    given: dict[str, str] = field(default_factory=dict)
    """label -> class, as chosen by hand for this look."""


class Mending:
    """Findings of datasets and what is done about them."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    # -- rows --------------------------------------------------------------------------------------------------------

    def found(self, ws: str, ref: str) -> dict[str, int] | None:
        """code of a finding -> rows that can be shown; None for a dataset of an earlier version, see `recheck`."""
        return found.counts(self._folder(ws, ref))

    def rows(self, ws: str, ref: str, code: str | None = None, **asked: Any) -> RowPage | None:
        """A page of rows, of a finding or of all; see `core.data.row_pages.page`. None where they were not kept."""
        dataset, folder = self._load(ws, ref), self._folder(ws, ref)
        if code is None:
            return row_pages.page(dataset, folder, **asked)
        return row_pages.of_finding(dataset, code, settings=self._desk.settings, workspace=ws, **asked)

    def recheck(self, ws: str, ref: str) -> str:
        """Look at the rows of a dataset again in a worker, so that those of its findings can be shown; the job's id."""
        dataset = self._load(ws, ref)
        return self._submit(ws, f"Check {dataset.name}", import_job.recheck_payload(dataset.id))

    # -- mends -------------------------------------------------------------------------------------------------------

    def answers(self, code: str) -> tuple[mends.Mend, ...]:
        """What can be done about a finding, the one to offer first in front."""
        return mends.answers(code)

    def mend_called(self, name: str) -> mends.Mend:
        """The mend of that name."""
        return mends.get(name)

    def preview(self, ws: str, ref: str, steps: Sequence[mends.Step]) -> Changes:
        """What these steps would change; cheap."""
        from core.data import mending

        return mending.preview(self._load(ws, ref), steps, settings=self._desk.settings, workspace=ws)

    def apply(self, ws: str, ref: str, steps: Sequence[mends.Step]) -> str:
        """Make the mended dataset in a worker, in the place of this one; the job's id."""
        dataset = self._load(ws, ref)
        return self._submit(ws, f"Mend {dataset.name}", import_job.mend_payload(dataset.id, steps))

    def replaced(self, ws: str, ref: str) -> str | None:
        """The dataset that has taken the place of this one; None where it is in the list itself."""
        note = versions.replaced(self._folder(ws, ref))
        return note.by if note else None

    def before(self, ws: str, ref: str) -> tuple[Dataset, Changes] | None:
        """The dataset whose place this one took, and what changed; None where it took none."""
        known = versions.before(self._folder(ws, ref))
        return (self._load(ws, known[0]), known[1].changes) if known else None

    def undo(self, ws: str, ref: str) -> Dataset:
        """Go back to the dataset before. The mended one stays on disk where runs were trained on it."""
        dataset = self._load(ws, ref)
        users = [run for run in self._desk.jobs(ws, kind=JobKind.TRAIN)
                 if run.recipe and run.recipe.dataset in (dataset.id, dataset.source)]
        old = versions.undo(self._folder(ws, ref), keep=bool(users))
        if old is None:
            raise ThawError("There is nothing to undo.", why="The dataset from before was deleted.",
                            remedy="Import its file again to have the rows as they were.")
        return self._load(ws, old)

    # -- shift sets --------------------------------------------------------------------------------------------------

    def look_at_shift(self, ws: str, ref: str, *, path: Path | None = None, other: str | None = None,
                      staged: str | None = None, name: str = "", roles: dict[str, str] | None = None,
                      options: Options | None = None, labels: Mapping[str, str] | None = None) -> str:
        """Look at a shift set in a worker: a file, another dataset, or what a look has read; the job's id.

        Nothing is attached, and no dataset is made. labels: shift label -> class, chosen by hand.
        """
        dataset = self._load(ws, ref)
        payload = import_job.shift_payload(dataset.id, path=Path(path).absolute() if path else None, other=other,
                                           staged=Path(staged) if staged else None, name=name, roles=roles,
                                           options=options, labels=labels)
        return self._submit(ws, f"Look at a shift set for {dataset.name}", payload)

    def shift_look(self, ws: str, job: str) -> ShiftLook | None:
        """What a look has found; None while it is under way, or where the job was none."""
        asked = self._desk.job(ws, job).payload.get("shift")
        result = self._desk.store.events.after(job, 0, kinds=("result",))
        if not asked or not result or not result[-1].data.get("staged"):
            return None
        data = result[-1].data
        return ShiftLook(of=asked["of"], staged=data["staged"], matched=data["matched"], unmatched=data["unmatched"],
                         labels=data["labels"], given=asked["labels"])

    def last_shift_look(self, ws: str, ref: str) -> Run | None:
        """The newest look at a shift set for this dataset that is under way, failed, or can be attached."""
        for job in self._desk.jobs(ws, kind=JobKind.IMPORT):
            if self._is_look(job) and self.concerns(job) == ref:
                if not job.status.final or job.failure is not None:
                    return job
                seen = self.shift_look(ws, job.id)
                return job if seen and Path(seen.staged).is_dir() else None
        return None

    def drop_shift_look(self, ws: str, job: str) -> None:
        """Forget a look at a shift set, with what it has read; a dataset that was looked at stays."""
        files.remove_folder(self._desk.store.jobs.delete(ws, job))

    def shift_rows(self, ws: str, job: str, code: str, **asked: Any) -> RowPage | None:
        """The rows of a finding about a shift set that was looked at."""
        from core.data.ingest import read_dataset

        seen = self.shift_look(ws, job)
        if seen is None or not Path(seen.staged).is_dir():
            return None
        rows = found.rows_of(Path(self._desk.job(ws, job).folder), code)
        base, staged = (self._load(ws, seen.of), self._folder(ws, seen.of)), Path(seen.staged)
        return row_pages.page(read_dataset(staged), staged, rows=rows, twins_in=base, **asked) if rows else None

    def attach_shift(self, ws: str, job: str, *, drop_leaks: bool = True) -> str:
        """Attach what a look has found, in the place of its dataset; the job's id."""
        seen, asked = self.shift_look(ws, job), self._desk.job(ws, job).payload["shift"]
        if seen is None or not Path(seen.staged).is_dir():
            raise ThawError("This shift set is not there any more.", why="It was attached already, or never read.",
                            remedy="Choose its file again on the dataset's page.")
        dataset = self._load(ws, seen.of)
        payload = import_job.shift_payload(dataset.id, staged=Path(seen.staged), labels=asked["labels"],
                                           drop_leaks=drop_leaks, keep=True)
        return self._submit(ws, f"Attach a shift set to {dataset.name}", payload)

    def made_kinds(self, ws: str, ref: str) -> tuple[made.Kind, ...]:
        """The kinds of shift set that can be made from this dataset's test rows; none where it has none, or a shift
        set."""
        dataset = self._load(ws, ref)
        possible = dataset.rows(Split.TEST) and not dataset.rows(Split.SHIFT)
        return made.kinds_for(dataset) if possible else ()

    def made_kind(self, name: str) -> made.Kind:
        """The kind of that name."""
        return made.get(name)

    def make_shift(self, ws: str, ref: str, *, kind: str, severity: int, seed: int = 0) -> str:
        """Make a shift set from the test rows, in a worker, and attach it in place; the job's id. Raises DataError for
        what does not fit."""
        from core.data import made_shift

        dataset = self._load(ws, ref)
        made_shift.check(dataset, kind=kind, severity=severity)
        payload = import_job.made_payload(dataset.id, kind=kind, severity=severity, seed=seed)
        return self._submit(ws, f"Make a shift set for {dataset.name}", payload)

    def leaks(self, ws: str, ref: str) -> dict[str, Leaks]:
        """Test and shift rows with the content of a training row, by split; {} where there are none, or the dataset is
        gone. See `core.data.leaky_splits`."""
        try:
            return leaky_splits.of(self._load(ws, ref), settings=self._desk.settings, workspace=ws)
        except ThawError:
            return {}

    def under_way(self, ws: str, ref: str) -> Run | None:
        """A job that changes this dataset, or looks at its rows again, and has not ended."""
        return next((job for job in self._desk.jobs(ws, kind=JobKind.IMPORT)
                     if not job.status.final and self.concerns(job) == ref and not self._is_look(job)), None)

    def concerns(self, job: Run) -> str | None:
        """The dataset that a job changes or looks at; None for an import of a dataset of its own."""
        payload = job.payload
        return ((payload.get("mend") or payload.get("make_shift") or {}).get("dataset") or payload.get("recheck")
                or (payload.get("shift") or {}).get("of"))

    @staticmethod
    def _is_look(job: Run) -> bool:
        shift = job.payload.get("shift")
        return shift is not None and not shift.get("keep")

    def _submit(self, ws: str, name: str, payload: dict[str, Any]) -> str:
        under_way = self._desk.under_way(ws, JobKind.IMPORT, payload)
        return under_way or self._desk.submit_job(ws, JobKind.IMPORT, name=name, payload=payload)

    def _load(self, ws: str, ref: str) -> Dataset:
        return library.load(ref, settings=self._desk.settings, workspace=ws)

    def _folder(self, ws: str, ref: str) -> Path:
        return library.folder(self._load(ws, ref), settings=self._desk.settings, workspace=ws)
