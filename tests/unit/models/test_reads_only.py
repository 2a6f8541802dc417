"""A body for passes without gradients holds its matrices in the type it computes in: same numbers, half the memory."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn

from core.models import load
from tests import families, tiny


def features(folder: Path, *, reads_only: bool) -> torch.Tensor:
    """What a body says under autocast in bf16."""
    body = load.load_body(folder, compute_dtype=torch.bfloat16, reads_only=reads_only)
    held = {module.weight.dtype for module in body.modules() if type(module) is nn.Linear}
    assert held <= {torch.bfloat16 if reads_only else torch.float32}
    torch.manual_seed(0)
    if load.reads_pictures(body):
        inputs = {"pixel_values": torch.randn(2, getattr(body.config, "num_channels", 3) or 3, 32, 32)}
    else:
        inputs = {"input_ids": torch.randint(5, 40, (2, 9)), "attention_mask": torch.ones(2, 9, dtype=torch.long)}
    with torch.no_grad(), torch.autocast("cpu", dtype=torch.bfloat16):
        return body(**inputs)[0]  # type: ignore[no-any-return]


@pytest.mark.parametrize("name", families.FAMILIES)
def test_the_numbers_are_those_of_a_pass_over_fp32_weights(name: str, tmp_path: Path) -> None:
    """Of every family: BiT and DINOv3 do more with the weights of convolutions, BitNet with those of its own layers."""
    folder = families.make(name, tmp_path / "model")
    try:
        wanted = features(folder, reads_only=False)
    except (RuntimeError, ValueError, TypeError, IndexError) as error:
        pytest.skip(f"does not take these inputs in bf16: {error}")
    torch.testing.assert_close(features(folder, reads_only=True), wanted, rtol=0, atol=0, equal_nan=True)


def test_in_fp32_nothing_is_rounded(tmp_path: Path) -> None:
    body = load.load_body(tiny.bert(tmp_path), compute_dtype=torch.float32, reads_only=True)
    assert {parameter.dtype for parameter in body.parameters()} == {torch.float32}
