"""What a model was trained on, in its own features: rows nearest to an input, and inputs unlike all of them.

The rule: an input is unlike the training data where its cosine distance to the fifth nearest training row, in the
features that the head sees, is larger than that of 95 in 100 validation rows (deep nearest neighbours, Sun et al. 2022,
arXiv 2204.06507). Validation rows alone set the limit; the share of test rows that it flags, which are no different,
stands beside it as the rate of false alarms.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from core import cache
from core.data import conversations, library
from core.domain.dataset import Content, Shape, Split
from core.domain.nearest import Near, Nearest
from core.domain.recipe import TAUGHT_TOKENS
from core.domain.run import Observer
from core.errors import NotFoundError
from core.features import extract, pooled
from core.models import inspect as model_inspect
from core.models import tokens
from core.planning import budget
from core.settings import Settings
from core.shift.arrays import subset
from core.tasks import teaching, teaching_report
from core.tasks.base import Rows
from core.training.artifact import LoadedModel
from core.training.session import read_rows

K = 5
"""Whose distance counts: the fifth is less a matter of luck than the nearest."""
LEVEL = 95
"""Per cent of validation rows that are not flagged."""
MOST_ROWS = {Split.TRAIN: 2000, Split.VALIDATION: 500, Split.TEST: 500}
MOST_LONG_ROWS = {Split.TRAIN: 400, Split.VALIDATION: 100, Split.TEST: 100}
"""Of a language model: its rows are long."""
FEWEST = 20
"""With fewer validation rows no limit is set."""
_ARRAYS = ("train", "rows", "limit")


@dataclass(frozen=True)
class KnownRows:
    """The training rows of a run as one of its models sees them."""

    features: NDArray[np.float32]
    """(n_rows, width), each of length 1."""
    places: NDArray[np.int64]
    """Of these rows among all rows of the dataset."""
    rows: Rows
    limit: float | None
    """Distance above which an input is unlike them; None with too few validation rows."""
    false_alarms: float | None
    """Share of test rows above it; None without test rows."""
    pictures: bool = False
    talk: bool = False
    """Whether they are conversations."""
    trained_on: int = 0
    """Training rows that the run used; these here are all of them, or a random part."""

    def nearest(self, features: NDArray[np.float32], *, most: int = K) -> list[Nearest]:
        """One entry an input, `(n_inputs, width)` features of length 1."""
        distances = 1 - features @ self.features.T
        found = []
        for line in distances:
            order = np.argsort(line, kind="stable")[:max(most, K)]
            at = float(line[order[min(K, len(order)) - 1]])
            found.append(Nearest(distance=at, limit=self.limit, false_alarms=self.false_alarms,
                                 compared=len(self.places), trained_on=self.trained_on,
                                 rows=tuple(self._near(int(place), float(line[place])) for place in order[:most])))
        return found

    def _near(self, place: int, distance: float) -> Near:
        row = int(self.places[place])
        label = int(self.rows.labels[row])
        content = conversations.readable(self.rows.content[row]) if self.talk else self.rows.content[row]
        return Near(row_id=int(self.rows.row_ids[row]), content=content, picture=self.pictures,
                    distance=max(0.0, distance),
                    label=self.rows.classes[label] if 0 <= label < len(self.rows.classes) else "")


def of(model: LoadedModel, folder: Path, *, key: Sequence[Any], settings: Settings, workspace: str = "",
       observer: Observer | None = None) -> KnownRows:
    """The training rows of the run in this folder, seen by this model of it: read from the cache, or computed (one pass
    over at most 3,000 rows) and kept there. key: names the model. Raises NotFoundError where the dataset is gone."""
    own = folder.parent.parent.name if folder.parent.name == "runs" else workspace
    if not (own or workspace):
        raise NotFoundError("The training rows of this run cannot be found.",
                            why="Its folder does not lie in a workspace, and none was named.",
                            remedy="Name the workspace that has its dataset.")
    dataset = library.load(model.recipe.dataset, settings=settings, workspace=own or workspace)
    rows = read_rows(dataset, settings=settings, workspace=own or workspace)
    place = cache.folder_of(settings.cache, "known-rows", [list(key), dataset.content_hash, model.recipe.to_json(), 1])

    def read() -> dict[str, np.ndarray] | None:
        return cache.load_arrays(place, _ARRAYS)

    def make() -> dict[str, np.ndarray]:
        arrays = _measured(model, rows, observer)
        cache.save_arrays(place, arrays)
        return arrays

    kept = cache.kept(place, read, make)
    limit, alarms = (None if np.isnan(value) else float(value) for value in kept["limit"])
    return KnownRows(features=np.asarray(kept["train"]), places=np.asarray(kept["rows"]), rows=rows, limit=limit,
                     false_alarms=alarms, pictures=model.task.card.content is Content.PICTURE,
                     talk=rows.shape is Shape.CHAT, trained_on=len(_trained_on(model, rows)))


def _measured(model: LoadedModel, rows: Rows, observer: Observer | None) -> dict[str, np.ndarray]:
    there = {split: rows.of(split) for split in MOST_ROWS} | {Split.TRAIN: _trained_on(model, rows)}
    speaks = not model.task.card.new_head
    most_of = MOST_LONG_ROWS if speaks else MOST_ROWS
    chosen = {split: there[split][subset(len(there[split]), most, 0)] for split, most in most_of.items()}
    total, done = sum(map(len, chosen.values())), 0
    found: dict[Split, NDArray[np.float32]] = {}
    for split, places in chosen.items():
        found[split] = directions(_taught(model, rows, places) if speaks else
                                  head_sees(model, [rows.content[place] for place in places]))
        done += len(places)
        if observer is not None:
            observer.progress(done, total, "rows", "training rows")
    limit = alarms = float("nan")
    if len(found[Split.TRAIN]) >= K and len(found[Split.VALIDATION]) >= FEWEST:
        limit = float(np.percentile(_distance(found[Split.VALIDATION], found[Split.TRAIN]), LEVEL))
        if len(found[Split.TEST]):
            alarms = float(np.mean(_distance(found[Split.TEST], found[Split.TRAIN]) > limit))
    return {"train": found[Split.TRAIN], "rows": chosen[Split.TRAIN], "limit": np.array([limit, alarms])}


def _trained_on(model: LoadedModel, rows: Rows) -> NDArray[np.int64]:
    """Places of the training rows that the run used, of all there are."""
    train, validation = rows.of(Split.TRAIN), rows.of(Split.VALIDATION)
    count, _ = budget.shared(model.recipe, train=len(train), validation=len(validation), classes=len(rows.classes))
    return np.asarray(model.task.choose(rows, train, count, seed=model.recipe.seed))


def _distance(features: NDArray[np.float32], train: NDArray[np.float32]) -> NDArray[np.float32]:
    """To the fifth nearest training row, `(n_rows,)`."""
    return np.partition(1 - features @ train.T, K - 1, axis=1)[:, K - 1]


def _taught(model: LoadedModel, rows: Rows, places: NDArray[np.int64]) -> NDArray[np.float32]:
    """The last block of a language model on these rows, pooled as on the Features page: `(n_rows, width)`."""
    facts = model_inspect.facts_of(model.recipe.base_model, settings=model.settings)
    encoded = model.task.encode(rows, recipe=model.recipe, facts=facts, cache=model.settings.cache)
    if not len(places):
        return np.zeros((0, 0), np.float32)
    return pooled.every_block(model.network, encoded, places, precision=model.precision)[model.network.stack.names[-1]]


@torch.no_grad()
def row_sees(model: LoadedModel, text: str, *, ends: bool = True) -> NDArray[np.float32]:
    """The same for a text that is written, cut and pooled as the rows of training are: a conversation, or a passage
    (ends: with which a document ends); `(1, width)`."""
    task: Any = model.task
    facts = model_inspect.facts_of(model.recipe.base_model, settings=model.settings)
    limit = teaching_report.limit(model.recipe.max_length, facts)
    row = teaching.teach(teaching.format_of(task.processor), text, task.shape, limit, ends=ends,
                         taught=model.recipe.taught)
    network, device = model.network, model.network.device
    ids = row.ids if len(row.ids) else np.array([tokens.pad_id(task.processor)])
    given = torch.tensor(ids[None].astype(np.int64), device=device)
    whole = torch.ones_like(given)
    over = torch.from_numpy(row.taught.astype(np.int64))[None].to(device) if (
        network.pooling == TAUGHT_TOKENS and len(row.ids)) else whole
    network.eval()
    with extract.autocast(model.precision, device):
        hidden = network.body(input_ids=given, attention_mask=whole).last_hidden_state
    return np.asarray(network.pool(hidden, over).float().cpu().numpy())


def features(model: LoadedModel, content: Sequence[str]) -> NDArray[np.float32]:
    """What the head sees of texts or picture paths: `(n_rows, width)`, each of length 1."""
    return directions(head_sees(model, content))


def directions(found: NDArray[np.float32]) -> NDArray[np.float32]:
    """The same features, each of length 1."""
    lengths = np.linalg.norm(found, axis=1, keepdims=True)
    return np.asarray(found / np.where(lengths > 0, lengths, 1), np.float32)


@torch.no_grad()
def head_sees(model: LoadedModel, content: Sequence[str]) -> NDArray[np.float32]:
    """What enters the head for texts or picture paths: `(n_rows, width)`."""
    found, network = np.zeros((len(content), 0), np.float32), model.network
    network.eval()
    if not len(content):
        return found
    with model.inputs(list(content)) as inputs:
        for batch in extract.by_length(inputs.encoded, np.arange(len(content))):
            with extract.autocast(model.precision, network.device):
                values = network.features(**extract.to_device(inputs.encoded.batch(batch), network.device))
            if not found.shape[1]:
                found = np.zeros((len(content), values.shape[1]), np.float32)
            found[batch] = values.float().cpu().numpy()
    return found
