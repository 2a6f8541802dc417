"""What blocks of a language model keep for backward: by hand for a tiny Llama, in every way that it is trained."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from transformers import AutoModel

from core.domain.model import KEPT, KEPT_BESIDE, KEPT_HALF, KEPT_HALF_BESIDE, KEPT_PAIRS
from core.models import blocks, kept, load
from core.models import inspect as model_inspect
from core.settings import Settings
from tests import tiny

IDS = torch.arange(5, 60)


def measured(folder: Path, **how: bool) -> tuple[float, float]:
    body = load.load_body(folder)
    ids = IDS[:kept.TOKENS].repeat(kept.ROWS, 1)
    return kept._bytes(body, blocks.find_stack(body), {"input_ids": ids, "attention_mask": torch.ones_like(ids)}, **how)


def test_a_trained_norm_keeps_its_input_twice_and_frozen_weights_do_not(tmp_path: Path) -> None:
    """Beside adapters nothing is kept for the weights of the norms: two in each block and the last, in fp32."""
    folder = tiny.llama(tmp_path / "model")
    body = load.load_body(folder)
    width, n_blocks = body.config.hidden_size, blocks.find_stack(body).size
    whole, _ = measured(folder, half=False, beside=False)
    beside, _ = measured(folder, half=False, beside=True)
    first = 4 * width  # and what enters the first norm leads to no weight that trains
    assert whole - beside == pytest.approx((2 * n_blocks + 1) * 4 * width + first + 4 + 8, abs=1.5 * 4 * width)


def test_half_precision_keeps_about_half(tmp_path: Path) -> None:
    folder = tiny.llama(tmp_path / "model")
    whole, _ = measured(folder, half=False, beside=False)
    for beside in (False, True):
        assert 0.4 * whole < measured(folder, half=True, beside=beside)[0] < whole


def test_scores_are_counted_by_pairs_of_tokens_where_no_kernel_is_fused(tmp_path: Path) -> None:
    folder = tiny.llama(tmp_path / "model")
    assert measured(folder, half=False, beside=False)[1] == 0
    body = AutoModel.from_pretrained(folder, attn_implementation="eager").eval()
    stack, heads = blocks.find_stack(body), body.config.num_attention_heads
    found = kept.measure(body, stack, IDS, total=1.0)
    assert found[KEPT_PAIRS] >= 4 * heads


def test_measuring_leaves_the_model_as_it_was(tmp_path: Path) -> None:
    body = load.load_body(tiny.llama(tmp_path / "model")).requires_grad_(False)
    next(body.parameters()).requires_grad_(True)
    before = [parameter.requires_grad for parameter in body.parameters()]
    kept.measure(body, blocks.find_stack(body), IDS, total=1.0)
    assert [parameter.requires_grad for parameter in body.parameters()] == before
    assert all(parameter.grad is None for parameter in body.parameters())


def test_facts_of_language_models_have_it_and_those_of_encoders_have_none(tmp_path: Path, settings: Settings) -> None:
    causal = model_inspect.inspect_model(str(tiny.language("llama", tmp_path / "causal")), settings=settings)
    assert causal.kept is not None
    assert set(causal.kept) == {KEPT, KEPT_HALF, KEPT_BESIDE, KEPT_HALF_BESIDE, KEPT_PAIRS}
    assert causal.kept[KEPT] == pytest.approx(1.0, abs=0.2)
    assert not model_inspect.inspect_model(str(tiny.bert(tmp_path / "encoder")), settings=settings).kept
