"""How a language model's weights are held and its activations kept changes no number: recomputed activations, a loss in
chunks over adapters and 4-bit layers, matrices in bf16; and how few bytes four bits are."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch.nn.functional import cross_entropy
from torch.utils._python_dispatch import TorchDispatchMode

from core.domain.dataset import Task
from core.domain.model import Weights
from core.domain.recipe import Recipe
from core.models import blocks, chunked_loss, methods
from core.models.language import LanguageNetwork, load_language
from core.training import execute
from tests import tiny
from tests.conftest import Notes
from tests.unit.models.test_language import DTYPES, labels_of, mean_loss, trainable
from tests.unit.models.test_language import inputs as batch

Gradients = dict[str, torch.Tensor]
FAMILIES = ("llama", "gpt2", "phi")
"""A tied output layer; Conv1D layers and a tied one; biases and an untied one."""


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("weights")
    return {name: tiny.language(name, root / name) for name in FAMILIES} | {
        "published in bf16": tiny.language("llama", root / "bf16", dtype="bfloat16")}


def moved(network: LanguageNetwork) -> LanguageNetwork:
    """With adapters that are not at their start, where half of them have no gradient."""
    torch.manual_seed(6)
    for name, parameter in network.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(parameter, std=0.1)
    return network


def gradients(network: LanguageNetwork, loss: torch.Tensor) -> Gradients:
    """Of all that trains."""
    network.zero_grad()
    loss.backward()
    found = {name: p.grad.clone() for name, p in network.named_parameters() if p.grad is not None}
    assert found.keys() == {name for name, p in network.named_parameters() if p.requires_grad}
    return found


def mixed(dtype: torch.dtype) -> torch.autocast:
    return torch.autocast("cpu", dtype=dtype, enabled=dtype != torch.float32)


# -- recomputed activations --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("precision", DTYPES)
@pytest.mark.parametrize(("family", "method"), [("llama", "full"), ("llama", "lora"), ("llama", "qlora"),
                                                ("gpt2", "lora"), ("phi", "full"), ("phi", "partial")])
def test_recomputed_activations_give_the_same_gradients(family: str, method: str, precision: str,
                                                        folders: dict[str, Path]) -> None:
    dtype = DTYPES[precision]
    network = moved(trainable(folders[family], method, dtype=dtype))
    passes: list[int] = []
    inside = next(blocks.members(network.body, network.stack)[-1].children())
    inside.register_forward_pre_hook(lambda *_: passes.append(1))

    def once() -> tuple[torch.Tensor, Gradients]:
        passes.clear()
        with mixed(dtype):
            loss = mean_loss(network, batch())
        return loss.detach(), gradients(network, loss)

    kept_loss, kept = once()
    assert len(passes) == 1
    recipe = Recipe(dataset="d", base_model="m", method=method, task=Task.LANGUAGE_MODELLING,
                    gradient_checkpointing="on")
    session = SimpleNamespace(recipe=recipe, card=methods.card_of(method), observer=Notes())
    execute._checkpointing(session, network)  # type: ignore[arg-type]
    network.train()
    loss, found = once()
    assert len(passes) == 2 and torch.equal(loss, kept_loss)
    assert [name for name, value in kept.items() if not torch.equal(found[name], value)] == []


# -- the loss in chunks ------------------------------------------------------------------------------------------------

FAR = {"fp32": 1e-5, "bf16": 0.02}
"""How far gradients may differ, against their size: in bf16 the plain loss rounds its logits to eight bits."""


@pytest.mark.parametrize("precision", DTYPES)
@pytest.mark.parametrize("method", ["lora", "qlora"])
@pytest.mark.parametrize("family", FAMILIES)
def test_under_adapters_the_loss_in_chunks_is_the_models_own(family: str, method: str, precision: str,
                                                             folders: dict[str, Path],
                                                             monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chunked_loss, "CHUNK_BYTES", {"cpu": 1})  # sixteen tokens a chunk
    dtype, tensors = DTYPES[precision], batch(4, 15)
    network = moved(trainable(folders[family], method, dtype=dtype))
    with mixed(dtype):
        loss = mean_loss(network, tensors)
        logits = network.causal(**tensors).logits[:, :-1].flatten(0, 1)
    plain = cross_entropy(logits.float(), labels_of(tensors)[:, 1:].flatten())
    assert loss.dtype == torch.float32
    assert float(loss.detach()) == pytest.approx(float(plain.detach()), rel=1e-6 if precision == "fp32" else 2e-3)
    ours, theirs = gradients(network, loss), gradients(network, plain)
    assert any("lora_A" in name for name in ours)
    for name, reference in theirs.items():
        far = torch.linalg.vector_norm(ours[name] - reference) / torch.linalg.vector_norm(reference)
        assert far < FAR[precision], name


# -- matrices held in bf16 ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["probe", "partial", "lora"])
@pytest.mark.parametrize("model", ["llama", "gpt2", "phi", "published in bf16"])
def test_matrices_held_in_bf16_compute_what_autocast_makes_of_fp32(model: str, method: str,
                                                                   folders: dict[str, Path]) -> None:
    """Losses and gradients to the last bit."""
    found = []
    for dtype in (torch.bfloat16, torch.float32):
        network = moved(trainable(folders[model], method, dtype=dtype))
        narrow = [name for name, p in network.named_parameters() if p.dtype == torch.bfloat16]
        assert bool(narrow) == (dtype == torch.bfloat16)
        assert not any(p.requires_grad for name, p in network.named_parameters() if name in narrow)
        with mixed(torch.bfloat16):
            tensors = batch()
            losses = network(**tensors, labels=labels_of(tensors))["losses"]
        found.append((losses.detach(), gradients(network, losses.mean()) if losses.requires_grad else {}))
    (losses, grads), (reference, expected) = found
    assert torch.equal(losses, reference)
    assert [name for name, value in expected.items() if not torch.equal(grads[name], value)] == []
    assert bool(grads) == (method != "probe")


# -- four bits ---------------------------------------------------------------------------------------------------------


def stored(network: LanguageNetwork) -> int:
    """Bytes of all tensors that make up the weights, scale factors of 4-bit ones included, each memory once."""
    def tensors() -> Iterator[torch.Tensor]:
        for parameter in network.parameters():
            yield parameter
            state = getattr(parameter, "quant_state", None)
            while state is not None:
                yield from (value for value in vars(state).values() if isinstance(value, torch.Tensor))
                state = state.state2
        yield from network.buffers()

    return sum({s.data_ptr(): s.nbytes() for s in (tensor.untyped_storage() for tensor in tensors())}.values())


@pytest.fixture(scope="module")
def middle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Eleven million weights, a fifth of them in the embedding, as in SmolLM2."""
    return tiny.language("llama", tmp_path_factory.mktemp("middle"), dtype="bfloat16", vocab_size=8192, hidden_size=256,
                         intermediate_size=768, num_hidden_layers=10, num_attention_heads=4)


@pytest.mark.parametrize("precision", DTYPES)
def test_four_bits_take_less_than_half_of_bf16(precision: str, middle: Path) -> None:
    network = load_language(middle, weights=Weights.FOUR_BIT, compute_dtype=DTYPES[precision])
    embedding = network.body.get_input_embeddings().weight  # type: ignore[operator]
    assert embedding.dtype == torch.bfloat16 and network.head.weight is embedding
    whole = load_language(middle, compute_dtype=torch.bfloat16, reads_only=True)
    in_bf16 = 2 * sum(parameter.numel() for parameter in whole.parameters())
    assert stored(whole) == pytest.approx(in_bf16, rel=0.01)
    assert 0.25 < stored(network) / in_bf16 < 0.45


class Made(TorchDispatchMode):
    """Keeps (shape, type) of every tensor that is made while it is on."""

    def __init__(self) -> None:
        super().__init__()
        self.tensors: set[tuple[tuple[int, ...], torch.dtype]] = set()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        found = func(*args, **(kwargs or {}))
        if isinstance(found, torch.Tensor):
            self.tensors.add((tuple(found.shape), found.dtype))
        return found


def test_to_say_a_word_no_wider_copy_of_the_vocabulary_is_made(folders: dict[str, Path]) -> None:
    """An output layer held in half precision, asked by `generate` under autocast with the fp32 states that a norm hands
    on."""
    network = trainable(folders["published in bf16"], "lora", dtype=torch.bfloat16)
    assert network.head.weight.dtype == torch.bfloat16
    states = torch.randn(2, 3, network.head.weight.shape[1])
    with torch.no_grad(), mixed(torch.bfloat16), Made() as made:
        said = network.head.layer(states)
    assert torch.equal(said, torch.nn.functional.linear(states.bfloat16(), network.head.weight))
    wide = {shape for shape, kind in made.tensors if kind == torch.float32}
    assert not wide & {tuple(network.head.weight.shape), tuple(network.head.weight.t().shape)}
