"""Recipes: everything that decides a run, as one frozen, JSON-serialisable value."""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum, auto
from typing import Any

from core.domain import codec
from core.domain.dataset import UNSAID, Task
from core.domain.freeze import FreezePlan

TAUGHT_TOKENS = "taught"
"""A pooling: over the tokens that a language model is taught."""
ADAMW, PAGED_ADAMW = "adamw", "paged_adamw_8bit"
"""Optimisers. The paged one keeps its moments in 8 bits, in memory that moves between a GPU and the machine (Dettmers
et al. 2023)."""


class HeadInit(StrEnum):
    """What the head starts from."""

    PROBE = auto()
    """The solved linear probe."""
    RANDOM = auto()


@dataclass(frozen=True, kw_only=True)
class LoraSpec:
    """Low-rank adapters (Hu et al. 2021). The update is (alpha / rank) · B · A beside each target layer."""

    rank: int = 8
    alpha: float = 16.0
    dropout: float = 0.0
    targets: str = "all-linear"
    """`attention`, `mlp`, `all-linear`, or a regular expression over full module names."""


@dataclass(frozen=True, kw_only=True)
class QuantSpec:
    """4-bit storage of frozen linear weights (Dettmers et al. 2023)."""

    type: str = "nf4"
    """`nf4` or `fp4`."""
    double: bool = True
    """Also quantise the quantisation constants: saves about 0.4 bit a weight."""


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """Base model + method + freeze plan + hyper-parameters + seed + label budget. Never changes after submit."""

    dataset: str
    """Dataset id of the workspace, or the catalogue id of a bundled set."""
    base_model: str
    """Catalogue id, hub id, or absolute folder."""
    method: str
    """Registry name in `core.models.methods`."""
    task: Task = UNSAID
    freeze: FreezePlan = FreezePlan()
    effort: str = "normal"
    """The dial the defaults came from: `quick`, `normal`, `thorough`."""
    epochs: float = 2.0
    batch_size: int = 16
    learning_rate: float = 5e-5
    head_learning_rate: float = 1e-3
    """Learning rate of the head (a new layer wants more than the pretrained body)."""
    warmup_ratio: float = 0.1
    weight_decay: float = 0.01
    optimizer: str = ADAMW
    """`adamw`, or `paged_adamw_8bit` (CUDA only). The same for all methods, so that arms differ by their method alone,
    but for QLoRA of language models on a GPU, which is paged as it was published. `auto` stands in QLoRA recipes from
    before this field only: the paged one on CUDA, else AdamW."""
    max_grad_norm: float = 1.0
    max_length: int = 128
    """Tokens a row; longer texts are cut."""
    dropout: float = 0.0
    """Dropout inside trained blocks."""
    pooling: str = "auto"
    """`auto` (what the base model was trained with), `mean`, `cls` or `last`; of language models, where it says what is
    compared of a row, also `taught`: the mean over taught tokens."""
    head_init: str = HeadInit.PROBE
    """A `HeadInit`."""
    precision: str = "auto"
    """`auto` (what was measured to be faster; decided once, see `core.domain.resolve`), `fp32`, `bf16`, `fp16`."""
    gradient_checkpointing: str = "auto"
    """`auto` (only where memory needs it), `on`, `off`."""
    early_stopping_patience: int = 3
    """Evaluations without a better validation score before stopping; 0 = off."""
    evaluations_per_epoch: int = 2
    augmentation: str = "off"
    """Pictures only: `off`, `light`, `strong`."""
    batch_norm: str = "stored"
    """Networks with BatchNorm only: `stored` statistics of the pretrained weights, or those of each `batch`. From
    scratch: always batch."""
    lora: LoraSpec = LoraSpec()
    quantization: QuantSpec = QuantSpec()
    track_features: int = 0
    """Rows whose features are recorded at about seven steps while training, to replay how they moved; 0 = off."""
    label_budget: int | None = None
    """Labelled rows to use, training and validation together, stratified by class; None = all."""
    budget_counts: str = "labels"
    """`labels`: what is said above; `training`: training rows only, beside all validation rows (recipes from before it
    counted both)."""
    gradient_accumulation: int = 1
    """Batches whose gradients make one step: `batch_size` times as many rows, in the memory of one batch."""
    taught: str = "auto"
    """Language models only: `auto` (the answers of conversations, everything of passages) or `everything`."""
    forgetting_bound: float | None = None
    """Language models only, in nats: the checkpoint kept is the best of those whose loss on the forgetting panel rose
    by at most so much; None = the best of all."""
    sample_prompts: tuple[str, ...] = ()
    """Language models only: what it is asked at every evaluation, besides the bundled prompts."""
    seed: int = 0
    schema_version: int = 1

    def to_json(self) -> dict[str, Any]:
        return dict(codec.to_json(self))

    @staticmethod
    def upgrade(data: dict[str, Any]) -> dict[str, Any]:
        """At first recipes said neither which optimiser they meant nor what a label budget counts."""
        old: dict[str, Any] = {}
        if data.get("method") == "qlora":
            old["optimizer"] = "auto"
        if data.get("label_budget"):
            old["budget_counts"] = "training"
        return {**old, **data}

    @staticmethod
    def from_json(data: dict[str, Any]) -> Recipe:
        """Read a recipe of this or an older schema version. Raises NewerVersionError for one of a newer."""
        return codec.from_json(Recipe, data)

    def replace(self, **changes: Any) -> Recipe:
        """A copy with some fields changed (the way to fork)."""
        return dataclasses.replace(self, **changes)

    def digest(self) -> str:
        """First 12 hex digits of the SHA-256 of the canonical JSON."""
        return hashlib.sha256(json.dumps(self.to_json(), sort_keys=True).encode()).hexdigest()[:12]


FORWARD_ROWS, FORWARD_TOKENS = 32, 4096
"""Rows, and tokens with padding, that are read together where nothing is trained (features, validation, test)."""


def forward_rows(n_tokens: int) -> int:
    """Rows of so many tokens (0: pictures) in a batch of a forward pass without gradients: long texts would fill memory
    32 at a time, and are no faster."""
    return max(1, min(FORWARD_ROWS, FORWARD_TOKENS // max(1, n_tokens)))


def batches_an_epoch(n_rows: int, batch_size: int) -> int:
    """How many batches `n_rows` training rows make: a last row by itself joins the batch before it, so that no batch
    has one row.

    BatchNorm has no statistics over one value. Only batches of size 1, or a single training row, have one row.
    """
    full, left = divmod(n_rows, batch_size)
    return full + (left > 1 or (left == 1 and full == 0))


def steps_an_epoch(n_rows: int, batch_size: int, accumulation: int = 1) -> int:
    """How many steps: the last one may be of fewer batches."""
    return -(-batches_an_epoch(n_rows, batch_size) // accumulation)


def differences(recipes: list[Recipe]) -> dict[str, list[Any]]:
    """Fields in which the recipes differ: dotted field name -> one value a recipe, in order."""
    return {name: values for name, values in settings(recipes).items() if any(v != values[0] for v in values)}


def settings(recipes: list[Recipe]) -> dict[str, list[Any]]:
    """Every field: dotted name -> one value a recipe, in order."""
    flat = [_flat(r) for r in recipes]
    names = list(dict.fromkeys(name for f in flat for name in f))
    return {name: [f.get(name) for f in flat] for name in names}


@functools.lru_cache(maxsize=4096)
def _flat(recipe: Recipe) -> Mapping[str, Any]:
    """Kept: pages with hundreds of runs ask again and again."""
    return _flatten(codec.to_json(recipe))


def _flatten(data: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    out: dict[str, Any] = {}
    for key, value in data.items():
        if isinstance(value, dict):
            out |= _flatten(value, f"{prefix}{key}.")
        else:
            out[prefix + key] = value
    return out
