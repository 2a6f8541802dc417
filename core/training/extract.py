"""Extract the features of a run at every block: its base model (shared by all runs on it), 4-bit base where there is one, and the tuned model.

Each side is loaded from disk; rows, order, preprocessing and batches are the same, so that equal blocks give equal bytes.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from core import tasks
from core.domain.footprint import effective_plan
from core.domain.model import ModelFacts
from core.domain.recipe import Recipe
from core.domain.run import Observer, Phase
from core.errors import NotFoundError
from core.features import pooled
from core.features.blockfile import BlockFeatures, final_of
from core.features.sample import DEFAULT_ROWS, probe_sample
from core.models import facts as facts_module
from core.models import methods
from core.models.network import Network
from core.settings import Settings
from core.tasks.base import Encoded, Rows
from core.training import artifact

Report = Callable[[float, float | None], None]


@dataclass(frozen=True, kw_only=True)
class Extracted:
    """Where the features of one run lie. quantised: the 4-bit, untrained model, for QLoRA runs only."""

    base: Path
    tuned: Path
    quantised: Path | None = None


def base_path(settings: Settings, *, dataset_hash: str, facts: ModelFacts, recipe: Recipe, precision: str, rows: int, weights: str) -> Path:
    """Base features are shared by every run on (dataset, base model, length, pooling, precision, sample size)."""
    quantised = [recipe.quantization.type, recipe.quantization.double] if weights == "4bit" else None
    key = json.dumps([dataset_hash, facts.revision, recipe.max_length, recipe.pooling, precision, rows, quantised])
    return settings.cache / "block_features" / hashlib.sha256(key.encode()).hexdigest()[:24] / "features.safetensors"


def extract(run_dir: Path, *, settings: Settings, workspace: str, observer: Observer, rows: int = DEFAULT_ROWS) -> Extracted:
    """Features of the probe sample on every side of a finished run; what is on disk already is never computed again.

    Raises NotFoundError when the run has no artifact, or its dataset or base model is gone.
    """
    from core.training.execute import dataset_of, read_rows

    observer.phase(Phase.PREPARING)
    recipe = Recipe.from_json(json.loads((run_dir / "recipe.json").read_text(encoding="utf-8")))
    facts = facts_module.read(recipe.base_model, settings)
    if facts is None:
        raise NotFoundError(f"The base model {recipe.base_model} is not in the data folder.", remedy="Fetch it on the Train page.")
    labels_path = run_dir / "artifact" / artifact.LABELS_FILE
    if not labels_path.is_file():
        raise NotFoundError("This run has no artifact yet.", remedy="Wait until the run is done, or resume it.")
    precision = str(json.loads(labels_path.read_text(encoding="utf-8"))["precision"])
    dataset = dataset_of(recipe.dataset, settings=settings, workspace=workspace,
                         progress=lambda done, total: observer.progress(done, total, "bytes", "dataset"))
    table = read_rows(dataset, settings=settings, workspace=workspace)
    work = _Work(recipe=recipe, facts=facts, rows=table, sample=probe_sample(table.labels, table.splits, rows=rows), precision=precision,
                 settings=settings, observer=observer)
    card = methods.get(recipe.method).card
    observer.phase(Phase.CACHING)
    base = base_path(settings, dataset_hash=dataset.content_hash, facts=facts, recipe=recipe, precision=precision, rows=rows, weights="")
    quantised = (base_path(settings, dataset_hash=dataset.content_hash, facts=facts, recipe=recipe, precision=precision, rows=rows,
                           weights="4bit") if card.weights == "4bit" else None)
    work.ensure(base, "base model", lambda: work.untrained("pretrained"))
    if quantised is not None:
        work.ensure(quantised, "4-bit base model", lambda: work.untrained("4bit"))
    tuned = final_of(run_dir, rows)
    work.ensure(tuned, "tuned model", lambda: artifact.load(run_dir, settings=settings).network)
    return Extracted(base=base, tuned=tuned, quantised=quantised)


@dataclass(frozen=True, kw_only=True)
class _Work:
    recipe: Recipe
    facts: ModelFacts
    rows: Rows
    sample: np.ndarray
    precision: str
    settings: Settings
    observer: Observer

    def untrained(self, weights: str) -> Network:
        """The base model as published (or in 4 bits); its head plays no part in features."""
        device = "cuda" if torch.cuda.is_available() else "cpu"
        return tasks.adapter(self.recipe.task).build(
            facts_module.folder(self.recipe.base_model, self.settings), recipe=self.recipe, facts=self.facts, n_classes=len(self.rows.classes),
            weights=weights, dropout=0.0, compute_dtype=artifact.compute_dtype(self.precision), device=device)

    def encoded(self) -> Encoded:
        adapter = tasks.adapter(self.recipe.task)
        processor = adapter.load_processor(facts_module.folder(self.recipe.base_model, self.settings))
        return adapter.encode(self.rows, processor=processor, recipe=self.recipe, facts=self.facts, cache=self.settings.cache)

    def ensure(self, path: Path, what: str, load: Callable[[], Network]) -> None:
        """Write the features of one side unless they are there."""
        if path.is_file():
            path.touch()
            return
        network = load()
        blocks = pooled.every_block(network, self.encoded(), self.sample, precision=self.precision,
                                    report=lambda done, total: self.observer.progress(done, total, "rows", what))
        BlockFeatures(row_ids=self.rows.row_ids[self.sample], blocks=blocks).save(path)
        (path.parent / "key.json").touch()  # what the cache's eviction looks at


def frozen_blocks(recipe: Recipe, facts: ModelFacts) -> tuple[bool, ...]:
    """For each block without the head whether the run froze it. Adapters leave the published weights of a block alone but move its
    features, so a block counts as frozen only where it has no adapter either."""
    plan = effective_plan(recipe, facts)
    return tuple(plan.is_frozen(block.name) for block in facts.blocks)
