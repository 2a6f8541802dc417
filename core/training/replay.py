"""General texts that are read beside the rows of each step (`core.models.methods.replay`)."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from core.data import general
from core.domain.dataset import Shape
from core.domain.recipe import Recipe
from core.features.extract import to_device
from core.models import methods
from core.models.chunked_loss import places_of
from core.tasks.teaching import format_of, teach
from core.training import panel_states
from core.training.inputs import Inputs
from core.training.session import Session


class Replay:
    """Which texts a batch is read with, and their loss. Texts come in an order that hangs on seed and place alone, so
    that a run that goes on reads what it would have read."""

    def __init__(self, session: Session, inputs: Inputs) -> None:
        """Raises FetchError or DataError where the texts cannot be had."""
        self.inputs, self.seed = inputs, session.recipe.seed
        self.share = methods.card_of(session.recipe.method).replay
        texts = general.load(settings=session.settings, progress=session.report("bytes", "general texts"))
        format, limit = format_of(session.task.processor), session.recipe.max_length
        limit = min(limit, session.facts.max_length or limit)
        self.ids = [teach(format, text.text, Shape.TEXT, limit, ends=False).ids for text in texts]
        # one at a time where padding changes what the model computes
        self.rows = 1 if session.facts.fixed_width else beside(session.recipe.batch_size, self.share)

    def chosen(self, place: int) -> np.ndarray:
        """(rows,) numbers of the texts beside the batch at that place, counted from the run's first."""
        found = []
        for position in range(place * self.rows, (place + 1) * self.rows):
            turn, at = divmod(position, len(self.ids))
            found.append(np.random.default_rng((self.seed, turn)).permutation(len(self.ids))[at])
        return np.array(found)

    def loss(self, place: int, model: Any) -> torch.Tensor:
        """Mean over the tokens of the texts beside that batch, in nats. model: the network as the Trainer has wrapped
        it, with all its blocks."""
        batch, device = panel_states.batch_of(self.ids, self.chosen(place)), self.inputs.network.device
        labels = {"labels": batch.labels, "places": places_of(batch.labels)}
        said = model(**to_device(batch.inputs, device), **to_device(labels, device))
        return self.inputs.task.loss(said, {})


def rehearsed(recipe: Recipe) -> tuple[str, ...]:
    """The kinds of text of the forgetting panel that a run of this recipe reads, whatever its rows are."""
    return general.DOMAINS if methods.card_of(recipe.method).replay else ()


def beside(batch_size: int, share: float) -> int:
    """General texts beside so many rows; at least one."""
    return max(1, round(batch_size * share / (1 - share)))
