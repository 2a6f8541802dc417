"""The supervised contrastive loss against its formula, written out row by row."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from core.models.contrast import TEMPERATURE, contrastive


def by_hand(features: np.ndarray, labels: list[int]) -> float:
    """Gunel et al. 2021, equation 3, as a mean over the rows that have another of their class."""
    z = features / np.linalg.norm(features, axis=1, keepdims=True)
    found = []
    for i, label in enumerate(labels):
        same = [p for p in range(len(labels)) if p != i and labels[p] == label]
        whole = sum(math.exp(z[i] @ z[k] / TEMPERATURE) for k in range(len(labels)) if k != i)
        if same:
            found.append(-sum(math.log(math.exp(z[i] @ z[p] / TEMPERATURE) / whole) for p in same) / len(same))
    return float(np.mean(found)) if found else 0.0


@given(st.integers(0, 2**16), st.lists(st.integers(0, 3), min_size=2, max_size=9))
def test_it_is_the_formula_whatever_the_length_and_the_order_of_rows(seed: int, labels: list[int]) -> None:
    rng = np.random.default_rng(seed)
    features = rng.normal(size=(len(labels), 5))
    found = float(contrastive(torch.tensor(features), torch.tensor(labels)))
    assert found == pytest.approx(by_hand(features, labels), abs=1e-5) and found >= 0
    order, scales = rng.permutation(len(labels)), rng.uniform(0.1, 9.0, size=(len(labels), 1))
    again = contrastive(torch.tensor((features * scales)[order]), torch.tensor(np.array(labels)[order]))
    assert float(again) == pytest.approx(found, abs=1e-5)


def test_two_classes_at_right_angles() -> None:
    """Each row has one like it and two that are orthogonal: log(1 + 2 e^(−1/t))."""
    features = torch.tensor([[2.0, 0.0], [1.0, 0.0], [0.0, 1.0], [0.0, 3.0]])
    found = contrastive(features, torch.tensor([0, 0, 1, 1]))
    assert float(found) == pytest.approx(math.log(1 + 2 * math.exp(-1 / TEMPERATURE)), abs=1e-6)
    assert float(contrastive(features, torch.tensor([0, 1, 0, 1]))) > float(found), "classes that lie across each other"


@pytest.mark.parametrize("kind", [torch.float32, torch.bfloat16])
def test_its_gradient_is_finite_and_nothing_where_no_row_has_another_of_its_class(kind: torch.dtype) -> None:
    features = torch.tensor([[1.0, 0.5], [1.0, 0.5], [0.2, -1.0]], dtype=kind, requires_grad=True)
    contrastive(features, torch.tensor([0, 0, 1])).backward()  # type: ignore[no-untyped-call]
    assert features.grad is not None and torch.isfinite(features.grad).all() and features.grad.abs().sum() > 0
    features.grad = None
    alone = contrastive(features, torch.tensor([0, 1, 2]))
    alone.backward()  # type: ignore[no-untyped-call]
    assert float(alone.detach()) == 0.0 and features.grad is not None and float(features.grad.abs().sum()) == 0.0
