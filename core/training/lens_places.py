"""Where a finished language run is read word by word: rows of its probe sample, and tokens in them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from core.analysis.feature_files import BlockFeatures
from core.analysis.feature_paths import FeaturePaths
from core.domain.run import Observer
from core.errors import NotFoundError
from core.features.encoded import Encoded
from core.models.network import Network
from core.planning import lens_cost
from core.planning.lens_cost import AVERAGED_TOKENS, ROWS, SHOWN_ROWS, SHOWN_TOKENS, TOKENS
from core.tasks.base import Objective, Rows

Load = Callable[[], Network]


@dataclass(frozen=True, kw_only=True)
class Floor:
    """A model that differs from the base model by rounding alone."""

    source: str
    """`4-bit`: the untrained model in 4 bits; `precision`: the base model in fp32."""
    precision: str
    load: Load


@dataclass(frozen=True, kw_only=True)
class Subject:
    """The rows of a run, and its models, each loaded when it is called for."""

    where: FeaturePaths
    task: Objective
    rows: Rows
    encoded: Encoded
    sample: np.ndarray
    """Indices of the probe sample."""
    base: Load
    tuned: Load
    floor: Floor | None
    precision: str
    observer: Observer


@dataclass(frozen=True, kw_only=True)
class Spots:
    """The measured tokens, one entry a token, in order of rows. The models read everything before it."""

    rows: np.ndarray
    """Indices of the measured rows; those that can be looked at come first."""
    row: np.ndarray
    """Position of its row in `rows`."""
    token: np.ndarray
    """Its position in the row."""
    truth: np.ndarray
    """The token itself."""
    shown: np.ndarray
    """Whether every block is read here to be looked at."""
    averaged: np.ndarray
    """Whether every block is read here for the averages."""
    pieces: list[list[str]]
    """Of each row its tokens in words, up to the last that is measured."""

    @property
    def read(self) -> np.ndarray:
        """Those at which every block is read."""
        return np.flatnonzero(self.shown | self.averaged)

    @property
    def null(self) -> np.ndarray:
        """For each of `read` the token that is true at another."""
        truth = self.truth[self.read]
        return np.roll(truth, 1 + len(truth) // 2)

    def of(self, start: int, count: int) -> np.ndarray:
        """Those in so many rows from position `start` on."""
        return np.flatnonzero((self.row >= start) & (self.row < start + count))


def find(subject: Subject) -> Spots:
    """The tokens to measure. Raises NotFoundError where no row of the sample teaches any."""
    rows = _rows(subject)
    share = _affordable(subject)
    found: list[tuple[int, int, int, bool, bool]] = []
    pieces = []
    for position, index in enumerate(rows):
        tokens, labels = _tokens(subject, int(index))
        taught = (np.flatnonzero(labels[1:] >= 0) + 1)[:TOKENS]
        places = np.linspace(0, len(taught) - 1, max(2, int(AVERAGED_TOKENS * share))).astype(int)
        shown = max(2, int(SHOWN_TOKENS * share)) if position < SHOWN_ROWS else 0
        found += [(position, int(at), int(labels[at]), number < shown, number in places)
                  for number, at in enumerate(taught)]
        pieces.append([word(subject.task.processor, int(token)) for token in tokens[:int(taught[-1]) + 1]])
    row, token, truth, seen, averaged = (np.array(column) for column in zip(*found, strict=True))
    return Spots(rows=rows, row=row, token=token, truth=truth, shown=seen, averaged=averaged, pieces=pieces)


def word(tokenizer: Any, token: int) -> str:
    """One token as it stands in a text, with the space before it where it has one."""
    text = str(tokenizer.decode([token], clean_up_tokenization_spaces=False))
    stored = str(tokenizer.convert_ids_to_tokens(token))
    return f" {text}" if stored.startswith("▁") and not text.startswith(" ") else text or stored


def _tokens(subject: Subject, index: int) -> tuple[np.ndarray, np.ndarray]:
    """Tokens and labels of a row, without padding."""
    one, length = np.array([index]), int(subject.encoded.lengths[index])
    tokens = subject.encoded.batch(one)["input_ids"][0]
    labels = subject.task.targets(subject.rows, subject.encoded, one)["labels"][0]
    return tokens.numpy()[:length], labels.numpy()[:length]


def _rows(subject: Subject) -> np.ndarray:
    """Rows that teach something, spread over the target rows of the probe sample. First those that are looked at: a
    third that moved most in the last block, a third that moved least, and the first."""
    target = subject.sample[subject.rows.splits[subject.sample] != "shift"]
    some = target[np.linspace(0, len(target) - 1, min(2 * ROWS, len(target))).astype(int)]
    teaching = np.array([index for index in some if (_tokens(subject, int(index))[1][1:] >= 0).any()], int)
    if not len(teaching):
        raise NotFoundError("No row of the sample teaches a token.",
                            why="Without one there is nothing that a block could be asked for.",
                            remedy="Look at the mask on the Data page.")
    rows = teaching[np.linspace(0, len(teaching) - 1, min(ROWS, len(teaching))).astype(int)]
    by_move = rows[np.argsort(-_moved(subject, rows), kind="stable")]
    third = SHOWN_ROWS // 3
    order = [*by_move[:third], *by_move[::-1][:third], *rows]
    return np.array(list(dict.fromkeys(int(index) for index in order)), int)


def _moved(subject: Subject, rows: np.ndarray) -> np.ndarray:
    """How far the last block's features of these rows moved, from the files on disk; 0 where they are not there."""
    try:
        ids = subject.rows.row_ids[rows]
        a, b = (BlockFeatures.load(path).at(ids) for path in (subject.where.base, subject.where.tuned))
    except NotFoundError:
        return np.zeros(len(rows))
    last = a.names[-1]
    return np.asarray(np.linalg.norm(b.blocks[last].astype(np.float32) - a.blocks[last].astype(np.float32), axis=1))


def _affordable(subject: Subject) -> float:
    """Share of the places at which every block would be read that this machine has time for."""
    return lens_cost.share(subject.where.facts, len(subject.task.processor),
                           kind="cuda" if torch.cuda.is_available() else "cpu")
