"""What training did to the weights of a run: published weights against merged ones, module by module, kept as JSON in
the run folder."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import asdict, replace
from functools import partial
from typing import Any

import numpy as np
import torch
from safetensors import safe_open
from torch import nn

from core import files
from core.analysis.feature_paths import WEIGHT_CHANGES, FeaturePaths, weights_of
from core.domain.model import Weights
from core.domain.run import Observer
from core.domain.side import Side
from core.errors import NotFoundError
from core.models import adapters, methods
from core.models import facts as facts_module
from core.settings import Settings
from core.shift import weights
from core.threads import one_thread
from core.training import artifact

Change = Callable[[np.ndarray], np.ndarray]
MOST_ENTRIES = 4_000_000
"""Larger tables (word embeddings) are read by their size of change only: their singular values would take minutes."""


def ensure(where: FeaturePaths, *, settings: Settings, observer: Observer) -> None:
    """Write `features/weights.json` in the run folder unless it is there. Weights that did not change are counted, not
    listed."""
    path = where.run_dir / "features" / WEIGHT_CHANGES
    if path.is_file():
        return
    if weights_of(where.recipe) is Weights.FRESH:
        document: dict[str, Any] = {"note": "A run from scratch does not start from the published weights, so there is "
                                            "no change to show.",
                                    "modules": [], "untouched": 0}
    else:
        document = _measure(where, settings, observer)
        if observer.should_stop():
            return
    files.write_json(path, {"schema_version": 1, **document}, indent=None)


def _measure(where: FeaturePaths, settings: Settings, observer: Observer) -> dict[str, Any]:
    found, untouched = [], 0
    with _Published(where, settings) as published, one_thread():
        changed = [(name, change) for name, change in _changes(where, settings) if published.has(name)]
        for number, (name, change) in enumerate(changed):
            observer.progress(number, len(changed), "weights")
            if observer.should_stop():
                break
            before = published.read(name)
            after = change(before)
            if np.array_equal(before, after):
                untouched += 1
                continue
            found.append(_module(name, before, after))
        observer.progress(len(changed), len(changed), "weights")
        untouched += published.count - len(changed)
    merged = (where.run_dir / "artifact" / artifact.ADAPTER).is_dir()
    return {"note": "Adapters are merged into the published weights first." if merged else "", "modules": found,
            "untouched": untouched}


def _module(name: str, before: np.ndarray, after: np.ndarray) -> dict[str, Any]:
    if before.size > MOST_ENTRIES:
        size = float(np.linalg.norm(before.astype(np.float64)))
        change = float(np.linalg.norm(after.astype(np.float64) - before))
        return {"name": name, "shape": list(before.shape), "relative": change / size if size else None, "singular": [],
                "rank90": None, "intruders": None}
    measured = weights.module(name, before, after)
    return asdict(replace(measured, singular=tuple(float(f"{value:.4g}") for value in measured.singular)))


class _Published:
    """The weights of the base model as published, read one at a time; names are those of the body."""

    def __init__(self, where: FeaturePaths, settings: Settings) -> None:
        folder = facts_module.folder(where.recipe.base_model, settings)
        self.files = [safe_open(path, framework="pt") for path in sorted(folder.glob("*.safetensors"))]
        self.names: dict[str, tuple[Any, str]] = {}

    def __enter__(self) -> _Published:
        for file in self.files:
            opened = file.__enter__()
            self.names |= {name: (opened, name) for name in list(opened.keys())}
        return self

    def __exit__(self, *problem: object) -> None:
        for file in self.files:
            file.__exit__(None, None, None)

    @property
    def count(self) -> int:
        return len(self.names)

    def has(self, name: str) -> bool:
        return self._find(name) is not None

    def read(self, name: str) -> np.ndarray:
        found = self._find(name)
        if found is None:
            raise NotFoundError(f"The base model has no weight {name}.", remedy="Fetch the base model again.")
        file, stored = found
        return np.asarray(file.get_tensor(stored).float().numpy())

    def _find(self, name: str) -> tuple[Any, str] | None:
        """By the body's name, or by one that ends in it (`bert.encoder…` holds the body's `encoder…`)."""
        return (self.names.get(name)
                or next((found for stored, found in self.names.items() if stored.endswith(f".{name}")), None))


def _changes(where: FeaturePaths, settings: Settings) -> Iterator[tuple[str, Change]]:
    """Weight name -> what makes the tuned weight from the published one."""
    from safetensors.torch import load_file

    folder = where.run_dir / "artifact"
    if (folder / artifact.WEIGHTS_FILE).is_file():
        for name, tensor in load_file(folder / artifact.WEIGHTS_FILE).items():
            yield name, partial(_replaced, tensor)
    if (folder / artifact.ADAPTER).is_dir():
        network = artifact.load(Side.of(where.run_dir), settings=settings, device="cpu").network
        adapter = methods.card_of(where.recipe.method).adapter
        assert adapter is not None  # only such runs leave one
        for name, layer in adapters.layers(network.body).items():
            inside = adapters.published_name(name)
            yield f"{inside}.weight", partial(_merged, adapter.merged, layer)
            if getattr(layer.get_base_layer(), "bias", None) is not None:
                yield f"{inside}.bias", partial(_merged, adapter.merged_bias, layer)


def _replaced(tensor: torch.Tensor, before: np.ndarray) -> np.ndarray:
    return np.asarray(tensor.float().numpy())


@torch.no_grad()
def _merged(fold: Callable[[nn.Module, torch.Tensor], torch.Tensor], layer: nn.Module,
            before: np.ndarray) -> np.ndarray:
    """The published weight (or bias) with the adapter's update."""
    return np.asarray(fold(layer, torch.from_numpy(before)).numpy())
