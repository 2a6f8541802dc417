"""How much memory loaded models may take: a share of the machine's, less what running jobs still need. No torch."""

from __future__ import annotations

import contextlib
import sqlite3

import psutil

from core import tasks, values
from core.domain.device import Device
from core.domain.model import ModelFacts, Weights
from core.domain.recipe import Recipe
from core.domain.run import Run
from core.errors import ThawError
from core.models import facts as model_facts
from core.models import methods
from core.planning import estimate
from core.planning.footprint import UNKNOWN_DEVICE
from core.settings import Settings
from core.store import Store

SHARE = 0.4
"""Of the machine's memory, unless `THAW_SERVING_GB` says otherwise."""
MARGIN_BYTES = 400_000_000
"""Left free for what nobody counts."""
CLASSES = 10
"""A head's size plays no part in whether a run fits."""


def budget(held: int, *, settings: Settings, store: Store, free: int | None = None) -> int:
    """Bytes that models may take in all, those that are `held` now included.

    free: bytes that nobody uses now, of a device with memory of its own.
    """
    device = values.read(settings.home / "device.json", Device) or UNKNOWN_DEVICE
    share = settings.serving_gb * 1e9 or SHARE * device.memory_bytes
    left = psutil.virtual_memory().available if free is None else free
    return max(0, int(min(share, held + left - promised(settings=settings, store=store, device=device) - MARGIN_BYTES)))


def promised(*, settings: Settings, store: Store, device: Device) -> int:
    """Bytes that running jobs were promised and have not taken yet."""
    with contextlib.suppress(sqlite3.Error):
        return sum(_to_come(claim.run, settings, store, device) for claim in store.queue.active())
    return 0


def _to_come(run: Run, settings: Settings, store: Store, device: Device) -> int:
    facts = model_facts.read(run.recipe.base_model, settings) if run.recipe else None
    if run.recipe is None or facts is None:
        return 0
    try:
        peak = estimate.memory(run.recipe, facts=facts, device=device, n_classes=CLASSES, advise=False).total
    except ThawError:  # a recipe that cannot run takes nothing
        return 0
    step = store.events.last(run.id, "step")
    return max(0, peak - int((step.data.get("memory_bytes") if step else None) or 0))


def weights_bytes(recipe: Recipe, facts: ModelFacts, *, untrained: bool, four_bit: bool) -> int:
    """Bytes of a side's weights while it is loaded: fp32, or, once they are rounded, 4 bits in linear layers."""
    held = Weights.FOUR_BIT if four_bit else Weights.PRETRAINED if untrained else \
        methods.card_of(recipe.method).weights
    linear = sum(block.linear_parameters for block in facts.blocks) if held is Weights.FOUR_BIT else 0
    head = tasks.card(recipe.task).head_parameters(facts.hidden_size, CLASSES)
    return 4 * (facts.parameters - linear + head) + linear  # a byte a weight: packed, its scales, what packing holds
