"""The network of a language model: the model's own logits, its own gradients, its own weights, in every family."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch.nn.functional import cross_entropy

from core.domain.freeze import FreezePlan
from core.errors import ModelError
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
