"""Datasets: what there is, and how more comes in."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from core import values
from core.api.desk import Desk
from core.data import browse
from core.data.browse import AugmentedRow, TablePreview
from core.domain.dataset import BundledDataset, Dataset
from core.domain.run import JobKind, Run
from core.errors import NotFoundError, ThawError
from core.planning import names as run_names

if TYPE_CHECKING:
    from core.data.check import Options
    from core.data.report import Finding, ImportReport


class Data:
    """Datasets of a workspace."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    def bundled(self) -> tuple[BundledDataset, ...]:
        from core.data.catalogue import DATASETS

        return DATASETS

    def parts(self, entry: BundledDataset) -> tuple[BundledDataset, ...]:
        """What is fetched for a bundled set; see `core.data.catalogue.parts`."""
        from core.data import catalogue

        return catalogue.parts(entry)

    def all(self, ws: str) -> list[Dataset]:
        """Datasets of the workspace, newest first, without those that a mended one has taken the place of."""
        from core.data import library

        return library.list_datasets(settings=self._desk.settings, workspace=ws)

    def is_there(self, ws: str, catalogue_id: str) -> bool:
        """Whether a bundled dataset is in the workspace, also where a mended one has taken its place."""
        return self.find(ws, catalogue_id) is not None

    def damaged(self, ws: str) -> dict[str, str]:
        """Datasets that cannot be read: id -> why. They can be deleted."""
        from core.data import library

        return library.damaged(settings=self._desk.settings, workspace=ws)

    def find(self, ws: str, ref: str) -> Dataset | None:
        """A dataset by its id, or by the catalogue id it came from; None when the workspace has none."""
        from core.data import library

        return library.find(ref, settings=self._desk.settings, workspace=ws)

    def expected(self, ws: str, ref: str) -> Dataset | None:
        """The same; of a bundled set that was not fetched, what it is known to hold (its rows are not here)."""
        from core.data import catalogue

        return self.find(ws, ref) or catalogue.published(ref)

    def report(self, ws: str, ref: str) -> ImportReport | None:
        """What the import of a dataset found; None when its report is gone."""
        from core.data import library

        try:
            return library.read_report(self.load(ws, ref), settings=self._desk.settings, workspace=ws)
        except NotFoundError:
            return None

    def users(self, ws: str, ref: str) -> list[Run]:
        """Runs whose recipe names the dataset, newest first."""
        if ref in self.damaged(ws):
            names = {ref}
        else:
            dataset = self.load(ws, ref)
            names = {dataset.id, *(entry.id for entry in self.bundled() if entry.id == dataset.source)}
        return [run for run in self._desk.jobs(ws, kind=JobKind.TRAIN) if run.recipe and run.recipe.dataset in names]

    def delete(self, ws: str, ref: str) -> None:
        """Delete a dataset, also a damaged one, that no run is waiting for or working on."""
        from core.data import library

        self._desk.store.database.check_open()
        known = ref if ref in self.damaged(ws) else self.load(ws, ref).id
        busy = [run for run in self.users(ws, known) if not run.status.final]
        if busy:
            called = ", ".join(run_names.short(busy).values())
            raise ThawError("This dataset cannot be deleted yet.", why=f"These runs need it: {called}.",
                            remedy="Stop them first, or wait until they are done.")
        library.delete(known, settings=self._desk.settings, workspace=ws)

    def rows(self, ws: str, ref: str, *, n: int = 5, split: str = "train", label: str | None = None,
                    search: str = "", ids: Sequence[int] | None = None, whole: bool = False) -> list[dict[str, Any]]:
        """Rows of a dataset: `row_id`, `text` or `image`, `label` (class name); see `core.data.browse.sample_rows`."""
        return browse.sample_rows(self.load(ws, ref), settings=self._desk.settings, workspace=ws, n=n, split=split,
                                  label=label, search=search, ids=ids, whole=whole)

    def contents(self, ws: str, ref: str, ids: Sequence[int], *, search: str = "",
                 whole: bool = True) -> dict[int, dict[str, Any]]:
        """Row id -> the row, of any number of rows; see `rows`."""
        found: dict[int, dict[str, Any]] = {}
        for start in range(0, len(ids), browse.MOST_ROWS):
            part = ids[start:start + browse.MOST_ROWS]
            there = self.rows(ws, ref, n=len(part), ids=part, search=search, whole=whole)
            found |= {row["row_id"]: row for row in there}
        return found

    def thumbnails(self, ws: str, ref: str, images: Sequence[str]) -> dict[str, bytes]:
        """Small PNGs of pictures of a dataset, by the `image` that `sample_rows` gives."""
        return browse.thumbnails(self.load(ws, ref), images, settings=self._desk.settings, workspace=ws)

    def augmented(self, ws: str, ref: str, *, level: str, side: int, n: int = 4) -> list[AugmentedRow]:
        """A few training pictures before and after augmentation; see `core.data.browse.augmented`."""
        return browse.augmented(self.load(ws, ref), level=level, side=side, settings=self._desk.settings, workspace=ws,
                                n=n)

    def preview(self, path: Path) -> TablePreview:
        """A file's first rows and proposed column roles, looked at in a process with limited memory and time."""
        from core.data import limited_preview, uploads

        return limited_preview.preview(path, settings=uploads.limits(path, self._desk.settings))

    def look_at_upload(self, path: Path) -> None:
        """Note that somebody works with an upload that was not imported yet; those left alone for a day are removed."""
        from core.data import uploads

        uploads.look_at(path)

    def cautions(self, dataset: Dataset) -> list[Finding]:
        """What to know before training on a dataset: classes without a training row, splits without a row."""
        from core.data.checks.splits import cautions

        return list(cautions(dataset.counts))

    def import_options(self, *, fix_leaks: bool = False, merge_labels: bool = False,
                       template: str | None = None, passage_tokens: int | None = None,
                       passage_overlap: int = 0, by_line: bool = False, shift_domain: str | None = None) -> Options:
        """What may be chosen for an import; see `core.data.check.Options`. passage_tokens: None for the usual."""
        from core.data.check import Options

        chosen = Options(fix_leaks=fix_leaks, merge_labels=merge_labels, template=template or None,
                         passage_overlap=passage_overlap, by_line=by_line, shift_domain=shift_domain)
        return chosen if passage_tokens is None else dataclasses.replace(chosen, passage_tokens=passage_tokens)

    def submit_import(self, ws: str, path: Path, *, name: str, roles: dict[str, str] | None = None,
                      options: Options | None = None, shift_of: str | None = None, keep: bool = True,
                      discard: bool = False) -> str:
        """Read, check and keep a file (or folder) in a worker; returns the job's id.

        roles: column -> role, proposed when None. shift_of: a dataset that these rows become the shift set of. keep:
        False makes the report only. discard: remove the upload once its rows are kept. The job's result names the new
        dataset; see `import_job_report`.
        """
        from core.data import import_job

        payload = import_job.payload(path=Path(path).absolute(), name=name, roles=roles, options=options,
                                     shift_of=shift_of, keep=keep, discard=discard)
        return self._submit_import(ws, name, payload)

    def fetch_hub_set(self, ws: str, hub_id: str, *, configuration: str | None = None, split: str | None = None) -> str:
        """Fetch a dataset of the Hugging Face hub as an upload, in a worker; returns the job's id. See `hub_reason`,
        `fetched_upload`."""
        from core.data import hub, import_job

        hub.check_id(hub_id, configuration=configuration or None)
        hub_set = {"id": hub_id, "configuration": configuration or None, "split": split or None}
        return self._submit_import(ws, hub_id, import_job.payload(hub_set=hub_set, name=hub_id))

    def fetched_upload(self, ws: str, id: str) -> Path | None:
        """The upload that a hub set was fetched as; None while it is under way, or when it is gone."""
        self._desk.job(ws, id)
        result = self._desk.store.events.after(id, 0, kinds=("result",))
        path = Path(result[-1].data.get("path") or "") if result else Path()
        return path if path.name and path.exists() else None

    def hub_reason(self) -> str | None:
        """Why nothing can be had from the hub now; None when it answers. Takes at most `hub_timeout_s`, once a
        process."""
        from core.data import hub

        return hub.unavailable(self._desk.settings)

    def keep_paste(self, ws: str, text: str, *, name: str = "pasted") -> Path:
        """Pasted text as an uploaded file, which goes the same way as any other."""
        from core.data import paste

        self._desk.store.database.check_open()
        self._desk.touch(ws)
        return paste.to_file(text, settings=self._desk.settings, workspace=ws, name=name)

    def job_report(self, ws: str, id: str) -> ImportReport | None:
        """The report of an import job, whether its rows were kept or refused; None while there is none."""
        from core.data import import_job
        from core.data.report import ImportReport as Report

        return values.read(Path(self._desk.job(ws, id).folder) / import_job.REPORT, Report)

    def job_dataset(self, ws: str, id: str) -> Dataset | None:
        """The dataset that an import job made; None while it is not done, when it refused the rows, or kept none."""
        self._desk.job(ws, id)
        result = self._desk.store.events.after(id, 0, kinds=("result",))
        ref = result[-1].data.get("dataset") if result else None
        return self.find(ws, ref) if ref else None

    def _submit_import(self, ws: str, name: str, payload: dict[str, Any]) -> str:
        return self._desk.submit_job(ws, JobKind.IMPORT, name=f"Import {name}", payload=payload)

    def load(self, ws: str, ref: str) -> Dataset:
        """A dataset by its id or catalogue id; NotFoundError when the workspace has none."""
        from core.data import library

        return library.load(ref, settings=self._desk.settings, workspace=ws)

    def find_or_entry(self, ws: str, ref: str) -> Dataset | BundledDataset:
        """A dataset of the workspace, or the catalogue entry of one that can be fetched."""
        entry = next((entry for entry in self.bundled() if entry.id == ref), None)
        found = self.find(ws, ref) or entry
        if found is None:
            raise NotFoundError(f"There is no dataset {ref!r} here.",
                                why="It was deleted, or it belongs to another workspace.",
                                remedy="Choose one on the Data page.")
        return found
