"""A finished run's model, written for use elsewhere by a job, with its certificate; and fetched."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from core.analysis import take_home
from core.analysis.comparison import recipe_of
from core.api.desk import Desk
from core.api.models import Models
from core.api.runs import Runs
from core.domain.run import JobKind, Run
from core.domain.strength import NAME
from core.errors import NotFoundError, ThawError
from core.export import FORMATS, places, strengths, unfinished
from core.export.words import said
from core.planning import names


@dataclass(frozen=True, kw_only=True)
class Offer:
    """A format for a run. reason: why it is not offered, as a sentence; None where it is."""

    form: str
    summary: str
    reason: str | None
    checked: bool
    """Whether it comes with a certificate; a document has none."""


@dataclass(frozen=True, kw_only=True)
class Export:
    """An export that is there. certificate: as `certificate.json` holds it, None of a document."""

    form: str
    bytes: int
    made: float
    notes: tuple[str, ...]
    certificate: dict[str, Any] | None

    @property
    def said(self) -> list[str]:
        """The certificate in sentences."""
        return said(self.certificate) if self.certificate else []


@dataclass(frozen=True, kw_only=True)
class CutOff:
    """What an attempt that was stopped or killed had written. whole: all files; only the certificate is left."""

    bytes: int
    whole: bool


class Exports:
    """Exports of finished runs."""

    def __init__(self, desk: Desk, *, runs: Runs, models: Models) -> None:
        self._desk = desk
        self._runs = runs
        self._models = models

    def offered(self, ws: str, id: str, strength: str = "") -> list[Offer]:
        """Every format, with the reason where this run (at the saved setting of that name) cannot be written so; none
        before the run has an artifact."""
        run = self._runs.get(ws, id)
        if run.recipe is None or run.imported or not (Path(run.folder) / "artifact" / "labels.json").is_file():
            return []
        facts = self._models.facts(run.recipe.base_model)
        recipe = run.recipe
        return [Offer(form=name, summary=form.summary, checked=form.tolerance is not None,
                      reason=form.applies_to(recipe, facts) or (strengths.refusal(name, recipe) if strength else None))
                for name, form in FORMATS.items()]

    def cut_off(self, ws: str, id: str, form: str, strength: str = "") -> CutOff | None:
        """What is there of it to go on from; None where nothing is, and while a job writes it."""
        job = self.job(ws, id, form, strength)
        if job is not None and not job.status.final:
            return None
        seen = unfinished.seen(places.unfinished(Path(self._runs.get(ws, id).folder), form, strength))
        return None if seen is None else CutOff(bytes=seen["bytes"], whole=seen["written"])

    def start(self, ws: str, id: str, form: str, strength: str = "", *, afresh: bool = False) -> str:
        """Queue the job that writes it, unless one is under way; its id. It goes on from what an attempt that was cut
        off had written, unless it is to begin afresh. Raises ThawError where it is not offered."""
        run = self._runs.get(ws, id)
        recipe_of(run)
        offer = next((offer for offer in self.offered(ws, id, strength) if offer.form == form), None)
        if offer is None or offer.reason:
            raise ThawError(f"This run cannot be written as {form}.", why=offer.reason or "" if offer else
                            "There is no such format, or the run has no artifact.", remedy="Choose another format.")
        payload: dict[str, Any] = {"run": id, "folder": run.folder, "as": form, "title": names.one(run)}
        payload |= {"strength": strength} if strength else {}
        payload |= {"afresh": True} if afresh else {}
        last = self.job(ws, id, form, strength)
        if last is not None and not last.status.final:
            return last.id
        at = f" at {strength}" if strength else ""
        return self._desk.submit_job(ws, JobKind.EXPORT, name=f"Export of {names.one(run)}{at} as {form}",
                                     payload=payload)

    def job(self, ws: str, id: str, form: str, strength: str = "") -> Run | None:
        """The newest job for it; None where none was asked for."""
        return next((job for job in self._desk.jobs(ws, kind=JobKind.EXPORT)
                     if (job.payload.get("run"), job.payload.get("as"), job.payload.get("strength", ""))
                     == (id, form, strength)), None)

    def found(self, ws: str, id: str, strength: str = "") -> list[Export]:
        """The exports that are there, in the order of the formats."""
        folder = Path(self._runs.get(ws, id).folder)
        return [Export(form=name, bytes=there["bytes"], made=there["made"], notes=tuple(there["notes"]),
                       certificate=there["certificate"])
                for name in FORMATS if (there := places.found(folder, name, strength)) is not None]

    def download(self, ws: str, id: str, form: str) -> tuple[str, Iterator[bytes]]:
        """(name without ending, the ZIP in pieces as it is read from disk). form: `FORM`, or `FORM@SETTING` of a saved
        setting. NotFoundError without such an export."""
        folder = Path(self._runs.get(ws, id).folder)
        form, _, strength = form.partition("@")
        allowed = form in FORMATS and (not strength or NAME.fullmatch(strength))
        if not allowed or places.found(folder, form, strength) is None:
            raise NotFoundError(f"This run was not exported as {form[:20]}.",
                                why="It was not asked for, or was removed.",
                                remedy="Press its button on the run's page.")
        there = places.folder(folder, form, strength)
        name = f"{take_home.folder_name(id)}-{form}" + (f"-{strength.replace(' ', '-')}" if strength else "")
        return name, take_home.zip_of({path.relative_to(there).as_posix(): path for path in places.inside(there)}, name)
