"""Try a base model before anything relies on it: a forward pass, and one training step of every way to make it
trainable.

What a library refuses, or what an architecture does with its layers that adapters break, shows in one step on two rows.
Hoping costs the user a queued run; trying costs a second, once a model.
"""

from __future__ import annotations

import gc
import re
from pathlib import Path
from typing import Any

import torch
from torch import nn

from core.domain.model import ModelFacts, Weights
from core.domain.recipe import Recipe
from core.errors import ModelError
from core.models import adapters, blocks, load, methods, sharing
from core.models.architecture import OTHER_MODEL
from core.models.blocks import Stack
from core.models.methods import Method
from core.models.network import TOKENS_FIRST, Network

Inputs = dict[str, torch.Tensor]
SAME = 1e-4
"""Relative difference up to which two computations in fp32 count as one."""
LARGE = 5e8
"""Parameters above which fresh weights are not drawn only to try them."""


@torch.no_grad()
def forward(body: nn.Module, inputs: Inputs, *, name: str) -> Any:
    """The body's output for `inputs`. Raises ModelError where it fails, is not finite, or is another the second time.
    """
    try:
        output, again = body(**inputs), body(**inputs)
        hidden: torch.Tensor = output.last_hidden_state
    except MemoryError:
        raise
    except Exception as error:
        raise refused(body, name, f"Two rows were tried: {line_of(error)}.") from error
    if hidden.ndim not in (3, 4) or hidden.shape[0] != len(next(iter(inputs.values()))):
        raise refused(body, name,
                      f"Its output has the shape {tuple(hidden.shape)}, which is neither tokens nor a feature map.")
    if not torch.isfinite(hidden).all():
        raise ModelError(f"The base model {name} computes no finite numbers.",
                         why="Two rows were tried; its weights are probably damaged.",
                         remedy="Fetch or save the model again, or choose another one.")
    if differ(hidden, again.last_hidden_state):
        raise refused(body, name, "It draws random numbers when it should not: the same rows gave another output.")
    return output


def check_tokens(body: nn.Module, hidden: torch.Tensor, n_tokens: int, *, name: str) -> None:
    """Raise ModelError unless the output has a vector for every token, which pooling and attention masks rely on."""
    if hidden.ndim != 3 or hidden.shape[1] != n_tokens:
        raise refused(body, name, f"{n_tokens} tokens went in, and the output has the shape {tuple(hidden.shape)}.")


@torch.no_grad()
def check_stack(body: nn.Module, stack: Stack, inputs: Inputs, *, name: str) -> None:
    """Raise ModelError unless every block is called, in the order of their numbers, and with a row for every row: what
    is shown, frozen and cached by block relies on it."""
    order: list[int] = []
    n_rows = len(next(iter(inputs.values())))
    turned: list[tuple[int, ...]] = []

    def note(index: int) -> Any:
        def hook(module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
            if index not in order:
                order.append(index)
            hidden = args[0] if args else kwargs.get("hidden_states")
            if isinstance(hidden, torch.Tensor) and hidden.shape[0] != n_rows:
                turned.append(tuple(hidden.shape))

        return hook

    handles = [member.register_forward_pre_hook(note(i), with_kwargs=True)
               for i, member in enumerate(blocks.members(body, stack))]
    try:
        body(**inputs)
    finally:
        for handle in handles:
            handle.remove()
    if order != list(range(stack.size)):
        raise refused(body, name, f"Its {stack.size} blocks ({stack.paths[0]} …) are not called one after another.")
    if turned and getattr(body.config, "model_type", "") not in TOKENS_FIRST:
        raise refused(body, name, f"Its blocks are given {turned[0]} for {n_rows} rows, so that rows cannot be told "
                                  "apart inside of it.")


@torch.no_grad()
def padding_matters(network: Network, inputs: Inputs) -> bool:
    """Whether a text gets other features when its row is filled up: convolutions and Fourier transforms look over the
    mask.
    """
    whole = {key: value[:1] for key, value in inputs.items()}
    n_tokens = whole["input_ids"].shape[1]
    short = {key: value[:, :max(1, n_tokens // 3)] for key, value in whole.items()}
    padded = {**whole, "attention_mask": whole["attention_mask"].clone()}
    padded["attention_mask"][:, short["input_ids"].shape[1]:] = 0
    try:
        return differ(network.features(**short), network.features(**padded))
    except (RuntimeError, ValueError, IndexError):  # takes rows of some lengths only
        return True


@torch.no_grad()
def looks_ahead(body: nn.Module, inputs: Inputs) -> bool:
    """Whether what a body makes of a token depends on the tokens behind it, as in encoders."""
    other = {**inputs, "input_ids": inputs["input_ids"].clone()}
    half = other["input_ids"].shape[1] // 2
    other["input_ids"][:, half:] = other["input_ids"][:, :-half].flip(1)
    before, after = (body(**tensors).last_hidden_state[:, :half] for tensors in (inputs, other))
    return differ(before, after)


@torch.no_grad()
def bf16_fails(network: Network, inputs: Inputs) -> str:
    """Why a pass in bf16 fails: some architectures fill in numbers that bf16 does not have (DeBERTa). Empty where it
    works.
    """
    try:
        with torch.autocast(network.device.type, dtype=torch.bfloat16):
            found = network.features(**inputs)
    except MemoryError:
        raise
    except Exception as error:  # noqa: BLE001 - that it fails is the answer
        return line_of(error)
    return "" if torch.isfinite(found).all() else "numbers overflow"


def differ(first: torch.Tensor, second: torch.Tensor) -> bool:
    """Whether two results are more apart than rounding explains."""
    return (first.shape != second.shape
            or bool(torch.linalg.vector_norm(first - second) > SAME * torch.linalg.vector_norm(first)))


def refusals(folder: Path, facts: ModelFacts, body: nn.Module, inputs: Inputs) -> dict[str, str]:
    """Method -> why one training step of it failed; a method that is not named passed, or does not apply for another
    reason.

    body: the pretrained one, which is used up. Methods that hold their weights alike and train the same beside them are
    one trial; those that train beside the pretrained ones take turns on that body.
    """
    found: dict[str, str] = {}
    tried: dict[tuple[Weights, type], str | None] = {}
    there: nn.Module | None = body
    del body

    def late(method: Method) -> tuple[bool, bool]:
        return method.card.weights is not Weights.PRETRAINED, method.card.adapter is not None

    for method in sorted(methods.REGISTRY.values(), key=late):
        weights, adapter = method.card.weights, method.card.adapter
        kind = (weights, type(adapter))
        if weights is not Weights.PRETRAINED and there is not None:
            there = None
            gc.collect()
        if method.card.solved or method.applies_to(facts):
            continue
        if kind not in tried:
            skipped = weights is Weights.FRESH and facts.parameters > LARGE
            tried[kind] = None if skipped else _step(folder, facts, there, method, inputs)
            if there is not None and adapter:
                adapters.detach(there)
        if reason := tried[kind]:
            found[method.card.name] = reason
    return found


def _step(folder: Path, facts: ModelFacts, body: nn.Module | None, method: Method, inputs: Inputs) -> str | None:
    """Why one step fails; None when every kind of trained weight got a finite gradient. body: where it need not be
    loaded.
    """
    recipe = Recipe(dataset="", base_model=facts.id, method=method.card.name, task=facts.tasks[0])
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        try:
            if body is None:
                body = load.load_body(folder, weights=method.card.weights, quantization=recipe.quantization)
            return _gradients(network_of(body, facts), method, recipe, inputs)
        except MemoryError:
            raise
        except Exception as error:  # noqa: BLE001 - what a library or an architecture refuses is the answer here
            fits = "adapters do not fit this architecture: " if method.card.adapter else ""
            return f"{fits}one training step was tried and failed ({line_of(error)})"


def network_of(body: nn.Module, facts: ModelFacts) -> Network:
    """A network of two classes."""
    stack = sharing.of_build(body, blocks.find_stack(body), facts)
    return Network(body, head=nn.Linear(facts.hidden_size, 2), stack=stack, pooling=facts.pooling,
                   channels_last=load.channels_last(body))


def _gradients(network: Network, method: Method, recipe: Recipe, inputs: Inputs) -> str | None:
    reached: list[bool] = []

    def note(parameter: torch.Tensor) -> None:
        """Look at a gradient and drop it at once, so that a step takes hardly more memory than the weights."""
        assert parameter.grad is not None
        reached.append(bool(torch.isfinite(parameter.grad).all()))
        parameter.grad = None

    method.make_trainable(network, recipe)
    network.train()
    trained = [parameter for name, parameter in network.body.named_parameters() if parameter.requires_grad]
    for parameter in trained:
        parameter.register_post_accumulate_grad_hook(note)
    with torch.enable_grad():
        labels = torch.arange(len(next(iter(inputs.values())))) % 2
        loss = nn.functional.cross_entropy(network(**inputs)["logits"], labels)
        loss.backward()
    if not torch.isfinite(loss) or not all(reached):
        return "one training step was tried and gave no finite numbers"
    if len(reached) < len(trained) / 2:
        return (f"one training step was tried, and only {len(reached)} of {len(trained)} trained weights "
                "had a part in it")
    return None


def refused(body: nn.Module, name: str, why: str) -> ModelError:
    """For an architecture that Thaw cannot train."""
    return ModelError(f"Thaw cannot train the base model {name} (a {type(body).__name__}).", why=why,
                      remedy=OTHER_MODEL)


def line_of(error: BaseException) -> str:
    """`ValueError: what it says`: the first sentence without tags, no full stop."""
    text = re.sub(r"^\[[^\]]*\]\s*", "", str(error).strip().split("\n")[0]).split(". ")[0][:200].rstrip(". ")
    return f"{type(error).__name__}: {text}" if text else type(error).__name__
