"""Finished runs handed on: as one HTML file."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from core.analysis.feature_comparison import FeatureComparison
from core.api.data import Data
from core.api.experiments import Experiments
from core.api.features import Features
from core.api.runs import Runs
from core.data import catalogue
from core.domain.dataset import Dataset
from core.domain.run import Result, Run
from core.domain.side import Side, Which
from core.errors import ThawError
from core.planning import names
from core.share import report, results
from core.share.material import Material


class Share:
    """Files that are read without this server."""

    def __init__(self, *, data: Data, runs: Runs, experiments: Experiments, features: Features) -> None:
        self._data = data
        self._runs = runs
        self._experiments = experiments
        self._features = features

    def report(self, ws: str, ids: Sequence[str], *, title: str = "", rows: bool = True) -> bytes:
        """Runs side by side as one HTML file that needs no network; those without a result are named. Seconds, and
        more where features were not compared yet.

        title: of the file; the names of the runs' experiments unless it is said. rows: whether texts, pictures and
        answers go into it. Raises DataError where no run has a result.
        """
        return report.make(self._material(ws, ids, title), rows=rows)

    def bound(self, ws: str, ids: Sequence[str]) -> list[str]:
        """Names of the bundled datasets among those of these runs whose rows may not be handed on without conditions.
        """
        refs = {run.recipe.dataset for id in ids if (run := self._runs.get(ws, id)).recipe is not None}
        found = [dataset for ref in sorted(refs) if (dataset := self._data.find(ws, ref)) is not None]
        return [dataset.name for dataset in found if catalogue.published(dataset.source) is not None
                and not catalogue.may_hand_on(dataset.source)]

    def _material(self, ws: str, ids: Sequence[str], title: str) -> Material:
        every = [self._runs.get(ws, id) for id in dict.fromkeys(ids)]
        measured = {run.id: (run, result) for run in every
                    if run.recipe is not None and (result := self._runs.result(ws, run.id, complete=True))}
        runs = results.best_first(measured)
        found = list(runs)
        called = names.short([run for run, _ in runs.values()], self._titles(ws))
        others = names.short(every, self._titles(ws))
        reasons = {id: self._no_features(ws, id) for id in found}
        language = [id for id, (run, _) in runs.items() if run.recipe is not None and not run.recipe.task.labelled]
        return Material(
            title=title or self.title(ws, ids), runs=runs, called=called,
            without={others[run.id]: _ending(run) for run in every if run.id not in runs},
            comparison=self._experiments.compare(ws, found), groups=self._experiments.seed_groups(ws, found),
            datasets={id: self._dataset(ws, run, result) for id, (run, result) in runs.items()},
            verdicts={id: verdict for id in found if (verdict := self._runs.verdict(ws, id)) is not None},
            forgotten={id: self._runs.forgotten(ws, id) for id in language},
            learned=self._runs.learn_forget(ws, found) if any(runs[id][1].panel for id in language) else (),
            samples={id: said for id in language if (said := self._runs.samples(ws, id)) is not None and said.asked},
            paired=self._paired(ws, found, called),
            features={id: self._compared(ws, id) for id, why in reasons.items() if not why},
            no_features={id: why for id, why in reasons.items() if why})

    def _titles(self, ws: str) -> dict[str | None, str]:
        return {experiment.id: experiment.name for experiment in self._experiments.all(ws)}

    def title(self, ws: str, ids: Sequence[str]) -> str:
        """What a file of these runs is called: by their experiments, or the one run's name."""
        runs, titles = [self._runs.get(ws, id) for id in dict.fromkeys(ids)], self._titles(ws)
        named = list(dict.fromkeys(titles[run.experiment] for run in runs if run.experiment in titles))
        if len(runs) == 1:
            return " · ".join([*named, names.one(runs[0])])
        return ", ".join(named) or "Runs side by side"

    def _dataset(self, ws: str, run: Run, result: Result) -> Dataset | None:
        found = self._data.find(ws, run.recipe.dataset) if run.recipe else None
        return found if found is not None and found.content_hash == result.dataset_hash else None

    def _no_features(self, ws: str, id: str) -> str:
        """Why a run has no map; empty where it has one."""
        try:
            self._runs.dataset_of(ws, id)
            state = self._features.state(ws, id)
        except ThawError as error:
            return error.what
        return "" if state.ready else state.reason or "its features were not extracted."

    def _compared(self, ws: str, id: str) -> Callable[[], FeatureComparison]:
        called = names.one(self._runs.get(ws, id))
        return lambda: self._features.compare(ws, Side(run=id, which=Which.BASE), Side(run=id),
                                              names=("base model", called))

    def _paired(self, ws: str, ids: Sequence[str], called: dict[str, str]) -> list[str]:
        """The best run against each other one, where they were tested on the same rows."""
        said = []
        for other in ids[1:]:
            try:
                two = called[ids[0]], called[other]
                said.append(self._experiments.paired(ws, ids[0], other, called=two).sentence)
            except ThawError as error:
                said.append(f"{called[ids[0]]} and {called[other]}: {error.what} {error.why}")
        return said


def file_name(title: str, ending: str) -> str:
    """A file's name from a title: letters, digits and dashes."""
    plain = re.sub(r"[^\w]+", "-", title.lower()).strip("-_")[:60]
    return f"thaw-{plain or 'runs'}.{ending}"


def _ending(run: Run) -> str:
    if not run.status.final:
        return "still under way"
    return run.failure.what.rstrip(".") if run.failure else run.status.value
