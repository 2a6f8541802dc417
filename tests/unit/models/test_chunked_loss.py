"""The chunked loss is cross-entropy: losses, gradients, likeliest tokens, and how little it holds at once."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import torch
from torch import nn
from torch.nn.functional import cross_entropy
from torch.utils._python_dispatch import TorchDispatchMode

from core.models.chunked_loss import IGNORED, token_losses
from core.models.language import LanguageHead

VOCABULARY, WIDTH = 211, 32


def head_of(*, tied: bool, bias: bool = False, **shape: Any) -> LanguageHead:
    torch.manual_seed(1)
    return LanguageHead(nn.Linear(WIDTH, VOCABULARY, bias=bias), tied=tied, **shape)


def batch(rows: int = 3, tokens: int = 17) -> tuple[torch.Tensor, torch.Tensor]:
    torch.manual_seed(2)
    hidden = torch.randn(rows, tokens, WIDTH, requires_grad=True)
    labels = torch.randint(0, VOCABULARY, (rows, tokens))
    labels[torch.rand(rows, tokens) < 0.4] = IGNORED
    return hidden, labels


def plain(hidden: torch.Tensor, head: LanguageHead, labels: torch.Tensor) -> torch.Tensor:
    """Losses (n_rows, n_tokens) from all logits at once, by torch's own function."""
    logits = nn.functional.linear(hidden, head.weight, head.bias) * head.scale
    if head.cap is not None:
        logits = head.cap * torch.tanh(logits / head.cap)
    losses = cross_entropy(logits[:, :-1].flatten(0, 1).float(), labels[:, 1:].flatten(), reduction="none")
    return nn.functional.pad(losses.view(len(labels), -1), (1, 0))


@pytest.mark.parametrize("shape", [{}, {"scale": 0.25}, {"cap": 3.0}, {"scale": 2.0, "cap": 1.5}])
@pytest.mark.parametrize(("tied", "bias"), [(True, False), (False, False), (False, True)])
@pytest.mark.parametrize("chunk", [1, 7, 1000])
def test_it_is_the_plain_loss_with_the_plain_gradients(tied: bool, bias: bool, shape: dict[str, float],
                                                       chunk: int) -> None:
    head, (hidden, labels) = head_of(tied=tied, bias=bias, **shape), batch()
    inputs = [hidden, *head.layer.parameters()]
    found = token_losses(hidden, head, labels, chunk)
    expected = plain(hidden, head, labels)
    torch.testing.assert_close(found["losses"], expected, rtol=1e-6, atol=1e-6)
    n_taught = found["taught"].sum()
    assert n_taught == (labels[:, 1:] != IGNORED).sum()
    ours = torch.autograd.grad(found["losses"].sum() / n_taught, inputs)
    theirs = torch.autograd.grad(expected.sum() / n_taught, inputs)
    for mine, reference in zip(ours, theirs, strict=True):
        torch.testing.assert_close(mine, reference, rtol=1e-4, atol=1e-7)


def test_tokens_may_count_differently() -> None:
    head, (hidden, labels) = head_of(tied=False, bias=True, cap=4.0), batch()
    weights = torch.rand(labels.shape)
    inputs = [hidden, *head.layer.parameters()]
    ours = torch.autograd.grad((token_losses(hidden, head, labels, 5)["losses"] * weights).sum(), inputs)
    theirs = torch.autograd.grad((plain(hidden, head, labels) * weights).sum(), inputs)
    for mine, reference in zip(ours, theirs, strict=True):
        torch.testing.assert_close(mine, reference, rtol=1e-4, atol=1e-6)


def test_what_is_likeliest_is_said_token_by_token() -> None:
    head, (hidden, labels) = head_of(tied=True), batch()
    likeliest = (hidden @ head.weight.t()).argmax(-1)
    labels[:, 1::2] = likeliest[:, :-1][:, ::2]  # every second token is what was expected
    found = token_losses(hidden, head, labels, 4)
    assert found["right"][:, 1::2].all()
    assert torch.equal(found["right"][:, 2::2], (labels == nn.functional.pad(likeliest, (1, 0))[:, :-1])[:, 2::2])
    assert not found["right"][~found["taught"]].any() and not found["losses"][~found["taught"]].any()


def test_under_bf16_the_loss_differs_by_rounding_alone() -> None:
    """Logits rounded to 8 bits are wrong by up to 0.4 %; here they are at most 3."""
    head, (hidden, labels) = head_of(tied=False), batch(4, 40)
    with torch.autocast("cpu", torch.bfloat16):
        losses = token_losses(hidden, head, labels)["losses"]
    expected = plain(hidden, head, labels)
    assert losses.dtype == torch.float32
    torch.testing.assert_close(losses, expected, rtol=0, atol=0.02)
    ours, theirs = (torch.autograd.grad(value.mean(), [hidden, head.weight]) for value in (losses, expected))
    for mine, reference in zip(ours, theirs, strict=True):
        assert mine.dtype == torch.float32
        assert torch.linalg.vector_norm(mine - reference) < 0.01 * torch.linalg.vector_norm(reference)


def test_nothing_taught_costs_nothing() -> None:
    head, (hidden, labels) = head_of(tied=False), batch()
    losses = token_losses(hidden, head, torch.full_like(labels, IGNORED))["losses"]
    losses.sum().backward()
    assert not losses.any() and hidden.grad is not None and not hidden.grad.any()


class _Seen(TorchDispatchMode):
    """Remembers the most numbers that any tensor had, and counts products of matrices."""

    def __init__(self) -> None:
        super().__init__()
        self.numbers = self.products = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        made = func(*args, **(kwargs or {}))
        self.products += func.overloadpacket in (torch.ops.aten.mm, torch.ops.aten.addmm, torch.ops.aten.addmm_)
        for tensor in made if isinstance(made, (tuple, list)) else (made,):
            if isinstance(tensor, torch.Tensor):
                self.numbers = max(self.numbers, tensor.numel())
        return made


@contextmanager
def watched() -> Iterator[_Seen]:
    with _Seen() as seen:
        yield seen


@pytest.mark.parametrize("weights", ["equal", "different"])
@pytest.mark.parametrize("chunk", [2, 16, 48])
def test_logits_of_more_than_a_chunk_are_never_there(chunk: int, weights: str) -> None:
    head, (hidden, labels) = head_of(tied=False), batch(8, 32)
    n_taught = int((labels[:, 1:] != IGNORED).sum())
    assert n_taught > 2 * 48
    share = torch.ones(labels.shape) if weights == "equal" else torch.rand(labels.shape)
    with watched() as seen:
        (token_losses(hidden, head, labels, chunk)["losses"] * share).sum().backward()
    matrix = VOCABULARY * WIDTH
    assert seen.numbers == max(chunk * VOCABULARY, hidden.numel(), matrix)
    with watched() as seen:
        plain(hidden, head, labels).sum().backward()
    assert seen.numbers >= 8 * 31 * VOCABULARY


@pytest.mark.parametrize("tied", [True, False])
def test_without_gradients_a_chunk_costs_one_product(tied: bool) -> None:
    """Weights of a model that is only read say that they could train."""
    head, (hidden, labels) = head_of(tied=tied), batch()
    chunks = -(-int((labels[:, 1:] != IGNORED).sum()) // 8)
    assert head.weight.requires_grad
    with watched() as training:
        trained = token_losses(hidden, head, labels, 8)["losses"]
    with watched() as reading, torch.no_grad():
        read = token_losses(hidden, head, labels, 8)["losses"]
    assert reading.products == chunks < training.products
    assert torch.equal(read, trained)
