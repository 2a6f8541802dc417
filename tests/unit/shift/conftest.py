"""Made-up features that look like a block before and after tuning."""

from collections.abc import Callable

import numpy as np
import pytest


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(0)


@pytest.fixture
def block() -> Callable[..., tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """(base, tuned, labels): decaying spectrum, classes apart, the tuned side a noisy copy with classes further
    apart."""

    def make(n: int = 300, d: int = 32, classes: int = 4, noise: float = 0.3, apart: float = 0.5, seed: int = 0):
        rng = np.random.default_rng(seed)
        labels = rng.permutation(np.arange(n) % classes)
        spectrum = np.exp(-np.arange(d) / (d / 4))
        means = rng.standard_normal((classes, d)) * apart
        base = rng.standard_normal((n, d)) * spectrum + means[labels]
        return base, base + noise * rng.standard_normal((n, d)) * spectrum + 0.5 * means[labels], labels

    return make


@pytest.fixture
def turn() -> Callable[..., np.ndarray]:
    """A random orthogonal matrix of a width."""
    return lambda d, seed=0: np.linalg.qr(np.random.default_rng(seed).standard_normal((d, d)))[0]
