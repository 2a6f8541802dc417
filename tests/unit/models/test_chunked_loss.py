"""The chunked loss is cross-entropy: losses, gradients, likeliest tokens, and how little it holds at once."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import torch
from torch import nn
from torch.nn.functional import cross_entropy, kl_div
from torch.profiler import ProfilerActivity, profile
from torch.utils._python_dispatch import TorchDispatchMode

from core.models.chunked_loss import IGNORED, held_losses, token_losses
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


def frozen_head(**shape: Any) -> LanguageHead:
    head = head_of(tied=False, **shape)
    head.requires_grad_(False)
    return head


def plain_held(hidden: torch.Tensor, base: torch.Tensor, head: LanguageHead, labels: torch.Tensor,
               strength: float) -> tuple[torch.Tensor, torch.Tensor]:
    """(losses with the penalty, KL(base, tuned)), (n_rows, n_tokens), from all logits at once by torch's own
    functions."""
    def said(states: torch.Tensor) -> torch.Tensor:
        logits = nn.functional.linear(states, head.weight, head.bias) * head.scale
        logits = logits if head.cap is None else head.cap * torch.tanh(logits / head.cap)
        return logits[:, :-1].log_softmax(-1)

    divergence = kl_div(said(hidden), said(base), log_target=True, reduction="none").sum(-1)
    divergence = nn.functional.pad(divergence, (1, 0))
    divergence = divergence.masked_fill(labels == IGNORED, 0.0)
    return plain(hidden, head, labels) + strength * divergence, divergence


@pytest.mark.parametrize("shape", [{}, {"scale": 0.25}, {"cap": 3.0}, {"scale": 2.0, "cap": 1.5}])
@pytest.mark.parametrize(("bias", "strength"), [(False, 0.1), (True, 1.0), (False, 4.0)])
@pytest.mark.parametrize("chunk", [1, 7, 1000])
def test_held_to_the_base_model_it_is_the_plain_formula_with_its_gradient(bias: bool, strength: float,
                                                                          shape: dict[str, float], chunk: int) -> None:
    head, (hidden, labels) = frozen_head(bias=bias, **shape), batch()
    base = hidden.detach() + 0.5 * torch.randn_like(hidden)
    found = held_losses(hidden, base, head, labels, strength=strength, chunk_tokens=chunk)
    expected, divergence = plain_held(hidden, base, head, labels, strength)
    torch.testing.assert_close(found["losses"], expected, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(found["divergences"], divergence, rtol=1e-4, atol=1e-5)
    assert found["divergences"][found["taught"]].min() > 0 and not found["divergences"].requires_grad
    assert torch.equal(found["right"], token_losses(hidden, head, labels)["right"])
    for weights in (torch.ones(labels.shape) / 31, torch.rand(labels.shape)):
        ours, theirs = (torch.autograd.grad((losses * weights).sum(), hidden, retain_graph=True)[0]
                        for losses in (found["losses"], expected))
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-6)


def test_what_says_the_same_as_the_base_model_costs_nothing_more() -> None:
    head, (hidden, labels) = frozen_head(), batch()
    found, alone = held_losses(hidden, hidden, head, labels, strength=5.0), token_losses(hidden, head, labels)
    torch.testing.assert_close(found["losses"], alone["losses"], rtol=1e-5, atol=1e-5)
    assert found["divergences"].abs().max() < 1e-5
    ours, theirs = (torch.autograd.grad(said["losses"].sum(), hidden)[0] for said in (found, alone))
    torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-5)


def test_held_under_bf16_it_differs_by_rounding_alone() -> None:
    head, (hidden, labels) = frozen_head(), batch(4, 40)
    base = hidden.detach() + 0.5 * torch.randn_like(hidden)
    with torch.autocast("cpu", torch.bfloat16):
        found = held_losses(hidden, base, head, labels, strength=1.0)
    expected, divergence = plain_held(hidden, base, head, labels, 1.0)
    assert found["losses"].dtype == found["divergences"].dtype == torch.float32
    torch.testing.assert_close(found["losses"], expected, rtol=0, atol=0.03)
    torch.testing.assert_close(found["divergences"], divergence, rtol=0.05, atol=0.01)
    ours, theirs = (torch.autograd.grad(value.mean(), hidden)[0] for value in (found["losses"], expected))
    assert torch.linalg.vector_norm(ours - theirs) < 0.01 * torch.linalg.vector_norm(theirs)


@pytest.mark.parametrize("chunk", [2, 16, 48])
def test_logits_of_more_than_a_chunk_are_never_there_of_two_models_either(chunk: int) -> None:
    head, (hidden, labels) = frozen_head(), batch(8, 32)
    assert int((labels[:, 1:] != IGNORED).sum()) > 2 * 48
    with watched() as seen:
        found = held_losses(hidden, hidden.detach() + 1, head, labels, strength=1.0, chunk_tokens=chunk)
        found["losses"].sum().backward()
    assert seen.numbers == max(chunk * VOCABULARY, hidden.numel(), VOCABULARY * WIDTH)


@pytest.mark.parametrize("kind", [torch.float32, torch.bfloat16])
def test_a_chunk_of_two_models_takes_no_more_than_one_of_one(kind: torch.dtype,
                                                             monkeypatch: pytest.MonkeyPatch) -> None:
    """In bytes that are there together, by torch's own count of what is made and let go."""
    from core.models import chunked_loss

    head = LanguageHead(nn.Linear(16, 5000, bias=False), tied=False)
    head.requires_grad_(False)
    hidden, labels = torch.randn(1, 2001, 16, requires_grad=True), torch.randint(0, 5000, (1, 2001))
    monkeypatch.setitem(chunked_loss.CHUNK_BYTES, "cpu", 8_000_000)

    def most(run: Any) -> int:
        with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as seen, torch.autocast(
                "cpu", torch.bfloat16, enabled=kind is torch.bfloat16):
            run()
        now = top = 0
        for event in sorted((event for event in seen.events() if event.name == "[memory]"),
                            key=lambda event: event.time_range.start):
            now += event.cpu_memory_usage
            top = max(top, now)
        return top

    one = most(lambda: token_losses(hidden, head, labels))
    two = most(lambda: held_losses(hidden, hidden.detach(), head, labels, strength=0.1))
    assert two < 1.05 * one, (one, two)


def test_an_output_layer_that_trains_has_no_base_left() -> None:
    head, (hidden, labels) = head_of(tied=False), batch()
    with pytest.raises(ValueError, match="output layer trains"):
        held_losses(hidden, hidden.detach(), head, labels, strength=0.1)


def test_held_and_nothing_taught_costs_nothing() -> None:
    head, (hidden, labels) = frozen_head(), batch()
    losses = held_losses(hidden, hidden.detach(), head, torch.full_like(labels, IGNORED), strength=1.0)["losses"]
    losses.sum().backward()
    assert not losses.any() and hidden.grad is not None and not hidden.grad.any()
