"""What the untouched base model says of the rows that a run is judged on, where it can do the task by itself: computed
once for all runs of (dataset, base model, precision, length, what is taught)."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np

from core import cache
from core.domain.dataset import Split
from core.domain.model import Weights
from core.domain.run import Phase
from core.features import extract
from core.models.network import Network
from core.tasks.base import Outputs
from core.training import evaluate, peak_memory
from core.training.inputs import Inputs
from core.training.session import Session

JUDGED = (Split.VALIDATION, Split.TEST, Split.SHIFT)
VERSION = 1


def ahead(session: Session) -> None:
    """Measure it with a network of its own where the run's network never is the base model (in 4 bits, with fresh
    weights): before the run's memory is measured, as its cost is shared."""
    if not _wanted(session) or session.card.weights is Weights.PRETRAINED:
        return
    if _read(session) is None:
        session.enter(Phase.CACHING)
        measure(session, session.untouched())
        peak_memory.give_back()
    else:
        measure(session)


def measure(session: Session, network: Network | None = None) -> None:
    """Keep it in the session: `session.base`, an entry a split that has rows. network: the base model, needed where
    no earlier run has measured it."""
    if not _wanted(session):
        return
    began, rows = time.monotonic(), judged_rows(session)

    def make() -> dict[str, np.ndarray]:
        assert network is not None
        session.enter(Phase.CACHING)
        inputs = Inputs(task=session.task, network=network, rows=session.rows, encoded=session.encoded,
                        precision=session.precision)
        kept = evaluate.outputs(inputs, rows, session.report("rows", "the base model by itself"))
        arrays = {**kept, "seconds": np.array([time.monotonic() - began])}
        cache.save_arrays(folder, arrays)
        return arrays

    folder = _folder(session)
    found = cache.kept(folder, lambda: _read(session), make)
    cache.mark_used(folder)
    place = {int(row): at for at, row in enumerate(rows)}
    for split in JUDGED:
        indices = session.validation if split is Split.VALIDATION else session.rows.of(split)
        if len(indices):
            at = [place[int(row)] for row in indices]
            session.base[split] = {name: np.asarray(values)[at] for name, values in found.items() if name != "seconds"}
    session.shared.append(extract.Spent(own=time.monotonic() - began, whole=float(found["seconds"][0])))
    session.base_outputs = session.base.get(Split.VALIDATION)


def judged_rows(session: Session) -> np.ndarray:
    """Indices of all rows that runs on this dataset can be judged on."""
    return np.concatenate([session.rows.of(split) for split in JUDGED])


def said(session: Session, indices: np.ndarray) -> Outputs | None:
    """What it says of these rows; None where it was not measured there."""
    for split, kept in session.base.items():
        own = session.validation if split is Split.VALIDATION else session.rows.of(split)
        if np.array_equal(own, indices):
            return kept
    return None


def _wanted(session: Session) -> bool:
    return not session.task.card.new_head and len(judged_rows(session)) > 0


def _folder(session: Session) -> Path:
    return cache.folder_of(session.settings.cache, "base-side", {
        "version": VERSION, "dataset": session.rows.dataset_hash, "model": session.facts.revision,
        "precision": session.precision, "device": session.device.kind, "length": session.recipe.max_length,
        "taught": session.recipe.taught} | session.untouched_key())


def _read(session: Session) -> dict[str, np.ndarray] | None:
    folder = _folder(session)
    return cache.load_arrays(folder, tuple(path.stem for path in folder.glob("*.npy")) or ("seconds",))
