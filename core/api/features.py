"""The feature space of runs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from core import analysis
from core.analysis import Asked, Space, Story, ask, space
from core.analysis.sample import DEFAULT_ROWS, SHIFT_SET
from core.api.runs import Runs
from core.domain.dataset import Dataset
from core.domain.run import JobKind, Run
from core.store.jobs import NewJob


class Features(Runs):
    """Features of runs: asked for, and compared."""

    def features_state(self, ws: str, id: str, *, rows: int = DEFAULT_ROWS, beside: str = "") -> analysis.State:
        """Whether the features of a run are there (at rows of a second dataset), why not, what they take on disk, which job is at it."""
        return ask.state(self.run(ws, id), settings=self.settings, rows=rows, jobs=self.runs(ws, kind=JobKind.FEATURES), beside=beside)

    def features_states(self, ws: str, *, rows: int = DEFAULT_ROWS) -> dict[str, tuple[Run, analysis.State]]:
        """The same for every training run of the workspace, newest first."""
        jobs = self.runs(ws, kind=JobKind.FEATURES)
        return {run.id: (run, ask.state(run, settings=self.settings, rows=rows, jobs=jobs)) for run in self.runs(ws, kind=JobKind.TRAIN)}

    def beside_choices(self, ws: str, id: str) -> list[Dataset]:
        """Other datasets of the workspace whose rows can be compared beside those of a run."""
        own = self._dataset_of(ws, id)
        return [other for other in self.datasets(ws) if ask.may_stand_beside(other, own)]

    def request_features(self, ws: str, ids: Sequence[str], *, rows: int = DEFAULT_ROWS, beside: str = "") -> str:
        """Extract and compare the features of these runs (beside a second dataset) in a worker; returns the id of the job, or its equal."""
        runs, second = [self.run(ws, id) for id in ids], self._dataset(ws, beside) if beside else None
        for run in runs:
            ask.check_beside(second, self._dataset_of(ws, run.id))
        payload = ask.payload(runs, settings=self.settings, rows=rows, second=second)
        if equal := next((job for job in self.runs(ws, kind=JobKind.FEATURES) if job.payload == payload and not job.status.final), None):
            return equal.id
        name = f"Features of {runs[0].name}" if len(runs) == 1 else f"Features of {len(runs)} runs"
        name += f" beside {second.name}" if second else ""
        return self._submit(ws, [NewJob(workspace=ws, kind=JobKind.FEATURES, name=name, payload=payload,
                                        runs_folder=self._runs_folder(ws))])[0]

    def shift(self, ws: str, a: Asked, b: Asked, *, names: tuple[str, str], rows: int = DEFAULT_ROWS, beside: str = SHIFT_SET) -> Space:
        """Two sides compared, beside the own shift set (`shift`), no rows (`none`) or a second dataset: from the cache, else measured now.
        Raises NotFoundError where features are missing."""
        refs = [ask.ref(side, self.run(ws, side.run).folder) for side in (a, b)]
        return space.build(*refs, names=names, dataset=self._dataset_of(ws, b.run), settings=self.settings, workspace=ws, rows=rows,
                           beside=beside)

    def feature_story(self, ws: str, id: str, block: str, *, rows: int = DEFAULT_ROWS) -> Story | None:
        """One block over the steps that a run recorded; None when it recorded none."""
        return space.story(Path(self.run(ws, id).folder), block, dataset=self._dataset_of(ws, id), settings=self.settings, workspace=ws,
                           rows=rows)

    def yardstick(self, ws: str, id: str, *, rows: int = DEFAULT_ROWS) -> tuple[str, tuple[float | None, ...]] | None:
        """Another seed of the same arm whose features are there: its id, and its CKA to this run a block. None when there is none."""
        run = self.run(ws, id)
        other = ask.other_seed(run, self.features_states(ws, rows=rows).values())
        if other is None:
            return None
        refs = [ask.ref(Asked(run=r.id), r.folder) for r in (run, other)]
        return other.id, space.yardstick(*refs, dataset=self._dataset_of(ws, id), settings=self.settings, workspace=ws, rows=rows)

    def weight_changes(self, ws: str, id: str) -> dict[str, Any] | None:
        """What training did to the weights of a run; None until its features were extracted."""
        return space.weight_changes(Path(self.run(ws, id).folder))
