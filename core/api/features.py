"""The feature space of runs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from core import analysis
from core.analysis import Space, Story, ask, space
from core.analysis.sample import DEFAULT_ROWS, SHIFT_SET
from core.api.data import Data
from core.api.desk import Desk
from core.api.runs import Runs
from core.domain.dataset import Dataset
from core.domain.run import JobKind, Run
from core.domain.side import Side


class Features:
    """Features of runs: asked for, and compared."""

    def __init__(self, desk: Desk, *, data: Data, runs: Runs) -> None:
        self._desk = desk
        self._settings = desk.settings
        self._data = data
        self._runs = runs

    def state(self, ws: str, id: str, *, rows: int = DEFAULT_ROWS, beside: str = "") -> analysis.State:
        """Whether a run's features are there (at rows of a second dataset), why not, what they take on disk, which job is at it."""
        jobs = self._desk.jobs(ws, kind=JobKind.FEATURES)
        return ask.state(self._desk.job(ws, id), settings=self._settings, rows=rows, jobs=jobs, beside=beside)

    def states(self, ws: str, *, rows: int = DEFAULT_ROWS) -> dict[str, tuple[Run, analysis.State]]:
        """The same for every training run of the workspace, newest first."""
        jobs = self._desk.jobs(ws, kind=JobKind.FEATURES)
        return {run.id: (run, ask.state(run, settings=self._settings, rows=rows, jobs=jobs))
                for run in self._desk.jobs(ws, kind=JobKind.TRAIN)}

    def beside_choices(self, ws: str, id: str) -> list[Dataset]:
        """Other datasets of the workspace whose rows can be compared beside those of a run."""
        own = self._runs.dataset_of(ws, id)
        return [other for other in self._data.all(ws) if ask.may_stand_beside(other, own)]

    def request(self, ws: str, ids: Sequence[str], *, rows: int = DEFAULT_ROWS, beside: str = "") -> str:
        """Extract and compare the features of these runs (beside a second dataset) in a worker.

        Returns the id of the job, or of an equal one under way.
        """
        runs, second = [self._desk.job(ws, id) for id in ids], self._data.load(ws, beside) if beside else None
        for run in runs:
            ask.check_beside(second, self._runs.dataset_of(ws, run.id))
        payload = ask.payload(runs, settings=self._settings, rows=rows, second=second)
        if equal := self._desk.under_way(ws, JobKind.FEATURES, payload):
            return equal
        name = f"Features of {runs[0].name}" if len(runs) == 1 else f"Features of {len(runs)} runs"
        name += f" beside {second.name}" if second else ""
        return self._desk.submit_job(ws, JobKind.FEATURES, name=name, payload=payload)

    def shift(self, ws: str, a: Side, b: Side, *, names: tuple[str, str], rows: int = DEFAULT_ROWS,
              beside: str = SHIFT_SET) -> Space:
        """Two sides compared, beside the own shift set (`shift`), no rows (`none`) or a second dataset.

        From the cache, else measured now. Raises NotFoundError where features are missing.
        """
        sides = [side.at(self._desk.job(ws, side.run).folder) for side in (a, b)]
        return space.build(*sides, names=names, dataset=self._runs.dataset_of(ws, b.run), settings=self._settings,
                           workspace=ws, rows=rows, beside=beside)

    def story(self, ws: str, id: str, block: str, *, rows: int = DEFAULT_ROWS) -> Story | None:
        """One block over the steps that a run recorded; None when it recorded none."""
        folder = Path(self._desk.job(ws, id).folder)
        return space.story(folder, block, dataset=self._runs.dataset_of(ws, id), settings=self._settings, workspace=ws, rows=rows)

    def yardstick(self, ws: str, id: str, *, rows: int = DEFAULT_ROWS) -> tuple[str, tuple[float | None, ...]] | None:
        """Another seed of the same arm whose features are there: its id, and its CKA to this run a block. None without one."""
        run = self._desk.job(ws, id)
        other = ask.other_seed(run, self.states(ws, rows=rows).values())
        if other is None:
            return None
        sides = [Side.of(Path(seed.folder)) for seed in (run, other)]
        return other.id, space.yardstick(*sides, dataset=self._runs.dataset_of(ws, id), settings=self._settings,
                                         workspace=ws, rows=rows)

    def weight_changes(self, ws: str, id: str) -> dict[str, Any] | None:
        """What training did to the weights of a run; None until its features were extracted."""
        return space.weight_changes(Path(self._desk.job(ws, id).folder))
