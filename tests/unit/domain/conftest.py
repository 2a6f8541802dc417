"""MiniLM's shape, written out from its published configuration, and devices."""

from __future__ import annotations

import pytest

from core.domain.dataset import Task
from core.domain.device import Device
from core.domain.model import Block, LinearLayer, ModelFacts

WIDTH, INNER, DEPTH = 384, 1536, 6
EMBEDDINGS = 30522 * WIDTH + 512 * WIDTH + 2 * WIDTH + 2 * WIDTH


def _block(i: int) -> Block:
    """One BERT layer: four WIDTH x WIDTH projections, two of the MLP, biases and two LayerNorms."""
    def layer(name: str, kind: str, rows: int, columns: int) -> LinearLayer:
        return LinearLayer(name=f"encoder.layer.{i}.{name}", kind=kind, in_features=rows, out_features=columns)

    layers = (layer("attention.self.query", "attention", WIDTH, WIDTH), layer("attention.self.key", "attention", WIDTH, WIDTH),
              layer("attention.self.value", "attention", WIDTH, WIDTH), layer("attention.output.dense", "attention", WIDTH, WIDTH),
              layer("intermediate.dense", "mlp", WIDTH, INNER), layer("output.dense", "mlp", INNER, WIDTH))
    linear = 4 * WIDTH * WIDTH + 2 * WIDTH * INNER
    return Block(index=i + 1, name=f"block {i}", parameters=linear + 4 * WIDTH + INNER + WIDTH + 4 * WIDTH, linear_parameters=linear,
                 linear_layers=layers)


@pytest.fixture
def minilm() -> ModelFacts:
    blocks = (Block(index=0, name="embeddings", parameters=EMBEDDINGS), *(_block(i) for i in range(DEPTH)))
    return ModelFacts(
        id="minilm", revision="sha256:53aa51172d142c89", architecture="BertModel", tasks=(Task.TEXT_CLASSIFICATION,), blocks=blocks,
        hidden_size=WIDTH, intermediate_size=INNER, attention_heads=12, max_length=512, forward_flops_per_token=21.3e6,
        activation_bytes_per_block={b.name: 6_000 if b.name == "embeddings" else 60_000 for b in blocks})


@pytest.fixture
def cpu() -> Device:
    return Device(kind="cpu", name="two cores", memory_bytes=8 * 10**9, cores=2, fp32_gflops=200.0, bf16_gflops=90.0, precision="fp32",
                  versions={}, measured=0.0)


@pytest.fixture
def gpu() -> Device:
    return Device(kind="cuda", name="a card", memory_bytes=24 * 10**9, cores=8, fp32_gflops=30_000.0, bf16_gflops=200_000.0,
                  precision="bf16", versions={}, measured=0.0)
