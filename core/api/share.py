"""Finished runs handed on, as one HTML file and as an archive; and archives of others taken in."""

from __future__ import annotations

import re
import shutil
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import BinaryIO

from core import files, values
from core.analysis.feature_comparison import FeatureComparison
from core.api.data import Data
from core.api.desk import Desk
from core.api.experiments import Experiments
from core.api.features import Features
from core.api.questions import Questions
from core.api.runs import Runs
from core.data import catalogue, uploads
from core.domain.dataset import Dataset, Split
from core.domain.recipe import Recipe
from core.domain.run import Result, Run
from core.domain.side import Side, Which
from core.errors import ThawError
from core.models import origin
from core.models.methods import REGISTRY
from core.planning import names
from core.share import archive, intake, private, report, results
from core.share.intake import Taken
from core.share.manifest import DATASET_FACTS, Manifest
from core.share.material import Answered, Material


class Share:
    """Files that are read without this server."""

    def __init__(self, desk: Desk, *, data: Data, runs: Runs, experiments: Experiments, questions: Questions,
                 features: Features) -> None:
        self._desk = desk
        self._data = data
        self._runs = runs
        self._experiments = experiments
        self._questions = questions
        self._features = features

    def report(self, ws: str, ids: Sequence[str], *, title: str = "", rows: bool = True) -> bytes:
        """Runs side by side as one HTML file that needs no network; those without a result are named. Seconds, and
        more where features were not compared yet.

        title: of the file; the names of the runs' experiments unless it is said. rows: whether texts, pictures and
        answers go into it. Raises DataError where no run has a result.
        """
        return report.make(self._material(ws, ids, title), rows=rows)

    def archive(self, ws: str, ids: Sequence[str], target: Path, *, rows: bool = False,
                features: bool = False) -> Manifest:
        """Write runs that have ended as an archive that another Thaw takes in: recipes, results, predictions, curves.

        rows: with the texts of their datasets. features: with those of every run that has them. Raises DataError where
        a run is under way, or the rows are pictures.
        """
        return archive.write(ids, target, settings=self._desk.settings, workspace=ws, title=self.title(ws, ids),
                             rows=rows, features=features)

    def archive_bytes(self, ws: str, ids: Sequence[str], *, rows: bool = False, features: bool = False) -> bytes:
        """The same for a browser."""
        with tempfile.TemporaryDirectory(prefix="thaw-") as folder:
            self.archive(ws, ids, Path(folder) / "archive.zip", rows=rows, features=features)
            return (Path(folder) / "archive.zip").read_bytes()

    def ended(self, ws: str, ids: Sequence[str]) -> list[str]:
        """Those that can go into an archive."""
        return [run.id for run in self._desk.some(ws, ids) if run.status.final]

    def features_bytes(self, ws: str, ids: Sequence[str]) -> int:
        """About what an archive's features take; 0 where no run has any."""
        ready = [state for id in ids if (state := self._features.state(ws, id)).ready]
        return sum(state.size_bytes for state in ready) + max((state.base_bytes for state in ready), default=0)

    def take_in(self, ws: str, path: Path) -> Taken:
        """Keep the runs of an archive beside those of a workspace, read-only: all of it or nothing. Raises DataError
        for what is no whole archive of Thaw, or was taken in before."""
        self._desk.touch(ws)
        return intake.take_in(path, settings=self._desk.settings, workspace=ws)

    def take_in_upload(self, ws: str, upload: BinaryIO) -> Taken:
        """The same of a file that is being sent: on disk first, and gone afterwards."""
        with files.temporary_folder(uploads.folder(self._desk.settings, ws)) as folder:
            path = folder / "archive.zip"
            with path.open("wb") as sink:
                shutil.copyfileobj(upload, sink, 1 << 20)
            return self.take_in(ws, path)

    def missing(self, ws: str, id: str) -> list[str]:
        """What a run's recipe needs that is not here, a sentence each; empty where it can be trained."""
        run = self._runs.get(ws, id)
        if run.recipe is None:
            return ["Its recipe cannot be read."]
        return [said for said in (self._missing_dataset(ws, run, run.recipe), self._missing_model(run, run.recipe))
                if said]

    def _missing_dataset(self, ws: str, run: Run, recipe: Recipe) -> str:
        known = values.read(Path(run.folder) / DATASET_FACTS, Dataset)
        called = f"The dataset {known.name} ({sum(known.rows(split) for split in Split):,} rows)" if known else \
            f"The dataset {recipe.dataset}"
        found = self._data.find(ws, recipe.dataset)
        if found is None:
            bundled = any(entry.id == recipe.dataset for entry in self._data.bundled())
            return "" if bundled else f"{called} is not in this workspace: import the same file on the Data page."
        try:
            origin.of(Path(run.folder)).check_dataset(found)
        except ThawError as error:
            return f"{error.what} {error.why}"
        return ""

    def _missing_model(self, run: Run, recipe: Recipe) -> str:
        if recipe.method not in REGISTRY:
            return f"This version of Thaw has no method called {recipe.method}."
        if private.was_local(recipe.base_model):
            return (f"The base model {recipe.base_model} lay in a folder of the machine that it was trained on: name "
                    "your copy of it on the Train page.")
        try:
            origin.of(Path(run.folder)).check_model(recipe.base_model, self._desk.settings)
        except ThawError as error:
            return f"{error.what} {error.why}"
        return ""

    def bound(self, ws: str, ids: Sequence[str]) -> list[str]:
        """Names of the bundled datasets among those of these runs whose rows may not be handed on without conditions.
        """
        refs = {run.recipe.dataset for run in self._desk.some(ws, ids) if run.recipe is not None}
        found = [dataset for ref in sorted(refs) if (dataset := self._data.find(ws, ref)) is not None]
        return [dataset.name for dataset in found if catalogue.published(dataset.source) is not None
                and not catalogue.may_hand_on(dataset.source)]

    def _material(self, ws: str, ids: Sequence[str], title: str) -> Material:
        every = self._desk.some(ws, ids)
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
            paired=self._paired(ws, found, called), answered=self._answered(ws, [run for run, _ in runs.values()]),
            features={id: self._compared(ws, id) for id, why in reasons.items() if not why},
            no_features={id: why for id, why in reasons.items() if why})

    def _answered(self, ws: str, runs: Sequence[Run]) -> list[Answered]:
        """What the experiments among these runs say, where all of their finished runs are here."""
        found, here = [], {run.id for run in runs}
        for id in dict.fromkeys(run.experiment for run in runs if run.experiment is not None):
            finished = {run.id for run in self._experiments.runs(ws, id) if self._runs.has_result(run)}
            question = self._questions.of(ws, id) if finished <= here else None
            if question is not None and question.answer is not None and question.card is not None:
                found.append(Answered(question=question.design.question, sentence=question.answer.sentence,
                                      charts=question.charts, card=question.card))
        return found

    def _titles(self, ws: str) -> dict[str | None, str]:
        return {experiment.id: experiment.name for experiment in self._experiments.all(ws)}

    def title(self, ws: str, ids: Sequence[str]) -> str:
        """What a file of these runs is called: by their experiments, or the one run's name."""
        runs, titles = self._desk.some(ws, ids), self._titles(ws)
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
