"""Which tokens of a dataset teach a language model: what the viewer shows. No torch."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from core import cache
from core.api.desk import Desk
from core.domain.dataset import Dataset
from core.domain.run import JobKind, Run
from core.models import facts as model_facts
from core.models.untrusted import json_object
from core.tasks import teaching, teaching_report


class Teaching:
    """The mask of (dataset, base model, length): looked at where it is there, else asked for."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    def look(self, ws: str, dataset: str, model: str, max_length: int, *,
             taught: str = teaching.AUTO) -> dict[str, Any] | None:
        """The survey (`teaching.json`, see `core.tasks.teaching_report`); None where nobody has made it yet, or the
        base model is not here."""
        facts = model_facts.read(model, self._desk.settings)
        found = self._dataset(ws, dataset)
        if facts is None or found is None:
            return None
        folder = teaching_report.folder(self._desk.settings.cache, dataset_hash=found.content_hash,
                                        revision=facts.revision, taught=taught,
                                        limit=teaching_report.limit(max_length, facts))
        document = json_object(folder / teaching_report.FILE)
        if not document:
            return None
        cache.mark_used(folder)
        return document

    def ask(self, ws: str, dataset: str, model: str, max_length: int, *, taught: str = teaching.AUTO) -> str:
        """Have a worker make it; the id of the job, or of an equal one under way."""
        payload = self._payload(dataset, model, max_length, taught)
        under_way = self._desk.under_way(ws, JobKind.MASK, payload)
        return under_way or self._desk.submit_job(ws, JobKind.MASK, name=f"What teaches {model}", payload=payload)

    def job(self, ws: str, dataset: str, model: str, max_length: int, *, taught: str = teaching.AUTO) -> Run | None:
        """The newest job that was asked for this, whatever became of it."""
        payload = self._payload(dataset, model, max_length, taught)
        return next((job for job in self._desk.jobs(ws, kind=JobKind.MASK) if job.payload == payload), None)

    def of_run(self, ws: str, id: str) -> dict[str, Any] | None:
        """What a run was taught; None for runs of other tasks, and where it has not begun."""
        return json_object(Path(self._desk.job(ws, id).folder) / teaching_report.FILE) or None

    def _dataset(self, ws: str, dataset: str) -> Dataset | None:
        from core.data import library

        return library.find(dataset, settings=self._desk.settings, workspace=ws)

    @staticmethod
    def _payload(dataset: str, model: str, max_length: int, taught: str) -> dict[str, Any]:
        more = {} if taught == teaching.AUTO else {"taught": taught}
        return {"dataset": dataset, "model": model, "max_length": int(max_length), **more}
