"""The network of a language model: the model's own logits, its own gradients, its own weights, in every family."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch.nn.functional import cross_entropy

from core.domain.dataset import Task
from core.domain.freeze import FreezePlan
from core.domain.recipe import LoraSpec, Recipe
from core.errors import ModelError
from core.models import adapters, methods
from core.models.language import LanguageNetwork, load_language
from core.models.network import count_parameters
from tests import tiny

FAMILIES = tuple(tiny.LANGUAGE)


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("language")
    return {name: tiny.language(name, root / name) for name in FAMILIES}


def inputs(rows: int = 2, tokens: int = 12) -> dict[str, torch.Tensor]:
    ids = torch.randint(5, 60, (rows, tokens), generator=torch.Generator().manual_seed(3))
    mask = torch.ones_like(ids)
    mask[-1, tokens - 3:] = 0
    return {"input_ids": ids, "attention_mask": mask}


def labels_of(tensors: dict[str, torch.Tensor]) -> torch.Tensor:
    return tensors["input_ids"].masked_fill(tensors["attention_mask"] == 0, -100)


def own_model(folder: Path) -> Any:
    from transformers import AutoModelForCausalLM

    return AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()


def mean_loss(network: LanguageNetwork, tensors: dict[str, torch.Tensor]) -> torch.Tensor:
    found = network(**tensors, labels=labels_of(tensors))
    return found["losses"].sum() / found["taught"].sum()


@pytest.mark.parametrize("family", FAMILIES)
def test_it_says_and_learns_what_the_model_itself_does(family: str, folders: dict[str, Path]) -> None:
    own, network, tensors = own_model(folders[family]), load_language(folders[family]), inputs()
    hidden = network(**tensors)["hidden"]
    real = tensors["attention_mask"].bool()
    logits = own(**tensors).logits
    torch.testing.assert_close(network.logits(hidden)[real], logits[real], rtol=1e-5, atol=1e-5)
    assert count_parameters(network)[1] == own.num_parameters()
    assert len({id(p) for p in network.parameters()}) == len(list(network.parameters()))

    expected = cross_entropy(logits[:, :-1].flatten(0, 1), labels_of(tensors)[:, 1:].flatten())
    loss = mean_loss(network, tensors)
    torch.testing.assert_close(loss, expected, rtol=1e-5, atol=1e-6)
    network.freeze(FreezePlan())
    loss.backward()
    expected.backward()
    theirs = own.base_model.get_input_embeddings().weight.grad, own.get_output_embeddings().weight.grad
    ours = network.body.get_input_embeddings().weight.grad, network.head.weight.grad  # type: ignore[operator]
    for mine, reference in zip(ours, theirs, strict=True):
        torch.testing.assert_close(mine, reference, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("family", FAMILIES)
def test_a_tied_output_layer_is_counted_and_saved_once(family: str, folders: dict[str, Path]) -> None:
    network = load_language(folders[family])
    tied = own_model(folders[family]).config.get_text_config().tie_word_embeddings
    assert network.head.tied == tied
    assert (network.head.weight is network.body.get_input_embeddings().weight) == tied  # type: ignore[operator]
    network.freeze(FreezePlan())
    saved = [name for name in network.trained_state() if "output" in name or name.startswith("head.")]
    assert bool(saved) != tied and bool(network.head.state_dict()) != tied
    network.freeze(FreezePlan(frozen=("head",)))
    assert not network.head.state_dict() and not any(name.startswith("head.") for name in network.trained_state())


def test_logits_made_in_another_way_are_refused(tmp_path: Path) -> None:
    from transformers import BertConfig, BertLMHeadModel

    BertLMHeadModel(BertConfig(vocab_size=64, hidden_size=64, num_hidden_layers=1, num_attention_heads=2,
                               intermediate_size=64, is_decoder=True)).save_pretrained(tmp_path / "bert")
    with pytest.raises(ModelError, match="makes its logits in another way"):
        load_language(tmp_path / "bert")
    with pytest.raises(ModelError, match="saved without its output layer"):
        load_language(tiny.llama(tmp_path / "body"))
    with pytest.raises(ModelError, match="no causal language model"):
        load_language(tiny.vit(tmp_path / "vit"))


TRAINED = ("full", "partial", "lora", "dora", "qlora", "scratch")


def trainable(folder: Path, method: str, *, dtype: torch.dtype = torch.float32, **changes: Any) -> LanguageNetwork:
    """The network of a recipe, set up as a run does it."""
    chosen = methods.get(method)
    torch.manual_seed(5)
    network = load_language(folder, weights=chosen.card.weights, compute_dtype=dtype)
    plan = FreezePlan(frozen=("embeddings", "block 0", "head")) if method == "partial" else FreezePlan()
    recipe = Recipe(dataset="d", base_model="m", method=method, task=Task.LANGUAGE_MODELLING, freeze=plan,
                    lora=LoraSpec(rank=4, alpha=8.0)).replace(**changes)
    chosen.make_trainable(network, recipe)
    return network.train()  # type: ignore[return-value]


def take_steps(network: LanguageNetwork, *, dtype: torch.dtype = torch.float32, steps: int = 2) -> None:
    optimizer = torch.optim.AdamW([p for p in network.parameters() if p.requires_grad], lr=1e-2)
    for _ in range(steps):
        with torch.autocast("cpu", dtype=dtype, enabled=dtype != torch.float32):
            mean_loss(network, inputs()).backward()
        optimizer.step()
        optimizer.zero_grad()


@torch.no_grad()
def losses(network: LanguageNetwork, *, dtype: torch.dtype = torch.float32) -> torch.Tensor:
    network.eval()
    with torch.autocast("cpu", dtype=dtype, enabled=dtype != torch.float32):
        return network(**inputs(), labels=labels_of(inputs()))["losses"]  # type: ignore[no-any-return]


def reloaded(network: LanguageNetwork, folder: Path, method: str, artifact: Path, dtype: torch.dtype,
             ) -> LanguageNetwork:
    """The same side built anew from the base model's folder and what training changed."""
    card = methods.get(method).card
    torch.manual_seed(77)
    again = load_language(folder, weights=card.weights, compute_dtype=dtype)
    if card.adapter:
        network.body.save_pretrained(artifact)  # type: ignore[operator]
        adapters.read(again, artifact, device="cpu")
    else:
        state = network.trained_state()
        again.load_trained({name: value for name, value in state.items() if name.startswith("body.")})
    again.head.load_state_dict(network.head.state_dict())
    return again


DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16}
TRIED = [*((family, *how) for family in FAMILIES
           for how in (("full", "fp32"), ("partial", "bf16"), ("lora", "bf16"), ("qlora", "fp32"))),
         *(("llama", method, kind) for method in TRAINED for kind in DTYPES),
         *(("phi", method, kind) for method in TRAINED for kind in DTYPES),
         ("llama", "shira", "bf16"), ("gpt2", "ia3", "bf16"), ("gpt2", "bitfit", "bf16"), ("phi", "l2_sp", "bf16"),
         *((family, "kl_to_base", kind) for family in ("llama", "phi", "gpt2") for kind in DTYPES)]
"""Every method in every family, and in both precisions with a tied and an untied output layer."""


@pytest.mark.parametrize(("family", "method", "precision"), dict.fromkeys(TRIED))
def test_every_method_trains_what_it_says_and_comes_back_from_disk(
        family: str, method: str, precision: str, folders: dict[str, Path], tmp_path: Path) -> None:
    dtype = DTYPES[precision]
    network = trainable(folders[family], method, dtype=dtype)
    frozen = {name: p.detach().clone() for name, p in network.named_parameters() if not p.requires_grad}
    before = losses(network, dtype=dtype)
    network.train()
    take_steps(network, dtype=dtype)
    assert losses(network, dtype=dtype).sum() < before.sum()
    for name, parameter in network.named_parameters():
        if name in frozen:
            assert torch.equal(parameter, frozen[name]), f"{name} is frozen and moved"
        else:
            assert parameter.dtype == torch.float32, name
    again = reloaded(network, folders[family], method, tmp_path, dtype)
    assert torch.equal(losses(again, dtype=dtype), losses(network, dtype=dtype))


@pytest.mark.parametrize("family", FAMILIES)
def test_the_untouched_model_trains_nothing(family: str, folders: dict[str, Path]) -> None:
    network = load_language(folders[family])
    methods.get("probe").make_trainable(network, Recipe(dataset="d", base_model="m", method="probe",
                                                        task=Task.LANGUAGE_MODELLING))
    assert not any(parameter.requires_grad for parameter in network.parameters())
    assert network.trained_state() == {} == dict(network.head.state_dict())


@pytest.mark.parametrize("fast", [True, False], ids=["AVX512-BF16", "other processors"])
@pytest.mark.parametrize("precision", DTYPES)
@pytest.mark.parametrize("family", ["llama", "gpt2", "neox", "gemma3"])
def test_four_bit_adapters_get_gradients_in_every_block(family: str, precision: str, fast: bool,
                                                        folders: dict[str, Path],
                                                        monkeypatch: pytest.MonkeyPatch) -> None:
    from bitsandbytes.nn import modules

    monkeypatch.setattr(modules, "has_avx512bf16", lambda: fast)
    dtype = DTYPES[precision]
    network = trainable(folders[family], "qlora", dtype=dtype)
    with torch.autocast("cpu", dtype=dtype, enabled=dtype != torch.float32):
        mean_loss(network, inputs()).backward()
    reached = {name for name, p in network.named_parameters() if p.requires_grad and p.grad is not None
               and torch.isfinite(p.grad).all() and ("lora_A" in name or p.grad.any())}
    assert reached == {name for name, p in network.named_parameters() if p.requires_grad}
    assert all(any(path in name for name in reached) for path in network.stack.paths)
