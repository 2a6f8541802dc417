"""Weights: planted changes, energy rank, intruders."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.errors import DataError
from core.shift import weights


def test_a_planted_direction_is_one_intruder_and_noise_none(rng):
    w = rng.standard_normal((100, 80))
    spike = 100 * np.outer(*(v / np.linalg.norm(v) for v in (rng.standard_normal(100), rng.standard_normal(80))))
    assert weights.intruders(w, w + spike) == 1
    noise = rng.standard_normal(w.shape)
    assert weights.intruders(w, w + 0.05 * noise * np.linalg.norm(w) / np.linalg.norm(noise)) == 0
    assert weights.intruders(w, w) == 0


@settings(deadline=None, max_examples=25)
@given(st.integers(1, 6), st.floats(0.01, 5), st.integers(0, 99))
def test_low_rank_changes(rank, size, seed):
    rng = np.random.default_rng(seed)
    w, q = rng.standard_normal((30, 20)), np.linalg.qr(rng.standard_normal((30, rank)))[0]
    delta = size * q @ np.linalg.qr(rng.standard_normal((20, rank)))[0].T
    found = weights.module("w", w, w + delta)
    assert found.relative == pytest.approx(np.linalg.norm(delta) / np.linalg.norm(w))
    assert found.rank90 == int(np.ceil(0.9 * rank - 1e-9))
    np.testing.assert_allclose(found.singular[:rank], size, rtol=1e-6)
    np.testing.assert_allclose(found.singular[rank:], 0, atol=1e-9)


def test_untouched_vector_kernel_and_zero_weights(rng):
    w = rng.standard_normal((6, 4, 3, 3))
    same = weights.module("conv", w, w.copy())
    assert (same.relative, same.rank90, same.intruders, same.singular) == (0.0, 0, 0, ())
    moved = weights.module("conv", w, w + 0.01 * rng.standard_normal(w.shape))
    assert len(moved.singular) == 6 and moved.intruders == 0 and moved.shape == (6, 4, 3, 3)
    bias = weights.module("bias", np.ones(4), np.ones(4) * 1.1)
    assert bias.relative == pytest.approx(0.1) and bias.intruders is None
    assert np.isnan(weights.module("new", np.zeros((3, 2)), np.ones((3, 2))).relative)


def test_order_and_shapes(rng):
    base = {"b": np.ones(2), "a": np.ones((2, 2)), "only": np.ones(1)}
    assert [m.name for m in weights.measure(base, {"a": np.ones((2, 2)), "b": np.ones(2)})] == ["b", "a"]
    with pytest.raises(DataError, match="weight a"):
        weights.measure({"a": np.ones((2, 2))}, {"a": np.ones((2, 3))})


def test_energy_rank():
    assert weights.energy_rank(np.array([3.0, 1.0])) == 1
    assert weights.energy_rank(np.array([1.0] * 10)) == 9
    assert weights.energy_rank(np.zeros(3)) == 0


@pytest.mark.parametrize(("name", "architecture", "idle"), [
    ("encoder.layer.0.attention.self.key.bias", "BertModel", True),
    ("encoder.layer.0.attention.self.key.weight", "BertModel", False),
    ("encoder.layer.0.attention.self.query.bias", "BertModel", False),
    ("transformer.layer.1.attention.k_lin.bias", "DistilBertForMaskedLM", True),
    ("encoder.layer.1.attention.attn.k.bias", "MPNetModel", True),
    ("encoder.layer.0.attention.self.key_proj.bias", "DebertaV2Model", False),
    ("layers.0.self_attn.k_proj.bias", "Qwen2Model", False)])
def test_a_key_s_bias_has_no_effect_where_scores_hold_nothing_else_of_the_key(name, architecture, idle):
    assert weights.without_effect(name, architecture) is idle


def test_adding_to_the_bias_of_a_key_leaves_attention_as_it_was():
    rng = np.random.default_rng(0)
    query, key = rng.standard_normal((5, 8)), rng.standard_normal((7, 8))

    def attention(bias):
        scores = query @ (key + bias).T
        weight = np.exp(scores - scores.max(axis=1, keepdims=True))
        return weight / weight.sum(axis=1, keepdims=True)

    np.testing.assert_allclose(attention(np.zeros(8)), attention(5 * rng.standard_normal(8)), atol=1e-12)
