"""What only a GPU asks of a language model, forced on a CPU: no mask, 16 bits on arrival, LoRA in few operations, a
step that nobody waits for, and the memory that is planned for it."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from torch import nn

from core.domain.device import Device
from core.domain.freeze import FreezePlan
from core.domain.model import Weights
from core.models import chunked_loss, held
from core.models.beside_lora import narrowed
from core.models.chunked_loss import places_of, token_losses
from core.models.language import LanguageHead, LanguageNetwork, load_language
from tests import tiny
from tests.live_memory import Live
from tests.unit.models.test_beside_lora import layers
from tests.unit.models.test_language import FAMILIES, losses, trainable


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("road")
    return {name: tiny.language(name, root / name, dtype="bfloat16") for name in FAMILIES} | {
        "in fp32": tiny.language("llama", root / "fp32")}


@pytest.mark.parametrize("family", FAMILIES)
def test_padding_behind_a_text_needs_no_mask(family: str, folders: dict[str, Path]) -> None:
    network = load_language(folders[family])
    masked = losses(network)
    network.reads_no_mask = True
    asked: list[bool] = []
    network.body.register_forward_pre_hook(lambda module, args, kwargs: asked.append("attention_mask" in kwargs),
                                           with_kwargs=True)
    torch.testing.assert_close(losses(network), masked, rtol=1e-4, atol=1e-5)
    assert asked == [False] and masked.any()


@pytest.mark.parametrize(("fixed_width", "leaves_it_out"), [(False, True), (True, False)])
def test_a_gpu_is_handed_no_mask_where_padding_changes_nothing(fixed_width: bool, leaves_it_out: bool,
                                                               folders: dict[str, Path]) -> None:
    facts = SimpleNamespace(shared=(), fixed_width=fixed_width)
    elsewhere = load_language(folders["llama"], facts=facts, device="meta")  # type: ignore[arg-type]
    assert elsewhere.reads_no_mask == leaves_it_out
    assert not load_language(folders["llama"], facts=facts).reads_no_mask  # type: ignore[arg-type]


@pytest.mark.parametrize("family", ["llama", "gpt2", "phi"])
def test_a_gpu_never_holds_in_fp32_what_was_published_in_bf16(family: str, folders: dict[str, Path]) -> None:
    there = load_language(folders[family], compute_dtype=torch.bfloat16, device="meta")
    assert {p.dtype for p in there.parameters() if p.ndim == 2} == {torch.bfloat16}
    # and it says, and trains from, the same numbers
    narrow, wide = (load_language(folders[family], compute_dtype=torch.bfloat16) for _ in range(2))
    held.as_published(narrow, torch.bfloat16)
    assert torch.equal(losses(narrow, dtype=torch.bfloat16), losses(wide, dtype=torch.bfloat16))
    for network in (narrow, wide):
        network.freeze(FreezePlan())
    for (name, mine), (_, reference) in zip(narrow.named_parameters(), wide.named_parameters(), strict=True):
        assert mine.dtype == torch.float32 and torch.equal(mine, reference), name


def test_a_card_without_bf16_is_handed_it_and_trains_in_fp16(folders: dict[str, Path]) -> None:
    """Published weights are too small for fp16 here and there: the products round them, nothing else does."""
    narrow, wide = (load_language(folders["phi"], compute_dtype=torch.float16) for _ in range(2))
    for network in (narrow, wide):
        network.body.layers[0].mlp.fc1.weight.data[0, 0] = 2.0 ** -30  # type: ignore[index, union-attr]
    held.as_published(narrow, torch.float16)
    there = {p.dtype for p in narrow.parameters() if p.ndim == 2}
    assert torch.bfloat16 in there and there <= {torch.bfloat16, torch.float16}
    for network in (narrow, wide):
        network.freeze(FreezePlan(frozen=("embeddings", "block 0", "block 1", "block 2")))
    assert torch.equal(losses(narrow, dtype=torch.float16), losses(wide, dtype=torch.float16))
    assert {p.dtype for name, p in narrow.named_parameters() if p.ndim == 2 and ".layers." in name} == {torch.float16}


def test_weights_that_would_lose_by_it_stay_as_they_are(folders: dict[str, Path]) -> None:
    network = load_language(folders["in fp32"], compute_dtype=torch.bfloat16)
    held.as_published(network, torch.bfloat16)
    held.as_published(network, torch.float32)
    assert {p.dtype for p in network.parameters()} == {torch.float32}


# -- LoRA in few operations --------------------------------------------------------------------------------------------


def test_layers_that_read_the_same_tensor_keep_one_copy_of_it() -> None:
    x = torch.randn(3, 8, requires_grad=True) * 1.0
    one = narrowed(x, torch.bfloat16)
    assert one is narrowed(x, torch.bfloat16) and torch.equal(one, x.to(torch.bfloat16))
    assert narrowed(x, torch.float16).dtype == torch.float16
    with torch.no_grad():
        assert not narrowed(x, torch.bfloat16).requires_grad
        x.add_(1)
        assert torch.equal(narrowed(x, torch.bfloat16), x.to(torch.bfloat16))
    assert narrowed(x, torch.bfloat16).requires_grad and narrowed(x, torch.float32) is x
    with torch.inference_mode():
        assert narrowed(torch.ones(2), torch.bfloat16).dtype == torch.bfloat16


def test_a_step_of_a_layer_takes_fewer_operations_than_pefts() -> None:
    counted = []
    for model in reversed(layers(False)):  # ours, theirs
        x = torch.randn(3, 5, 48, requires_grad=True)
        with Live() as live, torch.autocast("cpu", torch.bfloat16):
            model(x).float().sum().backward()
        counted.append(live.operations)
    assert counted[0] < 0.85 * counted[1]


def test_layers_in_four_bits_hand_on_half_precision(folders: dict[str, Path]) -> None:
    network = trainable(folders["llama"], "qlora", dtype=torch.bfloat16)
    found: list[torch.dtype] = []
    for module in network.body.modules():
        if hasattr(module, "lora_A"):
            module.register_forward_hook(lambda module, args, output: found.append(output.dtype))
    losses(network, dtype=torch.bfloat16)
    assert found and set(found) == {torch.bfloat16}


# -- nobody waits ------------------------------------------------------------------------------------------------------


def test_the_loss_asks_the_device_nothing() -> None:
    """Tensors that hold no numbers cannot be asked for any; looking for the taught tokens among them fails."""
    from torch._subclasses.fake_tensor import DynamicOutputShapeException, FakeTensorMode

    labels = torch.randint(0, 211, (3, 17))
    labels[0, 3:9] = chunked_loss.IGNORED
    places = places_of(labels)
    assert len(places) == int((labels[:, 1:] != chunked_loss.IGNORED).sum()) and not (places % 17 == 0).any()
    with FakeTensorMode() as mode:
        hidden = torch.randn(3, 17, 32, requires_grad=True)
        layer = nn.Linear(32, 211, bias=False).requires_grad_(False)
        on_device = mode.from_tensor(labels), mode.from_tensor(places)
        found = token_losses(hidden, LanguageHead(layer, tied=True), on_device[0], 5, on_device[1])
        found["losses"].sum().backward()
        assert hidden.grad is not None and found["losses"].shape == (3, 17)
        with pytest.raises(DynamicOutputShapeException):
            token_losses(hidden, LanguageHead(layer, tied=True), on_device[0], 5)


def test_places_that_are_given_are_those_that_are_found() -> None:
    torch.manual_seed(0)
    head, hidden = LanguageHead(nn.Linear(32, 211), tied=False), torch.randn(3, 17, 32)
    labels = torch.randint(0, 211, (3, 17)).masked_fill(torch.rand(3, 17) < 0.4, chunked_loss.IGNORED)
    given, found = token_losses(hidden, head, labels, 5, places_of(labels)), token_losses(hidden, head, labels, 5)
    assert all(torch.equal(given[name], found[name]) for name in found)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("weights", ["equal", "different"])
@pytest.mark.parametrize("tied", [True, False])
def test_few_passes_over_the_logits_make_the_same_loss(tied: bool, weights: str, dtype: torch.dtype,
                                                       monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(4)
    head = LanguageHead(nn.Linear(32, 211, bias=False), tied=tied)
    hidden, labels = torch.randn(3, 17, 32, requires_grad=True), torch.randint(0, 211, (3, 17))
    labels[torch.rand(3, 17) < 0.4] = chunked_loss.IGNORED
    share = torch.ones(3, 17) if weights == "equal" else torch.rand(3, 17)
    found = []
    for devices in ((), ("cpu",)):
        monkeypatch.setattr(chunked_loss, "FEW_PASSES", devices)
        with torch.autocast("cpu", dtype):
            said = token_losses(hidden, head, labels, 5)
        found.append((said, torch.autograd.grad((said["losses"] * share).sum(), [hidden, head.weight])))
    (reference, expected), (said, grads) = found
    torch.testing.assert_close(said["losses"], reference["losses"], rtol=1e-5, atol=1e-6)
    assert torch.equal(said["right"], reference["right"]) and torch.equal(said["taught"], reference["taught"])
    for mine, other in zip(grads, expected, strict=True):
        assert mine.dtype == other.dtype
        assert torch.linalg.vector_norm(mine - other) < 5e-3 * torch.linalg.vector_norm(other)


# -- memory ------------------------------------------------------------------------------------------------------------

WIDTH, INNER, BLOCKS, VOCABULARY = 192, 640, 8, 4096


@pytest.fixture(scope="module")
def middle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Large enough that activations, not bookkeeping, decide; grouped queries, as published ones have."""
    return tiny.language("llama", tmp_path_factory.mktemp("middle"), dtype="bfloat16", vocab_size=VOCABULARY,
                         hidden_size=WIDTH, intermediate_size=INNER, num_hidden_layers=BLOCKS, num_attention_heads=6,
                         num_key_value_heads=2, max_position_embeddings=2048)


@pytest.fixture(scope="module")
def settings_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("home")


@pytest.mark.parametrize(("method", "length", "checkpointing"), [
    ("lora", 512, "off"), ("qlora", 512, "off"), ("qlora", 128, "off"), ("full", 256, "off"), ("lora", 512, "on")])
def test_what_is_planned_for_a_gpu_is_what_a_run_holds(method: str, length: int, checkpointing: str, middle: Path,
                                                        settings_home: Path, gpu: Device,
                                                        monkeypatch: pytest.MonkeyPatch) -> None:
    """Within 15 % of all live tensors of a step and an evaluation, counted on the road that a GPU takes. The comparison
    with the untouched model, which comes after them, is left to the next test."""
    from core.domain.dataset import Task
    from core.domain.recipe import LoraSpec, Recipe, forward_rows
    from core.models import methods
    from core.models.inspect import inspect_model
    from core.planning import own_head
    from core.planning.estimate import memory
    from core.settings import Settings

    monkeypatch.setattr(own_head, "COMPARED_BYTES", {"cpu": 0, "cuda": 0})
    monkeypatch.setattr(chunked_loss, "CHUNK_BYTES", {"cpu": chunked_loss.CHUNK_BYTES["cuda"]})
    facts = inspect_model(str(middle), settings=Settings(home=settings_home, hub=False))
    recipe = Recipe(dataset="d", base_model=str(middle), method=method, task=Task.LANGUAGE_MODELLING, batch_size=4,
                    max_length=length, precision="bf16", lora=LoraSpec(rank=8), gradient_checkpointing=checkpointing)
    network = trainable(middle, method, dtype=torch.bfloat16, lora=LoraSpec(rank=8))
    network.reads_no_mask = True
    if checkpointing == "on":
        network.body.gradient_checkpointing_enable(  # type: ignore[operator]
            gradient_checkpointing_kwargs={"use_reentrant": False})
        network.keep_in_eval([])
    planned = memory(recipe, facts=facts, device=gpu, n_classes=0)
    optimizer = torch.optim.AdamW([p for p in network.parameters() if p.requires_grad])
    with Live() as live:
        live.hold(network)
        step(network, optimizer, length)
        live.peak = live.now
        step(network, optimizer, length)
        with torch.no_grad():  # an evaluation
            losses_of(network.eval(), forward_rows(length), length)
    card = methods.card_of(method)
    assert (card.weights is Weights.FOUR_BIT) == (method == "qlora")
    assert (planned.total - planned.runtime) / live.peak == pytest.approx(1.0, abs=0.15), (planned, live.peak)


def test_the_comparison_with_the_untouched_model_holds_what_is_planned(monkeypatch: pytest.MonkeyPatch) -> None:
    """However many tokens there are."""
    from core.training import panel_states

    room, width, tokens = 8_000_000, 16, 3000
    monkeypatch.setattr(panel_states, "CHUNK_BYTES", {"cpu": room})
    heads = [LanguageHead(nn.Linear(width, VOCABULARY, bias=False), tied=False) for _ in range(2)]
    states, truth = torch.randn(2, tokens, width), torch.randint(0, VOCABULARY, (tokens,))
    with Live() as live:
        losses, _, divergence = panel_states.compare(states[0], heads[0], states[1], heads[1], truth, precision="bf16")
    assert len(losses) == len(divergence) == tokens and (divergence > 0).all()
    assert 0.6 * room < live.peak < 1.1 * room


def step(network: LanguageNetwork, optimizer: torch.optim.Optimizer, length: int) -> None:
    """Over 4 rows of so many tokens."""
    losses_of(network, 4, length).mean().backward()
    optimizer.step()
    optimizer.zero_grad()


def losses_of(network: LanguageNetwork | nn.Module, rows: int, length: int) -> torch.Tensor:
    """Of rows of so many tokens, all of them taught."""
    ids = torch.randint(5, VOCABULARY, (rows, length))
    with torch.autocast("cpu", torch.bfloat16):
        return network(input_ids=ids, labels=ids)["losses"]  # type: ignore[no-any-return]
