"""MiniLM's shape, written out from its published configuration, and devices."""

from __future__ import annotations

import pytest

from core.domain.dataset import Task
from core.domain.device import Device
from core.domain.model import Block, LinearLayer, ModelFacts

WIDTH, INNER, DEPTH = 384, 1536, 6
EMBEDDINGS = 30522 * WIDTH + 512 * WIDTH + 2 * WIDTH + 2 * WIDTH


@pytest.fixture(autouse=True)
def one_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    """Processes that a test starts train tiny models, which gain nothing from a second thread and stall the test
    beside."""
    monkeypatch.setenv("THAW_THREADS", "1")


def _block(i: int) -> Block:
    """One BERT layer: four WIDTH x WIDTH projections, two of the MLP, biases and two LayerNorms."""
    def layer(name: str, kind: str, rows: int, columns: int) -> LinearLayer:
        return LinearLayer(name=f"encoder.layer.{i}.{name}", kind=kind, in_features=rows, out_features=columns)

    layers = (layer("attention.self.query", "attention", WIDTH, WIDTH),
              layer("attention.self.key", "attention", WIDTH, WIDTH), layer("attention.self.value", "attention", WIDTH,
                                                                            WIDTH), layer("attention.output.dense",
                                                                                          "attention", WIDTH, WIDTH),
              layer("intermediate.dense", "mlp", WIDTH, INNER), layer("output.dense", "mlp", INNER, WIDTH))
    linear = 4 * WIDTH * WIDTH + 2 * WIDTH * INNER
    return Block(index=i + 1, name=f"block {i}", parameters=linear + 4 * WIDTH + INNER + WIDTH + 4 * WIDTH,
                 linear_parameters=linear, linear_layers=layers)


@pytest.fixture
def minilm() -> ModelFacts:
    blocks = (Block(index=0, name="embeddings", parameters=EMBEDDINGS), *(_block(i) for i in range(DEPTH)))
    return ModelFacts(
        id="minilm", revision="sha256:53aa51172d142c89", architecture="BertModel", tasks=(Task.TEXT_CLASSIFICATION,),
        blocks=blocks, hidden_size=WIDTH, intermediate_size=INNER, attention_heads=12, max_length=512,
        forward_flops_per_token=21.3e6,
        activation_bytes_per_block={b.name: 6_000 if b.name == "embeddings" else 60_000 for b in blocks})


@pytest.fixture
def cpu() -> Device:
    return Device(kind="cpu", name="two cores", memory_bytes=8 * 10**9, cores=2, fp32_gflops=200.0, bf16_gflops=90.0,
                  precision="fp32", versions={}, measured=0.0)


@pytest.fixture
def gpu() -> Device:
    return Device(kind="cuda", name="a card", memory_bytes=24 * 10**9, cores=8, fp32_gflops=30_000.0,
                  bf16_gflops=200_000.0, precision="bf16", versions={}, measured=0.0)


CNN_FLOPS = {"embeddings": 20e6, "block 0": 130e6, "block 1": 250e6, "block 2": 300e6}
CNN_KEPT = {"embeddings": 4_000_000, "block 0": 30_000_000, "block 1": 12_000_000, "block 2": 5_000_000}
CNN_PARAMETERS = {"embeddings": 1_000, "block 0": 15_000, "block 1": 600_000, "block 2": 2_800_000}


@pytest.fixture
def cnn() -> ModelFacts:
    """A network of convolutions about the size of EfficientNet-Lite0: few weights and many operations at the bottom,
    the reverse on top."""
    def pointwise(i: int) -> tuple[LinearLayer, ...]:
        return (LinearLayer(name=f"blocks.{i}.conv_pw", kind="mlp", in_features=32 << i, out_features=64 << i,
                            quantisable=False),)

    blocks = tuple(Block(index=i, name=name, parameters=size, linear_layers=pointwise(i) if i else ())
                   for i, (name, size) in enumerate(CNN_PARAMETERS.items()))
    return ModelFacts(
        id="cnn", revision="sha256:0", architecture="cnn", tasks=(Task.IMAGE_CLASSIFICATION,), blocks=blocks,
        hidden_size=1280, intermediate_size=5120, attention_heads=1, max_length=0, image_size=224, pooling="mean",
        has_batch_norm=True, forward_flops_per_token=sum(CNN_FLOPS.values()), flops_per_block=CNN_FLOPS,
        activation_bytes_per_block=CNN_KEPT)
