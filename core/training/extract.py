"""Extract the features of a run at every block: its base model (shared by all runs on it), 4-bit base, tuned model; and
compare them.

Each side is loaded from disk; rows, order, preprocessing and batches are the same, so that equal blocks give equal
bytes.
"""

from __future__ import annotations

import functools
import gc
import itertools
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch

from core import cache, tasks
from core.analysis import aligned, feature_paths, row_facts, shift_report
from core.analysis.aligned import AlignedSides
from core.analysis.feature_files import BlockFeatures
from core.analysis.feature_paths import FeaturePaths
from core.analysis.sample import DEFAULT_ROWS, SHIFT_SET, probe_sample, second_sample
from core.domain.model import ModelFacts, Weights
from core.domain.recipe import Recipe
from core.domain.run import Observer, Phase
from core.domain.side import Side, Which
from core.errors import NotFoundError, ThawError
from core.features import pooled
from core.features.encoded import Encoded
from core.models import facts as facts_module
from core.models import inspect as model_inspect
from core.models import origin
from core.models.network import Network
from core.settings import Settings
from core.tasks.base import Objective, Rows
from core.training import artifact, lens, prefix, weight_changes
from core.training.inputs import Inputs, computed_blocks
from core.training.lens_places import Floor, Subject

Report = Callable[[float, float | None], None]
CHECKED_ROWS = 64
"""Of the probe sample, rows on which frozen blocks are computed once more."""
FLOOR_PARAMETERS = 1_500_000_000
"""Larger base models are not loaded in full precision to see what rounding does."""


def extract(run_dir: Path, *, settings: Settings, workspace: str, observer: Observer, rows: int = DEFAULT_ROWS,
            second: str = SHIFT_SET) -> FeaturePaths:
    """Features of the probe sample on every side of a finished run; what is on disk already is never computed again.
    Returns where they lie.

    second: see `aligned.align`; of a second dataset, features of up to 500 rows are extracted, too. Raises
    NotFoundError when the run has no artifact, or a dataset or its base model is gone; DataError or RecipeError when
    these are not what the run was trained on.
    """
    return _extracted(run_dir, settings=settings, workspace=workspace, observer=observer, rows=rows, second=second)[0]


def _extracted(run_dir: Path, *, settings: Settings, workspace: str, observer: Observer, rows: int,
               second: str) -> tuple[FeaturePaths, _Work]:
    from core.training.session import dataset_of, read_rows

    observer.phase(Phase.PREPARING)
    origin.check_model(run_dir, settings)
    model_inspect.facts_of(origin.base_model(run_dir), settings=settings)
    where = feature_paths.of_run(run_dir, settings=settings, rows=rows)
    recipe = where.recipe
    precision = where.precision
    dataset = dataset_of(recipe.dataset, settings=settings, workspace=workspace,
                         progress=lambda done, total: observer.progress(done, total, "bytes", "dataset"))
    origin.of(run_dir).check_dataset(dataset)
    table = read_rows(dataset, settings=settings, workspace=workspace)
    task = tasks.get(recipe.task).of(facts_module.folder(recipe.base_model, settings), table)
    work = _Work(recipe=recipe, facts=where.facts, task=task, rows=table,
                 sample=_sampled_before(where, table, probe_sample(table.labels, table.splits, rows=rows)),
                 precision=precision, settings=settings, observer=observer)
    observer.phase(Phase.CACHING)
    work.sides(where)
    if other := aligned.second_id(second):
        there = where.at_rows_of(other, settings=settings)
        if not there.ready:
            chosen = _second_rows(other, there, settings=settings, workspace=workspace)
            replace(work, rows=chosen, sample=np.arange(len(chosen.row_ids))).sides(there)
    return where, work


def _sampled_before(where: FeaturePaths, table: Rows, sample: np.ndarray) -> np.ndarray:
    """The rows of a side that is on disk already, which an earlier version may have drawn otherwise; else the sample.
    All sides have to be of the same rows."""
    from safetensors import SafetensorError, safe_open

    for path in (where.tuned, where.base, where.quantised):
        if path is None or not path.is_file():
            continue
        try:
            with safe_open(path, framework="numpy") as file:
                row_ids = file.get_tensor("row_ids")
        except (SafetensorError, OSError):  # damaged: it is made again
            continue
        place = {int(row): index for index, row in enumerate(table.row_ids)}
        if all(int(row) in place for row in row_ids):
            return np.array([place[int(row)] for row in row_ids], np.int64)
    return sample


def _second_rows(dataset: str, where: FeaturePaths, *, settings: Settings, workspace: str) -> Rows:
    """The rows of a second dataset that are looked at, and no others: they are encoded, and kept encoded, by
    themselves."""
    from core.data import library
    from core.training.session import read_rows

    every = read_rows(library.load(dataset, settings=settings, workspace=workspace), settings=settings,
                      workspace=workspace)
    chosen = _sampled_before(where, every, second_sample(every.splits))
    return replace(every, row_ids=every.row_ids[chosen], content=[every.content[i] for i in chosen],
                   labels=every.labels[chosen], splits=every.splits[chosen],
                   dataset_hash=f"{every.dataset_hash}-beside")


def measure(run_dir: Path, *, settings: Settings, workspace: str, observer: Observer, rows: int = DEFAULT_ROWS,
            second: str = SHIFT_SET) -> AlignedSides:
    """Extract the sides of a run, compare them, and measure what happened to the weights: all that the page opens with,
    on disk.

    For a language model also what each of its blocks says. Returns base model and tuned model, aligned; their report is
    `shift_report.of`. second: see `aligned.align`.
    """
    where, work = _extracted(run_dir, settings=settings, workspace=workspace, observer=observer, rows=rows,
                             second=second)
    observer.phase(Phase.EVALUATING)
    table = row_facts.table(where.recipe.dataset, settings=settings, workspace=workspace)
    untrained = [Which.BASE] if where.quantised is None else [Which.BASE, Which.FOUR_BIT]
    comparisons = [aligned.align(Side.of(run_dir, which), Side.of(run_dir), settings=settings, table=table, rows=rows,
                                 second=second) for which in untrained]
    for number, found in enumerate(comparisons):
        observer.progress(number, len(comparisons), "comparisons")
        shift_report.of(found, settings=settings)
    observer.progress(len(comparisons), len(comparisons), "comparisons")
    weight_changes.ensure(where, settings=settings, observer=observer)
    if not work.task.card.new_head:  # the model's own output layer says words
        work.words(where)
    return comparisons[0]


@dataclass(frozen=True, kw_only=True)
class _Work:
    recipe: Recipe
    facts: ModelFacts
    task: Objective
    rows: Rows
    sample: np.ndarray
    precision: str
    settings: Settings
    observer: Observer

    def sides(self, where: FeaturePaths) -> None:
        """Every side that is not there yet; those that runs share are made by one of them while the others wait."""
        shared = [(where.base, Weights.PRETRAINED, "base model")]
        if where.quantised is not None:
            shared.append((where.quantised, Weights.FOUR_BIT, "4-bit base model"))
        for path, weights, what in shared:
            with cache.filling(path.parent):
                self.ensure(path, functools.partial(self.of_untrained, weights, what))
            gc.collect()
        self.ensure(where.tuned, lambda: self.tuned(where))

    def untrained(self, weights: Weights) -> Network:
        """The base model as published (or in 4 bits); its head plays no part in features."""
        device = "cuda" if torch.cuda.is_available() else "cpu"
        return self.task.build(facts_module.folder(self.recipe.base_model, self.settings), recipe=self.recipe,
                               facts=self.facts, weights=weights, dropout=0.0, device=device,
                               compute_dtype=artifact.compute_dtype(self.precision), reads_only=True)

    def of_untrained(self, weights: Weights, what: str) -> dict[str, np.ndarray]:
        """Features of every block of the base model."""
        return self.blocks(self.untrained(weights), what)

    def encoded(self) -> Encoded:
        return self.task.encode(self.rows, recipe=self.recipe, facts=self.facts, cache=self.settings.cache)

    def blocks(self, network: Network, what: str) -> dict[str, np.ndarray]:
        """Features of every block, from one forward pass."""
        return pooled.every_block(network, self.encoded(), self.sample, precision=self.precision,
                                  report=self.report(what))

    def tuned(self, where: FeaturePaths) -> dict[str, np.ndarray]:
        """Features of the run's model. Up to the first block of which the run left weights it should be the model it
        started from: that is computed on some rows and compared, and where it holds the features on disk are these
        blocks' own. One network at a time is held in memory."""
        weights = feature_paths.weights_of(self.recipe)
        found, checked = self.computed(where, weights)
        gc.collect()
        unmoved = [name for name in where.facts.block_names if name in checked]
        if not unmoved:
            return found
        if self.unchanged(checked, weights):
            below = BlockFeatures.load(where.start).blocks
            return {name: below[name] for name in unmoved} | found
        gc.collect()
        self.observer.note("Frozen blocks do not compute what the model computes that the run started from: all "
                           "are computed anew.")
        return self.blocks(artifact.load(Side.of(where.run_dir), settings=self.settings).network, "tuned model")

    def computed(self, where: FeaturePaths, weights: Weights) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
        """Of the run's model: the blocks that may have moved, and, on the rows of the self-test, those below them.
        Those that may have moved start from the frozen prefix that the run has cached, where it is still there."""
        network = artifact.load(Side.of(where.run_dir), settings=self.settings).network
        names = network.stack.names
        moved = set(names) if weights is Weights.FRESH else artifact.moved_blocks(where.run_dir, network)
        unmoved = list(itertools.takewhile(lambda name: name not in moved, names))
        checked = {}
        if unmoved:
            every = pooled.every_block(network, self.encoded(), self.some, precision=self.precision)
            checked = {name: every[name] for name in unmoved}
        if len(unmoved) == len(names):
            return {}, checked
        inputs = Inputs(task=self.task, network=network, rows=self.rows, encoded=self.encoded(),
                        precision=self.precision)
        with prefix.reuse(inputs, self.sample, boundary=len(unmoved) - 1, recipe=self.recipe, facts=self.facts,
                          dataset=self.rows.dataset_hash, settings=self.settings):
            found = computed_blocks(inputs, self.sample, self.report("tuned model"))
        return {name: found[name] for name in names if name not in checked}, checked

    def unchanged(self, checked: dict[str, np.ndarray], weights: Weights) -> bool:
        """The page's self-test: whether these blocks of the run's model, computed on some rows, give the very bytes
        that the untrained model gives there."""
        untrained = pooled.every_block(self.untrained(weights), self.encoded(), self.some, precision=self.precision)
        return all(np.array_equal(values, untrained[name], equal_nan=True) for name, values in checked.items())

    @property
    def some(self) -> np.ndarray:
        """`CHECKED_ROWS` rows of the sample, spread over it."""
        return self.sample[np.linspace(0, len(self.sample) - 1, min(CHECKED_ROWS, len(self.sample))).astype(int)]

    def words(self, where: FeaturePaths) -> None:
        """What each block of a language model says, before and after training; a note where it cannot be read."""
        floor = None
        if where.quantised is not None:
            floor = Floor(source="4-bit", precision=self.precision, load=lambda: self.untrained(Weights.FOUR_BIT))
        elif self.precision != "fp32" and self.facts.parameters <= FLOOR_PARAMETERS:
            whole = replace(self, precision="fp32")
            floor = Floor(source="precision", precision="fp32", load=lambda: whole.untrained(Weights.PRETRAINED))
        subject = Subject(
            where=where, task=self.task, rows=self.rows, encoded=self.encoded(), sample=self.sample, floor=floor,
            base=lambda: self.untrained(Weights.PRETRAINED), precision=self.precision, observer=self.observer,
            tuned=lambda: artifact.load(Side.of(where.run_dir), settings=self.settings).network)
        try:
            lens.ensure(subject)
        except ThawError as error:  # the features are there
            self.observer.note(f"What each block says was not measured. {error.what} {error.why}")

    def report(self, what: str) -> Report:
        """Rows done, with what they are done for."""
        return lambda done, total: self.observer.progress(done, total, "rows", what)

    def ensure(self, path: Path, compute: Callable[[], dict[str, np.ndarray]]) -> None:
        """Write the features of one side unless they are there, whole."""
        with suppress(NotFoundError):
            BlockFeatures.load(path)
            path.touch()
            return
        BlockFeatures(row_ids=self.rows.row_ids[self.sample], blocks=compute()).save(path)
        cache.mark_used(path.parent)
