"""A body for passes without gradients holds its matrices in the type it computes in: same numbers, half the memory."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import nn

from core.models import load
from tests import tiny

TEXTS: dict[str, Callable[[Path], Path]] = {"bert": tiny.bert, "gpt2": tiny.gpt2, "llama": tiny.llama,
                                            "mpnet": tiny.mpnet, "distilbert": tiny.distilbert}
PICTURES: dict[str, Callable[[Path], Path]] = {"vit": tiny.vit, "resnet": tiny.resnet, "swin": tiny.swin,
                                               "convnext": tiny.convnext, "efficientnet": tiny.efficientnet}


@pytest.mark.parametrize("name", TEXTS | PICTURES)
def test_the_numbers_are_those_of_a_pass_over_fp32_weights(name: str, tmp_path: Path) -> None:
    folder = (TEXTS | PICTURES)[name](tmp_path)
    torch.manual_seed(0)
    if name in TEXTS:
        inputs = {"input_ids": torch.randint(5, 60, (4, 9)), "attention_mask": torch.ones(4, 9, dtype=torch.long)}
    else:
        inputs = {"pixel_values": torch.randn(2, 3, 32, 32)}
    found = []
    for reads_only in (False, True):
        body = load.load_body(folder, compute_dtype=torch.bfloat16, reads_only=reads_only)
        held = {m.weight.dtype for m in body.modules() if isinstance(m, nn.Linear | nn.Conv2d)}
        assert held <= {torch.bfloat16 if reads_only else torch.float32}
        with torch.no_grad(), torch.autocast("cpu", dtype=torch.bfloat16):
            found.append(body(**inputs).last_hidden_state)
    assert torch.equal(*found)


def test_in_fp32_nothing_is_rounded(tmp_path: Path) -> None:
    body = load.load_body(tiny.bert(tmp_path), compute_dtype=torch.float32, reads_only=True)
    assert {parameter.dtype for parameter in body.parameters()} == {torch.float32}
