"""Which runs have features, which sides there are to compare, what that takes on disk, how the rest is extracted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from core.analysis import feature_paths
from core.analysis.sample import DEFAULT_ROWS, MOST_ROWS
from core.domain.dataset import Dataset
from core.domain.run import Run
from core.domain.side import Side, Which
from core.errors import DataError, NotFoundError, RecipeError, ThawError
from core.settings import Settings

ROWS_OFFERED = (DEFAULT_ROWS, 5000, MOST_ROWS)
LEAST_ROWS = 10
_UNDER_WAY = "This run is {}; its features can be looked at once it is done."


@dataclass(frozen=True, kw_only=True)
class Availability:
    """What there is of one run's features for one size of the probe sample."""

    ready: bool
    """Every side is on disk."""
    reason: str = ""
    """Why features cannot be extracted; empty when they can."""
    remedy: str = ""
    steps: tuple[int, ...] = ()
    """Training steps that features were recorded at."""
    four_bit: bool = False
    """Whether the run's base model was also measured in 4 bits, untrained."""
    dataset_hash: str = ""
    size_bytes: int = 0
    """Of the run's own features."""
    base_bytes: int = 0
    """Of base-model features that this run shares with others."""
    job: str | None = None
    """Id of the job that is extracting them now, or waiting to."""

    def sides_of(self, run_id: str) -> list[Side]:
        """Every model of the run that can be looked at: its base model, the 4-bit one, the recorded steps, and its
        end."""
        untrained = [Which.BASE, Which.FOUR_BIT] if self.four_bit else [Which.BASE]
        return [*(Side(run=run_id, which=which) for which in untrained),
                *(Side(run=run_id, which=Which.STEP, step=step) for step in self.steps),
                Side(run=run_id)]


_IMPORTED = Availability(ready=False, reason="The archive that this run came with holds no features.",
                         remedy="Ask for an archive with features, or train its recipe here.")


def of_run(run: Run, *, settings: Settings, rows: int = DEFAULT_ROWS, jobs: Sequence[Run] = (),
           second: str = "") -> Availability:
    """Look at the folder of a run. jobs: jobs of kind `features` of the workspace. second: id of a second dataset,
    whose rows it is about instead of the run's own."""
    job = next((job.id for job in jobs if not job.status.final and run.folder in job.payload.get("runs", ())
                and second in ("", job.payload.get("beside"))), None)
    try:
        paths = feature_paths.of_run(Path(run.folder), settings=settings, rows=rows, second=second)
    except ThawError as error:
        if run.imported:
            return _IMPORTED
        return Availability(ready=False, reason=error.what if run.status.final else _UNDER_WAY.format(run.status),
                            remedy=error.remedy, job=job)
    if not run.status.final:  # it makes its features itself, as its last phase
        return Availability(ready=False, reason=_UNDER_WAY.format(run.status), job=job)
    if run.imported and not paths.ready:
        return _IMPORTED
    recorded = feature_paths.steps_of(paths.run_dir)
    own = [paths.tuned, *recorded, *feature_paths.every_second_of(paths.run_dir)]
    shared = [paths.base] if paths.quantised is None else [paths.base, paths.quantised]
    return Availability(ready=paths.ready, steps=tuple(paths.steps), four_bit=paths.quantised is not None,
                        dataset_hash=paths.dataset_hash, size_bytes=_bytes(own), base_bytes=_bytes(shared), job=job)


def _bytes(paths: Sequence[Path]) -> int:
    """Of those that are there."""
    return sum(path.stat().st_size for path in paths if path.is_file())


def job_payload(runs: Sequence[Run], *, settings: Settings, rows: int, second: Dataset | None = None) -> dict[str, Any]:
    """The payload of a job of kind `features`. second: a second dataset of which up to 500 rows are compared, too.

    Raises RecipeError when there is nothing to do, NotFoundError for a run whose features cannot be extracted.
    """
    if not runs or not LEAST_ROWS <= rows <= MOST_ROWS:
        raise RecipeError("There is nothing to extract.",
                          why=f"It needs a run, and between {LEAST_ROWS} and {MOST_ROWS:,} rows.",
                          remedy="Choose at least one finished run.")
    for run in runs:
        found = of_run(run, settings=settings, rows=rows)
        if found.reason:
            raise NotFoundError(f"The features of {run.name} cannot be extracted.", why=found.reason,
                                remedy=found.remedy)
    beside = {"beside": second.id} if second else {}
    return {"runs": [run.folder for run in runs], "rows": rows, **beside}


def can_be_second(second: Dataset, own: Dataset) -> bool:
    """Whether models of one dataset can read the rows of another: both have the same kind of input."""
    return second.task is own.task and second.id != own.id


def check_second(second: Dataset | None, own: Dataset) -> None:
    """Raises DataError for a dataset whose rows cannot be compared with the run's own."""
    if second is not None and not can_be_second(second, own):
        raise DataError(f"{second.name} cannot stand beside {own.name}.",
                        why="It is the same dataset, or its rows are of another kind.",
                        remedy="Name another dataset with the same kind of input.")
