"""Reading a language model's blocks in words: states at chosen places, through its own last norm and output layer."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, fields
from types import SimpleNamespace
from typing import Any, Protocol

import numpy as np
import torch
from torch import nn

from core.features import neutral
from core.features.extract import autocast, to_device
from core.models import blocks
from core.models.blocks import Stack
from core.models.language import LanguageHead

States = dict[str, torch.Tensor]
"""Block name -> (n_places, n_dims), in forward order."""
Head = Callable[[torch.Tensor], torch.Tensor]
"""The output layer: (n, n_dims) after the last norm -> (n, n_vocabulary)."""
LOGIT_BYTES = 2**25
"""Of one table of logits in fp32."""


class Speaker(Protocol):
    """What is needed of a network: its body without output layer, its blocks, and that layer."""

    body: nn.Module
    head: Any
    stack: Stack

    @property
    def device(self) -> torch.device: ...


@dataclass(frozen=True)
class Places:
    """Where states are taken in a batch: row and token, one entry a place."""

    rows: torch.Tensor
    tokens: torch.Tensor


class Tail:
    """What a body does with the last block's output before it hands it on (a norm, for some a projection)."""

    def __init__(self, modules: list[nn.Module]) -> None:
        self.modules = modules

    def __call__(self, states: torch.Tensor) -> torch.Tensor:
        for module in self.modules:
            states = module(states)
        return states


@torch.no_grad()
def tail_of(network: Speaker, inputs: dict[str, torch.Tensor], *, precision: str) -> Tail | None:
    """The modules that run after the last block, found by watching a pass; None where they alone do not make the
    body's output of the last block's, to the last bit.
    """
    members = blocks.members(network.body, network.stack)
    inside = {id(module) for member in members for module in member.modules()}
    called: list[tuple[str, nn.Module]] = []
    last: list[torch.Tensor] = []

    def block_done(module: nn.Module, args: Any, output: Any) -> None:
        called.clear()
        last[:] = [_first(output)]

    handles = [members[-1].register_forward_hook(block_done)]
    for name, module in network.body.named_modules():
        holds_block = any(path == name or path.startswith(f"{name}.") for path in network.stack.paths) or not name
        if id(module) not in inside and not holds_block:
            handles.append(module.register_forward_hook(
                lambda module, args, output, name=name: called.append((name, module))))
    try:
        with autocast(precision, network.device):
            final = network.body(**to_device(inputs, network.device)).last_hidden_state
    finally:
        for handle in handles:
            handle.remove()
    outer = [module for name, module in called
             if not any(name.startswith(f"{other}.") for other, _ in called)]
    tail = Tail(outer)
    try:
        with autocast(precision, network.device):
            same = torch.equal(tail(last[0]), final)
    except (RuntimeError, TypeError, ValueError, AttributeError):
        return None
    return tail if same else None


@torch.no_grad()
def states_at(network: Speaker, inputs: dict[str, torch.Tensor], places: Places, *, precision: str,
              before_tail: bool = False) -> States:
    """What each block hands on at these places; `embeddings` is what enters the first. The last block's is the body's
    own output, which the head reads as it is; before_tail: as it leaves the block instead."""
    rows, tokens = places.rows.to(network.device), places.tokens.to(network.device)
    names = network.stack.names
    found: States = {}
    with _watched(network, lambda name, value: found.setdefault(name, value[rows, tokens])):
        with autocast(precision, network.device):
            final = network.body(**to_device(inputs, network.device)).last_hidden_state[rows, tokens]
    if not before_tail:
        found[names[-1]] = final
    return {name: found[name] for name in names}


@contextmanager
def _watched(network: Speaker, take: Callable[[str, torch.Tensor], object]) -> Iterator[None]:
    """Inside, every block's output is handed to `take` as a pass computes it, and before them what enters the first."""
    members = blocks.members(network.body, network.stack)

    def entering(module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        take("embeddings", args[0] if args else kwargs["hidden_states"])

    def leaving(name: str) -> Callable[..., None]:
        return lambda module, args, output: (take(name, _first(output)), None)[1]

    handles = [members[0].register_forward_pre_hook(entering, with_kwargs=True)]
    handles += [member.register_forward_hook(leaving(f"block {i}")) for i, member in enumerate(members)]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def _first(output: Any) -> torch.Tensor:
    return output[0] if isinstance(output, tuple) else output


def cast_once(head: Any, precision: str) -> Head:
    """The same output layer for many calls: a `LanguageHead` rounds its weight at each, which costs as much as the
    product where few places are read; here it is rounded now."""
    if not isinstance(head, LanguageHead) or precision == "fp32":
        return head  # type: ignore[no-any-return]
    kind = torch.bfloat16 if precision == "bf16" else torch.float16
    layer = SimpleNamespace(weight=head.weight.detach().to(kind),
                            bias=None if head.bias is None else head.bias.detach().to(kind))
    return LanguageHead(layer, tied=True, scale=head.scale, cap=head.cap)  # type: ignore[arg-type]


def _chunks(count: int, vocabulary: int) -> Iterator[slice]:
    """Places whose logits are held together."""
    size = max(2, LOGIT_BYTES // (4 * vocabulary))
    return (slice(start, start + size) for start in range(0, count, size))


def width_of_vocabulary(head: Head, state: torch.Tensor) -> int:
    """Words of the output layer. state: (n, n_dims)."""
    with torch.no_grad():
        return int(head(state[:1]).shape[-1])


@dataclass(frozen=True, kw_only=True)
class Said:
    """What one block says at each place, `(n_places,)` each."""

    top: np.ndarray
    """The likeliest token."""
    rank: np.ndarray
    """Place of the true token, 1 = first."""
    log_probability: np.ndarray
    """Of the true token, in nats."""
    null_rank: np.ndarray
    """The same of the token that is true at another place."""
    null_log_probability: np.ndarray


@torch.no_grad()
def read(states: torch.Tensor, head: Head, truth: torch.Tensor, null: torch.Tensor) -> Said:
    """Read one block's states, (n_places, n_dims) after the tail, through the output layer. truth, null: tokens a
    place."""
    columns: list[list[torch.Tensor]] = []
    for part in _chunks(len(states), width_of_vocabulary(head, states)):
        logits = head(states[part]).float()
        total = logits.logsumexp(-1, keepdim=True)
        found = [logits.argmax(-1)]
        for tokens in (truth[part], null[part]):
            own = logits.gather(-1, tokens[:, None])
            found += [1 + (logits > own).sum(-1), (own - total)[:, 0]]
        columns.append(found)
    top, rank, known, null_rank, null_known = (torch.cat(column).cpu().numpy() for column in zip(*columns, strict=True))
    return Said(top=top, rank=rank, log_probability=known, null_rank=null_rank, null_log_probability=null_known)


def read_blocks(states: States, head: Head, truth: torch.Tensor, null: torch.Tensor) -> dict[str, Said]:
    """`read` of several blocks at the same places, together: a product with a vocabulary costs least when it is
    large."""
    names = list(states)
    found = read(torch.cat([states[name] for name in names]), head, truth.repeat(len(names)), null.repeat(len(names)))
    parts = {field.name: np.split(getattr(found, field.name), len(names)) for field in fields(Said)}
    return {name: Said(**{field: values[i] for field, values in parts.items()}) for i, name in enumerate(names)}


@dataclass(frozen=True, kw_only=True)
class Changed:
    """How the words of two models differ at each place, `(n_places,)` each."""

    kl: np.ndarray
    """KL(tuned ‖ base) in nats."""
    kl_shuffled: np.ndarray
    """KL of the tuned model here from the base model at another place."""
    base: np.ndarray
    """Log-probability of the true token."""
    tuned: np.ndarray
    rose: np.ndarray
    """The token whose probability rose most."""
    rose_from: np.ndarray
    rose_to: np.ndarray
    fell: np.ndarray
    fell_from: np.ndarray
    fell_to: np.ndarray


@torch.no_grad()
def compare(base: torch.Tensor, base_head: Head, tuned: torch.Tensor, tuned_head: Head,
            truth: torch.Tensor) -> Changed:
    """Both models' final states at the same places, (n_places, n_dims), each through its own output layer. A model
    compared with itself reads 0 to the last bit."""
    columns: list[list[torch.Tensor]] = []
    for part in _chunks(len(base), width_of_vocabulary(base_head, base)):
        a, b = (head(states[part]).float().log_softmax(-1)
                for head, states in ((base_head, base), (tuned_head, tuned)))
        p, q = a.exp(), b.exp()
        rise = q - p
        up, down = rise.argmax(-1, keepdim=True), rise.argmin(-1, keepdim=True)
        own = truth[part][:, None]
        found = [(q * (b - a)).sum(-1), (q * (b - a.roll(1 + len(a) // 2, 0))).sum(-1), a.gather(-1, own)[:, 0],
                 b.gather(-1, own)[:, 0]]
        for tokens in (up, down):
            found += [tokens[:, 0], p.gather(-1, tokens)[:, 0], q.gather(-1, tokens)[:, 0]]
        columns.append(found)
    (kl, shuffled, known_a, known_b, rose, rose_from, rose_to, fell, fell_from,
     fell_to) = (torch.cat(column).cpu().numpy() for column in zip(*columns, strict=True))
    return Changed(kl=kl, kl_shuffled=shuffled, base=known_a, tuned=known_b, rose=rose, rose_from=rose_from,
                   rose_to=rose_to, fell=fell, fell_from=fell_from, fell_to=fell_to)


@torch.no_grad()
def on_neutral_text(network: Speaker, tokenizer: Any, *, precision: str) -> dict[str, np.ndarray]:
    """Block name -> (n_texts, n_dims) fp32: the mean activation, as it leaves the block, over the first tokens of each
    neutral text. Texts of fewer tokens are left out."""
    every = [tokenizer(text)["input_ids"][:neutral.FIRST + 1] for text in neutral.TEXTS]
    many = [ids for ids in every if len(ids) > neutral.FIRST]
    if not many:
        return {}
    ids = torch.tensor(many)
    rows, tokens = torch.meshgrid(torch.arange(len(many)), torch.arange(1, neutral.FIRST + 1), indexing="ij")
    places = Places(rows.flatten(), tokens.flatten())
    inputs = {"input_ids": ids, "attention_mask": torch.ones_like(ids)}
    found = states_at(network, inputs, places, precision=precision, before_tail=True)
    return {name: states.float().view(*rows.shape, -1).mean(1).cpu().numpy() for name, states in found.items()}


@torch.no_grad()
def words_of(direction: np.ndarray, tail: Tail, head: Head, *, device: torch.device, precision: str,
             count: int) -> tuple[np.ndarray, np.ndarray]:
    """The tokens that directions (n, n_dims) point to, read as if each were a state: ids and probabilities, likeliest
    first, (n, count) each."""
    with autocast(precision, device):
        states = tail(torch.from_numpy(direction).to(device)[None])[0]
        logits = head(states).float()
    found = logits.softmax(-1).topk(min(count, logits.shape[-1]))
    return found.indices.cpu().numpy(), found.values.cpu().numpy()
