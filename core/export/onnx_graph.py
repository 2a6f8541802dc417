"""torch's two exporters, told what may vary: rows and tokens, not the size of pictures."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import nn

ONE_FILE = 1_800_000_000
"""Bytes of weights that a graph may hold itself; more lie in a file beside it."""


class Logits(nn.Module):
    """A network of Thaw with logits as its one output."""

    def __init__(self, network: Any) -> None:
        super().__init__()
        self.network = network
        self.causal = network.causal if network.scores_tokens else None

    def forward(self, first: torch.Tensor, mask: torch.Tensor | None = None) -> torch.Tensor:
        """first: token ids with their mask, or pixels."""
        if self.causal is not None:
            return self.causal(input_ids=first, attention_mask=mask, use_cache=False).logits.float()  # type: ignore[no-any-return]
        if mask is None:
            return self.network(pixel_values=first)["logits"]  # type: ignore[no-any-return]
        return self.network(input_ids=first, attention_mask=mask)["logits"]  # type: ignore[no-any-return]


def _example(side: Any, texts: bool) -> tuple[torch.Tensor, ...]:
    if not texts:
        height, width = side.task.processor.size
        return (torch.zeros(2, side.task.processor.channels, height, width),)
    ids = torch.arange(1, 17).reshape(2, 8)
    mask = torch.ones(2, 8, dtype=torch.long)
    mask[1, 6:] = 0
    return ids, mask


def by_dynamo(side: Any, path: Path, *, texts: bool, opset: int) -> None:
    """By `torch.export`: the graph of the program itself."""
    rows, tokens = torch.export.Dim("rows", min=1), torch.export.Dim("tokens", min=1)
    large = sum(parameter.nbytes for parameter in side.network.parameters()) > ONE_FILE
    shape: dict[int, Any] = {0: rows, 1: tokens} if texts else {0: rows}
    torch.onnx.export(Logits(side.network).eval(), _example(side, texts), str(path), dynamo=True, opset_version=opset,
                      input_names=_names(texts), output_names=["logits"], external_data=large, verbose=False,
                      dynamic_shapes=(shape, shape) if texts else (shape,))


def by_tracing(side: Any, path: Path, *, texts: bool, opset: int) -> None:
    """By following one pass: what varies is told by name."""
    shape = {0: "rows", 1: "tokens"} if texts else {0: "rows"}
    torch.onnx.export(Logits(side.network).eval(), _example(side, texts), str(path), dynamo=False, opset_version=opset,
                      input_names=_names(texts), output_names=["logits"],
                      dynamic_axes={**dict.fromkeys(_names(texts), shape), "logits": {0: "rows"}})


def _names(texts: bool) -> list[str]:
    return ["input_ids", "attention_mask"] if texts else ["pixel_values"]
