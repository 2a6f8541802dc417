"""What is known of the untouched model on fixed texts: read once for all runs on it, kept in the cache."""

from __future__ import annotations

import functools
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from core import cache, files
from core.data import panel
from core.domain.run import Phase
from core.features.row_store import CacheDamageError
from core.models.language import LanguageHead, LanguageNetwork
from core.training import panel_states
from core.training.fixed_texts import AT_CHECKPOINTS, LENGTH, PANEL, TASK, task_tokens
from core.training.panel_states import Texts
from core.training.session import Session

VERSION = 1
"""Part of every key: raise it when what is kept changes."""
WORDS = {PANEL: "forgetting panel", AT_CHECKPOINTS: "part of the panel that is read at checkpoints", TASK: "test rows"}


@dataclass(frozen=True, kw_only=True, eq=False)
class Known:
    """What is known of the untouched model on some texts."""

    texts: Texts
    folder: Path
    """Where it is kept; read when it is compared with, so that it takes no memory while a run trains."""
    lease: cache.Lease

    def read(self) -> dict[str, np.ndarray]:
        """`states` and `losses` (n_tokens,). Raises CacheDamageError where the cache has let them go."""
        found = cache.load_arrays(self.folder, ("states", "losses"))
        if found is None:
            raise CacheDamageError("What is known of the untouched model was damaged or removed while it was in use.",
                                   why=f"forgetting/{self.folder.name} in the cache is not what was written there.",
                                   remedy="Resume it or start it again: what is damaged is computed again.")
        return found

    @property
    def losses(self) -> np.ndarray:
        """(n_tokens,) nats."""
        return np.array(self.read()["losses"])

    @property
    def states(self) -> torch.Tensor:
        """(n_tokens, width)."""
        return panel_states.from_array(self.read()["states"])


class Source:
    """The untouched model, built when it is first called for."""

    def __init__(self, session: Session) -> None:
        self.session = session

    @functools.cached_property
    def network(self) -> LanguageNetwork:
        found = self.session.untouched()
        assert isinstance(found, LanguageNetwork)
        return found

    def let_go(self) -> None:
        """Free its memory."""
        self.__dict__.pop("network", None)

    def head(self) -> LanguageHead:
        """Its output layer, kept on disk: training may change the one at hand."""
        folder = folder_of(self.session, "head")
        arrays = cache.kept(folder, lambda: _read_head(self.session), lambda: keep(
            folder, panel_states.head_arrays(self.network.head), seconds=0.0))
        cache.mark_used(folder)
        return panel_states.head_of(arrays, torch.device(self.session.device.kind))


def folder_of(session: Session, name: str, **more: Any) -> Path:
    """Where what is known on the texts of that name lies. more: what else it depends on."""
    return cache.folder_of(session.settings.cache, "forgetting", _key(session, name) | more)


def _key(session: Session, name: str) -> dict[str, Any]:
    key: dict[str, Any] = {"version": VERSION, "part": name, "model": session.facts.revision}
    if name == "head":
        return key
    key |= session.untouched_key() | {"precision": session.precision, "device": session.device.kind,
                                      "threads": torch.get_num_threads()}
    if name != TASK:
        return key | {"panel": panel.SHA256, "length": LENGTH}
    recipe = session.recipe
    return key | {"dataset": session.rows.dataset_hash, "length": recipe.max_length, "taught": recipe.taught,
                  "tokens": task_tokens(session)}


def known(session: Session, name: str, texts: Texts, source: Source) -> Known:
    """What the cache holds on these texts; made where it does not."""
    def make() -> dict[str, np.ndarray]:
        began = time.monotonic()
        session.enter(Phase.CACHING)
        network = source.network
        found = panel_states.states(network, texts, precision=session.precision,
                                    report=session.report("tokens", f"the untouched model on the {WORDS[name]}"))
        losses = panel_states.losses(found, network.head, texts.truth, precision=session.precision)
        return keep(folder, {"states": panel_states.to_array(found), "losses": losses},
                    seconds=time.monotonic() - began)

    folder = folder_of(session, name)
    lease = cache.Lease(folder)
    cache.kept(folder, lambda: _read(session, name), make)
    cache.mark_used(folder)
    return Known(texts=texts, folder=folder, lease=lease)


def keep(folder: Path, arrays: dict[str, np.ndarray], *, seconds: float) -> dict[str, np.ndarray]:
    """Write an entry of the cache. seconds: what making it took."""
    cache.save_arrays(folder, arrays)
    files.write_json(folder / cache.KEY, {"names": list(arrays), "seconds": seconds})
    return arrays


def _read(session: Session, name: str) -> dict[str, np.ndarray] | None:
    return cache.load_arrays(folder_of(session, name), ("states", "losses"))


def _read_head(session: Session) -> dict[str, np.ndarray] | None:
    folder = folder_of(session, "head")
    return (cache.load_arrays(folder, ("weight", "shape", "bias"))
            or cache.load_arrays(folder, ("weight", "shape")))


def cost(session: Session, name: str) -> float:
    """Seconds that the pass took, whoever made it."""
    try:
        about = files.read_json(folder_of(session, name) / cache.KEY) or {}
        return float(about.get("seconds", 0.0))
    except (OSError, ValueError, TypeError, AttributeError):
        return 0.0
