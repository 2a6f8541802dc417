"""What can be asked of the feature space: which runs have features, which sides there are to compare, what it costs on disk."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from core.domain.run import Run
from core.errors import NotFoundError, ThawError
from core.features import places
from core.features.blockfile import steps_of
from core.features.compare import Ref, Which
from core.features.sample import DEFAULT_ROWS, MOST_ROWS
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


def state(run: Run, *, settings: Settings, rows: int = DEFAULT_ROWS, jobs: Sequence[Run] = ()) -> State:
    """Look at the folder of a run. jobs: jobs of kind `features` of the workspace."""
    under_way = next((job.id for job in jobs if not job.status.final and run.folder in job.payload.get("runs", ())), None)
    try:
        where = places.of_run(Path(run.folder), settings=settings, rows=rows)
    except ThawError as error:
        reason = f"This run is {run.status}; its features can be looked at once it is done." if not run.status.final else error.what
        return State(ready=False, reason=reason, remedy=error.remedy, job=under_way)
    own = [path for path in (where.tuned, *steps_of(where.run_dir)) if path.is_file()]
    shared = [path for path in (where.base, where.quantised) if path is not None and path.is_file()]
    return State(ready=where.ready, steps=tuple(where.steps), four_bit=where.quantised is not None, dataset_hash=where.dataset_hash,
                 size_bytes=sum(p.stat().st_size for p in own), base_bytes=sum(p.stat().st_size for p in shared), job=under_way)


@dataclass(frozen=True, kw_only=True)
class Asked:
    """One side of a comparison: the model of a run, before, during or after its training. `text` fits in an address."""

    run: str
    which: Which = Which.FINAL
    step: int | None = None

    @property
    def text(self) -> str:
        return f"{self.run}:{self.which.value}" + (f":{self.step}" if self.step is not None else "")

    @staticmethod
    def parse(text: str) -> Asked:
        """Inverse of `text`; NotFoundError for anything else."""
        run, _, rest = text.partition(":")
        which, _, step = rest.partition(":")
        try:
            return Asked(run=run, which=Which(which), step=int(step) if step else None)
        except ValueError as error:
            raise NotFoundError("This link names no model that Thaw knows.", remedy="Choose the two sides on the Features page.") from error


@dataclass(frozen=True, kw_only=True)
class Choice:
    """A side that can be chosen."""

    asked: Asked
    label: str
    """`base model`, `base model in 4 bits`, `LoRA`, `LoRA at step 40`; run names are the caller's."""


def choices(run_id: str, name: str, found: State) -> list[Choice]:
    """Every side that a run offers: the base model it started from, the 4-bit one, its recorded steps, and its end."""
    out = [Choice(asked=Asked(run=run_id, which=Which.BASE), label="Base model")]
    if found.four_bit:
        out.append(Choice(asked=Asked(run=run_id, which=Which.FOUR_BIT), label="Base model in 4 bits, untrained"))
    out += [Choice(asked=Asked(run=run_id, which=Which.STEP, step=step), label=f"{name} at step {step:,}") for step in found.steps]
    return [*out, Choice(asked=Asked(run=run_id), label=name)]


def ref(asked: Asked, folder: str) -> Ref:
    """The side as files know it."""
    return Ref(folder=Path(folder), which=asked.which, step=asked.step)
