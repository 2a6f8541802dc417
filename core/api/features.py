"""The feature space of runs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from core.analysis import (
    Availability,
    BlockOverTraining,
    FeatureComparison,
    availability,
    feature_comparison,
    feature_paths,
    lens_files,
    over_training,
    seed_similarity,
)
from core.analysis.feature_files import weight_changes
from core.analysis.lens import Lens, OtherSeed
from core.analysis.lens import seeds as seeds_against
from core.analysis.sample import DEFAULT_ROWS, SECOND_ROWS, SHIFT_SET
from core.api.data import Data
from core.api.desk import Desk
from core.api.models import Models
from core.api.runs import Runs
from core.domain.dataset import Dataset, Split
from core.domain.run import JobKind, Run
from core.domain.side import Side
from core.planning import estimate
from core.shift import weights


class Features:
    """Features of runs: asked for, and compared."""

    def __init__(self, desk: Desk, *, data: Data, models: Models, runs: Runs) -> None:
        self._desk = desk
        self._settings = desk.settings
        self._data = data
        self._models = models
        self._runs = runs

    def state(self, ws: str, id: str, *, rows: int = DEFAULT_ROWS, second: str = "") -> Availability:
        """Whether a run's features are there (at rows of a second dataset), why not, what they take on disk, which job
        is at it."""
        jobs, run = self._desk.jobs(ws, kind=JobKind.FEATURES), self._desk.job(ws, id)
        return self._with_rows(ws, run, availability.of_run(run, settings=self._settings, rows=rows, jobs=jobs,
                                                            second=second))

    def states(self, ws: str, *, rows: int = DEFAULT_ROWS) -> dict[str, tuple[Run, Availability]]:
        """The same for every training run of the workspace, newest first."""
        jobs = self._desk.jobs(ws, kind=JobKind.FEATURES)
        return {run.id: (run, self._with_rows(ws, run, availability.of_run(run, settings=self._settings, rows=rows,
                                                                           jobs=jobs)))
                for run in self._desk.jobs(ws, kind=JobKind.TRAIN)}

    def _with_rows(self, ws: str, run: Run, found: Availability) -> Availability:
        """Features of an imported run say nothing without the rows that they are of, which may not have come along."""
        if not run.imported or not found.ready or run.recipe is None or self._data.find(ws, run.recipe.dataset):
            return found
        return replace(found, ready=False, reason="The dataset of this imported run is not in this workspace.",
                       remedy="Import the same file on the Data page.")

    def second_datasets(self, ws: str, id: str) -> list[Dataset]:
        """Other datasets of the workspace whose rows can be compared with those of a run."""
        own = self._runs.dataset_of(ws, id)
        return [other for other in self._data.all(ws) if availability.can_be_second(other, own)]

    def request(self, ws: str, ids: Sequence[str], *, rows: int = DEFAULT_ROWS, second: str = "") -> str:
        """Extract and compare the features of these runs (at rows of a second dataset, too) in a worker.

        Returns the id of the job, or of an equal one under way.
        """
        runs = [self._desk.job(ws, id) for id in ids]
        other = self._data.load(ws, second) if second else None
        for run in runs:
            availability.check_second(other, self._runs.dataset_of(ws, run.id))
        payload = availability.job_payload(runs, settings=self._settings, rows=rows, second=other)
        if equal := self._desk.under_way(ws, JobKind.FEATURES, payload):
            return equal
        name = f"Features of {len(runs)} run{'s' if len(runs) > 1 else ''}"
        if other:
            name += f" beside {other.name}"
        return self._desk.submit_job(ws, JobKind.FEATURES, name=name, payload=payload)

    def estimate_s(self, ws: str, ids: Sequence[str], *, rows: int = DEFAULT_ROWS, second: str = "") -> float | None:
        """Seconds that `request` will take in a worker of its own, beyond a wait in the queue; None where the base
        model is not known yet."""
        seconds = 0.0
        shared: set[Path] = set()
        for id in ids:
            run, dataset = self._desk.job(ws, id), self._runs.dataset_of(ws, id)
            facts = None if run.recipe is None else self._models.facts(run.recipe.base_model)
            if run.recipe is None or facts is None:
                return None
            where = feature_paths.of_run(Path(run.folder), settings=self._settings, rows=rows, second=second)
            missing = {path for path in (where.base, where.quantised) if path is not None and not path.is_file()}
            probed = min(rows, sum(dataset.rows(split) for split in (Split.TEST, Split.VALIDATION, Split.SHIFT)))
            seconds += estimate.features_seconds(
                run.recipe, facts=facts, device=self._models.device(), mean_length=dataset.mean_length,
                rows=SECOND_ROWS if second else probed, sides=1 + len(missing - shared))
            shared |= missing
        return seconds

    def compare(self, ws: str, a: Side, b: Side, *, names: tuple[str, str], rows: int = DEFAULT_ROWS,
                second: str = SHIFT_SET, replayed: bool = False) -> FeatureComparison:
        """Two sides compared, from the cache, else measured now. Raises NotFoundError where features are missing.

        replayed: only at the rows that the run of b recorded while training.

        second: which rows of another domain stand beside the target rows: the own shift set (`shift`), none (`none`),
        or those of a second dataset, by its id.
        """
        a_here, b_here = (side.at(self._desk.job(ws, side.run).folder) for side in (a, b))
        return feature_comparison.compare(a_here, b_here, names=names, dataset=self._runs.dataset_of(ws, b.run),
                                          settings=self._settings, workspace=ws, rows=rows, second=second,
                                          replayed=replayed)

    def over_training(self, ws: str, id: str, block: str, *, rows: int = DEFAULT_ROWS) -> BlockOverTraining | None:
        """One block over the steps that a run recorded; None when it recorded none."""
        return over_training.of_block(Path(self._desk.job(ws, id).folder), block, dataset=self._runs.dataset_of(ws, id),
                                      settings=self._settings, workspace=ws, rows=rows)

    def seed_similarity(self, ws: str, id: str, *,
                        rows: int = DEFAULT_ROWS) -> tuple[str, tuple[float | None, ...]] | None:
        """Another seed of the same arm whose features are there: its id, and its CKA to this run, a value a block. None
        without one."""
        run = self._desk.job(ws, id)
        other = seed_similarity.other_seed(run, self.states(ws, rows=rows).values())
        if other is None:
            return None
        a, b = (Side.of(Path(seed.folder)) for seed in (run, other))
        return other.id, seed_similarity.by_block(a, b, dataset=self._runs.dataset_of(ws, id), settings=self._settings,
                                                  workspace=ws, rows=rows)

    def lens(self, ws: str, id: str) -> Lens | None:
        """What each block of a run's language model says, as its last phase measured it; None when it was not."""
        return lens_files.read(Path(self._desk.job(ws, id).folder))

    def frozen(self, ws: str, id: str) -> frozenset[str]:
        """Blocks that training of a run could not move."""
        run = self._desk.job(ws, id)
        facts = self._models.facts(run.recipe.base_model) if run.recipe else None
        if run.recipe is None or facts is None:
            return frozenset()
        return frozenset(name for name, cold in feature_paths.frozen_blocks(run.recipe, facts).items() if cold)

    def lens_of_other_seed(self, ws: str, id: str) -> tuple[str, OtherSeed] | None:
        """Another seed of the same arm whose words were measured, too: its id, and the two set against each other. None
        without one."""
        run, own = self._desk.job(ws, id), self.lens(ws, id)
        if own is None or run.recipe is None:
            return None
        for other in self._desk.jobs(ws, kind=JobKind.TRAIN):
            if other.recipe and seed_similarity.same_arm(run.recipe, other.recipe):
                found = lens_files.read(Path(other.folder))
                against = found and seeds_against(own, found)
                if against:
                    return other.id, against
        return None

    def weight_changes(self, ws: str, id: str) -> dict[str, Any] | None:
        """What training did to the weights of a run, as measured with its features; None when that was not. `idle`
        names those whose change has no effect on what the model computes."""
        run = self._desk.job(ws, id)
        found = weight_changes(Path(run.folder))
        facts = self._models.facts(run.recipe.base_model) if run.recipe else None
        if found is None or facts is None:
            return found
        idle = [module["name"] for module in found["modules"]
                if weights.without_effect(module["name"], facts.architecture)]
        return found | {"idle": idle}
