"""Replay of general texts: which are read when, the loss and its gradient, and what the run says of them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn.functional import cross_entropy

from core.data import general, panel
from core.data.panel import Document
from core.domain.dataset import Dataset
from core.domain.freeze import FreezePlan
from core.domain.recipe import LoraSpec
from core.errors import FetchError
from core.export import FORMATS
from core.models import inspect as model_inspect
from core.models import methods
from core.settings import Settings
from core.training import replay, trainer
from core.training.session import Session
from tests import tiny
from tests.conftest import WORKSPACE, Notes
from tests.unit.training.test_checkpoints import Killed, KilledAt
from tests.unit.training.test_language import (  # noqa: F401 - fixtures
    looked_at,
    made,
    models,
    passages,
    recipe_for,
    run,
    settings,
)

SHARE = methods.card_of("replay").replay
LOWER = FreezePlan(frozen=("embeddings", "block 0"))


@pytest.fixture(autouse=True)
def documents(monkeypatch: pytest.MonkeyPatch) -> tuple[Document, ...]:
    """General texts and a panel of short texts, none of both."""
    names = [*(name for name in general.DOMAINS for _ in range(6)), *(name for name in panel.BY_NAME for _ in range(4))]
    texts, _ = tiny.make_texts(len(names), seed=11)
    every = tuple(Document(domain=name, text=text) for name, text in zip(names, texts, strict=True))
    monkeypatch.setattr(general, "load", lambda **options: every[:12])
    monkeypatch.setattr(panel, "load", lambda **options: every[12:])
    return every[:12]


def replayed(inputs: Any, recipe: Any, settings: Settings) -> replay.Replay:  # noqa: F811
    session = Session(recipe=recipe, settings=settings, workspace=WORKSPACE, run_dir=Path(), observer=Notes(),
                      resume=False)
    session.task, session.facts = inputs.task, model_inspect.inspect_model(recipe.base_model, settings=settings)
    return replay.Replay(session, inputs)


# -- which texts -------------------------------------------------------------------------------------------------------


@given(batch=st.integers(1, 256), share=st.floats(0.01, 0.9))
def test_texts_are_their_share_of_a_step(batch: int, share: float) -> None:
    rows = replay.beside(batch, share)
    assert rows >= 1 and (rows == 1 or abs(rows / (rows + batch) - share) < 0.5 / batch)
    assert replay.beside(4, 0.2) == 1 and replay.beside(16, 0.2) == 4


def test_each_is_read_once_before_one_is_read_again_in_another_order(models: Any, passages: Dataset,  # noqa: F811
                                                                     settings: Settings) -> None:  # noqa: F811
    recipe = recipe_for(passages, models["llama"], method="replay", batch_size=8)
    inputs = made(passages, models["llama"], settings, method="replay")
    found = replayed(inputs, recipe, settings)
    assert found.rows == 2 and len(found.ids) == 12
    first, second = (np.concatenate([found.chosen(place) for place in range(start, start + 6)]) for start in (0, 6))
    assert sorted(first) == sorted(second) == list(range(12)) and first.tolist() != second.tolist()
    again = replayed(inputs, recipe, settings)
    assert again.chosen(7).tolist() == found.chosen(7).tolist(), "a run that goes on reads what it would have read"
    other = replayed(inputs, recipe.replace(seed=1), settings)
    assert np.concatenate([other.chosen(place) for place in range(6)]).tolist() != first.tolist()


# -- loss --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("parts", [1, 2])
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_a_step_is_the_formula_of_both_losses(parts: int, precision: str, models: Any,  # noqa: F811
                                              passages: Dataset, settings: Settings, tmp_path: Path) -> None:  # noqa: F811
    """(1 − s) · mean over the tokens of the rows + s · mean over those of the texts, of transformers' own model."""
    inputs = made(passages, models["llama"], settings)
    inputs.precision = precision
    recipe = recipe_for(passages, models["llama"], method="replay", batch_size=8 // parts,
                        gradient_accumulation=parts)
    rows = inputs.rows.of("train")[:8]
    fit = trainer.build(inputs=inputs, recipe=recipe, train=rows, validation=rows[:0], folder=tmp_path,
                        observer=Notes())
    fit.replay = replayed(inputs, recipe, settings)
    fit.current_gradient_accumulation_steps = parts
    inputs.network.zero_grad()
    batches, weight = fit.get_batch_samples(iter(fit.get_train_dataloader()), parts, "cpu")
    shown = sum(float(fit.training_step(inputs.network, batch, weight)) for batch in batches)
    found = {name: parameter.grad.clone() for name, parameter in inputs.network.named_parameters()}

    def tokens(ids: np.ndarray) -> torch.Tensor:
        whole = torch.from_numpy(np.asarray(ids, np.int64))
        return cross_entropy(inputs.network.causal(input_ids=whole[None]).logits[0, :-1], whole[1:], reduction="none")

    offsets = inputs.encoded.offsets
    own = torch.cat([tokens(inputs.encoded.ids[offsets[row]:offsets[row + 1]]) for row in rows])
    texts = [torch.cat([tokens(fit.replay.ids[text]) for text in fit.replay.chosen(place)]) for place in range(parts)]
    expected = (1 - SHARE) * own.mean() + SHARE * torch.stack([each.mean() for each in texts]).mean()
    inputs.network.zero_grad()
    expected.backward()
    close = {"fp32": 1e-5, "bf16": 2e-2}[precision]
    assert shown == pytest.approx(float(expected.detach()), rel=close)
    for name, parameter in inputs.network.named_parameters():
        assert parameter.grad is not None
        worst = (found[name] - parameter.grad).norm() / parameter.grad.norm()
        assert worst < {"fp32": 1e-4, "bf16": 5e-2}[precision], name


# -- runs --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("family", "fields"), [("llama", {}), ("llama", {"freeze": LOWER}), ("gpt2", {}),
                                                ("llama", {"precision": "bf16"}),
                                                ("llama", {"gradient_checkpointing": "on", "freeze": LOWER})])
def test_a_run_learns_and_is_trained_on_what_it_read(family: str, fields: dict[str, Any], models: Any,  # noqa: F811
                                                     passages: Dataset, settings: Settings, tmp_path: Path) -> None:  # noqa: F811
    """Also where its own rows start from cached blocks, which the texts pass through."""
    result = run(recipe_for(passages, models[family], method="replay", **fields), settings, tmp_path / "run")
    assert result.metrics["test"]["loss"].high < result.base["test"]["loss"].low
    plain = run(recipe_for(passages, models[family], method="lora", **fields), settings, tmp_path / "plain")
    assert {name for name, found in result.panel.items() if found.trained_on} == set(general.DOMAINS)
    assert not any(found.trained_on for found in plain.panel.values())
    assert result.steps == plain.steps and result.samples == plain.samples, "as many rows as without the texts"
    assert result.trainable_params == plain.trainable_params
    for name in general.DOMAINS:  # rows and texts are of one maker: both are learned, and with the texts the more so
        assert result.panel[name].after < result.panel[name].before


def test_resume_is_exact(models: Any, passages: Dataset, settings: Settings, tmp_path: Path) -> None:  # noqa: F811
    recipe = recipe_for(passages, models["llama"], method="replay", batch_size=2, gradient_accumulation=2,
                        evaluations_per_epoch=2, lora=LoraSpec(rank=4, dropout=0.1))
    run(recipe, settings, tmp_path / "whole")
    with pytest.raises(Killed):
        run(recipe, settings, tmp_path / "cut", notes=KilledAt(8))
    run(recipe, settings, tmp_path / "cut", resume=True)
    whole, cut = (json.loads((tmp_path / name / "result.json").read_text(encoding="utf-8"))
                  for name in ("whole", "cut"))
    assert whole["metrics"] == cut["metrics"] and whole["panel"] == cut["panel"]


def test_without_the_texts_it_ends_before_anything_is_computed(models: Any, passages: Dataset,  # noqa: F811
                                                               settings: Settings, tmp_path: Path,  # noqa: F811
                                                               monkeypatch: pytest.MonkeyPatch) -> None:
    def gone(**options: Any) -> Any:
        raise FetchError("general texts could not be had.", why="There is no network.", remedy="Try again later.")

    monkeypatch.setattr(general, "load", gone)
    notes = Notes()
    with pytest.raises(FetchError, match="general texts"):
        run(recipe_for(passages, models["llama"], method="replay"), settings, tmp_path / "run", notes)
    assert [str(phase) for phase in notes.phases] == ["fetching"]
    run(recipe_for(passages, models["llama"], method="lora"), settings, tmp_path / "plain")  # which needs none


def test_its_script_is_refused_in_words(models: Any, passages: Dataset) -> None:  # noqa: F811
    why = FORMATS["script"].applies_to(recipe_for(passages, models["llama"], method="replay"), None)
    assert why is not None and "general texts" in why
    assert FORMATS["script"].applies_to(recipe_for(passages, models["llama"], method="lora"), None) is None


def test_what_is_measured_of_it_at_other_strengths_leaves_the_same_kinds_out(models: Any, passages: Dataset) -> None:  # noqa: F811
    for method, expected in (("replay", general.DOMAINS), ("lora", ())):
        assert replay.rehearsed(recipe_for(passages, models["llama"], method=method)) == expected
