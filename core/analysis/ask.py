"""What can be asked of the feature space: which runs have features, which sides there are to compare, what it costs on disk."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from core.analysis import places
from core.analysis.blockfile import steps_of
from core.analysis.sample import DEFAULT_ROWS, MOST_ROWS, NOTHING, SHIFT_SET
from core.domain.dataset import Dataset
from core.domain.run import Run
from core.domain.side import Side, Which
from core.errors import DataError, NotFoundError, RecipeError, ThawError
from core.settings import Settings

ROWS_OFFERED = (DEFAULT_ROWS, 5000, MOST_ROWS)


@dataclass(frozen=True, kw_only=True)
class State:
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


def state(run: Run, *, settings: Settings, rows: int = DEFAULT_ROWS, jobs: Sequence[Run] = (), beside: str = "") -> State:
    """Look at the folder of a run. jobs: jobs of kind `features` of the workspace. beside: id of a second dataset, whose rows it is
    about instead of the run's own."""
    under_way = next((job.id for job in jobs if not job.status.final and run.folder in job.payload.get("runs", ())
                      and beside in ("", job.payload.get("beside"))), None)
    try:
        where = places.of_run(Path(run.folder), settings=settings, rows=rows)
        where = where.beside(beside, settings=settings) if beside else where
    except ThawError as error:
        reason = f"This run is {run.status}; its features can be looked at once it is done." if not run.status.final else error.what
        return State(ready=False, reason=reason, remedy=error.remedy, job=under_way)
    own = [path for path in (where.tuned, *steps_of(where.run_dir), *where.run_dir.glob("features/beside-*.safetensors"))
           if path.is_file()]
    shared = [path for path in (where.base, where.quantised) if path is not None and path.is_file()]
    return State(ready=where.ready, steps=tuple(where.steps), four_bit=where.quantised is not None, dataset_hash=where.dataset_hash,
                 size_bytes=sum(p.stat().st_size for p in own), base_bytes=sum(p.stat().st_size for p in shared), job=under_way)


def sides_of(run_id: str, found: State) -> list[Side]:
    """Every model of a run that can be looked at: its base model, the 4-bit one, the recorded steps, and its end."""
    untrained = [Which.BASE, Which.FOUR_BIT] if found.four_bit else [Which.BASE]
    return [*(Side(run=run_id, which=which) for which in untrained),
            *(Side(run=run_id, which=Which.STEP, step=step) for step in found.steps),
            Side(run=run_id)]


def payload(runs: Sequence[Run], *, settings: Settings, rows: int, second: Dataset | None = None) -> dict[str, Any]:
    """What a job of kind `features` is told. second: a second dataset of which up to 500 rows are compared, too.

    Raises RecipeError when there is nothing to do, NotFoundError for a run whose features cannot be extracted.
    """
    if not runs or not 10 <= rows <= MOST_ROWS:
        raise RecipeError("There is nothing to extract.", why=f"It needs a run, and between 10 and {MOST_ROWS:,} rows.",
                          remedy="Choose at least one finished run.")
    for run in runs:
        found = state(run, settings=settings, rows=rows)
        if found.reason:
            raise NotFoundError(f"The features of {run.name} cannot be extracted.", why=found.reason, remedy=found.remedy)
    return {"runs": [run.folder for run in runs], "rows": rows, **({"beside": second.id} if second else {})}


def may_stand_beside(second: Dataset, own: Dataset) -> bool:
    """Whether models of one dataset can read the rows of another: both have the same kind of input."""
    return second.task is own.task and second.id != own.id


def check_beside(second: Dataset | None, own: Dataset) -> None:
    """Raises DataError for a dataset that cannot stand beside the run's own."""
    if second is not None and not may_stand_beside(second, own):
        raise DataError(f"{second.name} cannot stand beside {own.name}.", why="It is the same dataset, or its rows are of another kind.",
                        remedy="Name another dataset with the same kind of input.")


def other_seed(run: Run, known: Iterable[tuple[Run, State]]) -> Run | None:
    """Another seed of the same arm whose features are there."""
    if run.recipe is None:
        return None
    return next((other for other, found in known if found.ready and other.recipe and other.recipe.seed != run.recipe.seed
                 and other.recipe.replace(seed=0) == run.recipe.replace(seed=0)), None)


def second_set(beside: str) -> str:
    """The id of a second dataset, empty where there is none."""
    return "" if beside in (SHIFT_SET, NOTHING) else beside
