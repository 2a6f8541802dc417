"""Language runs from end to end on tiny models: beside the untouched model, reloaded, resumed, made of batches."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch

from core import tasks
from core.analysis import predictions
from core.domain.dataset import Dataset, Task
from core.domain.freeze import FreezePlan
from core.domain.model import Weights
from core.domain.recipe import LoraSpec, Recipe
from core.domain.side import Side, Which
from core.errors import DataError, RecipeError
from core.models import inspect as model_inspect
from core.models import methods
from core.settings import Settings
from core.training import artifact, evaluate, features_phase, trainer
from core.training.execute import execute
from core.training.inputs import Inputs, LengthBuckets
from core.training.session import read_rows
from tests import chat_templates, tiny
from tests.conftest import WORKSPACE, Notes, ready, write_language_dataset
from tests.unit.training.test_checkpoints import Killed, KilledAt


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("models")
    talker = tiny.language("llama", root / "talker", vocab_size=512, max_position_embeddings=256)
    chat_templates.tokenizer("marked").save_pretrained(talker)  # with a template, and words for the answers
    return {"talker": talker, **{family: tiny.language(family, root / family) for family in ("llama", "gpt2")}}


@pytest.fixture(scope="module")
def looked_at(models: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder that knows the device and what inspecting the models found."""
    home = tmp_path_factory.mktemp("looked-at")
    ready(home, *models.values())
    return home


@pytest.fixture
def settings(looked_at: Path, tmp_path: Path) -> Settings:
    """Settings on a data folder of its own that begins with what is known."""
    shutil.copytree(looked_at, tmp_path / "home")
    return Settings(home=tmp_path / "home", hub=False)


@pytest.fixture
def passages(settings: Settings) -> Dataset:
    return write_language_dataset(settings, n_rows=40, shift_rows=8)


@pytest.fixture
def talk(settings: Settings) -> Dataset:
    return write_language_dataset(settings, n_rows=60, chat=True)


def recipe_for(dataset: Dataset, model: Path, **fields: Any) -> Recipe:
    return Recipe(**{"dataset": dataset.id, "base_model": str(model), "method": "lora", "epochs": 2.0, "batch_size": 4,
                     "task": Task.LANGUAGE_MODELLING, "learning_rate": 1e-2, "head_learning_rate": 1e-3,
                     "max_length": 48, "precision": "fp32", "lora": LoraSpec(rank=4), **fields})


def run(recipe: Recipe, settings: Settings, folder: Path, notes: Notes | None = None, **more: Any) -> Any:
    return execute(recipe, settings=settings, workspace=WORKSPACE, run_dir=folder, observer=notes or Notes(), **more)


def made(dataset: Dataset, model: Path, settings: Settings, **fields: Any) -> Inputs:
    """An untrained network with its rows."""
    recipe = recipe_for(dataset, model, **fields)
    facts = model_inspect.inspect_model(str(model), settings=settings)
    rows = read_rows(dataset, settings=settings, workspace=WORKSPACE)
    task = tasks.get(recipe.task).of(model, rows)
    network = task.build(model, recipe=recipe, facts=facts, weights=Weights.PRETRAINED, dropout=0.0,
                         compute_dtype=torch.float32, device="cpu")
    encoded = task.encode(rows, recipe=recipe, facts=facts, cache=settings.cache)
    return Inputs(task=task, network=network, rows=rows, encoded=encoded)


# -- rows, batches, losses ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("family", ["llama", "gpt2"])
def test_loss_of_a_row_does_not_depend_on_its_batch(family: str, models: dict[str, Path], passages: Dataset,
                                                    settings: Settings) -> None:
    """Alone, among longer rows, in another order: padding enters nothing."""
    inputs = made(passages, models[family], settings)
    order = np.random.default_rng(0).permutation(40)
    together, turned = evaluate.outputs(inputs, np.arange(40)), evaluate.outputs(inputs, order)
    alone = [evaluate.outputs(inputs, np.array([row])) for row in range(0, 40, 7)]
    for name in ("losses", "tokens", "right"):
        np.testing.assert_allclose(turned[name], together[name][order], rtol=1e-5)
        np.testing.assert_allclose([one[name][0] for one in alone], together[name][::7], rtol=1e-5)
    assert (together["tokens"] == inputs.encoded.n_taught[:40]).all()
    wide = made(passages, models[family], settings)
    wide.encoded.fixed_width = True
    np.testing.assert_allclose(evaluate.outputs(wide, np.arange(40))["losses"], together["losses"], rtol=1e-5)


def test_loss_is_cross_entropy_of_the_model_itself(models: dict[str, Path], talk: Dataset, settings: Settings) -> None:
    from torch.nn.functional import cross_entropy
    from transformers import AutoModelForCausalLM

    inputs = made(talk, models["llama"], settings)
    kept = evaluate.outputs(inputs, np.arange(10))
    own = AutoModelForCausalLM.from_pretrained(models["llama"]).eval()
    for row in range(10):
        part = slice(inputs.encoded.offsets[row], inputs.encoded.offsets[row + 1])
        ids = torch.tensor(np.asarray(inputs.encoded.ids[part], np.int64))
        taught = torch.tensor(np.asarray(inputs.encoded.arrays["taught"][part]))[1:]
        with torch.no_grad():
            logits = own(input_ids=ids[None]).logits[0, :-1]
        losses = cross_entropy(logits, ids[1:], reduction="none")[taught]
        right = (logits.argmax(-1) == ids[1:])[taught]
        assert kept["losses"][row] == pytest.approx(float(losses.sum()), rel=1e-5)
        assert kept["right"][row] == right.sum() and kept["exact"][row] == right.all()


def gradient(inputs: Inputs, rows: np.ndarray, batch_size: int, tmp_path: Path) -> dict[str, torch.Tensor]:
    """Of one step over these rows, as the Trainer makes it."""
    recipe = recipe_for_step = recipe_for(DATASET["now"], Path("model"), batch_size=batch_size,
                                          gradient_accumulation=len(rows) // batch_size)
    fit = trainer.build(inputs=inputs, recipe=recipe_for_step, train=rows, validation=rows[:0], folder=tmp_path,
                        observer=Notes())
    fit.current_gradient_accumulation_steps = recipe.gradient_accumulation
    inputs.network.zero_grad()
    batches, weight = fit.get_batch_samples(iter(fit.get_train_dataloader()), recipe.gradient_accumulation, "cpu")
    assert len(batches) == recipe.gradient_accumulation
    for batch in batches:
        fit.compute_loss(inputs.network, batch, num_items_in_batch=weight).backward()
    return {name: p.grad.clone() for name, p in inputs.network.named_parameters() if p.grad is not None}


DATASET: dict[str, Dataset] = {}


@pytest.mark.parametrize("chat", [False, True])
def test_one_batch_of_eight_and_four_of_two_give_the_same_gradient(chat: bool, models: dict[str, Path],
                                                                   settings: Settings, tmp_path: Path) -> None:
    """Rows are ragged, so that a mean of means would be another number."""
    DATASET["now"] = dataset = write_language_dataset(settings, n_rows=60, chat=chat)
    inputs = made(dataset, models["llama"], settings)
    rows = inputs.rows.of("train")[:8]
    assert len(set(inputs.encoded.n_taught[rows])) > 1 or chat
    whole = gradient(inputs, rows, 8, tmp_path)
    for size in (4, 2, 1):
        parts = gradient(inputs, rows, size, tmp_path)
        assert parts.keys() == whole.keys()
        for name, value in whole.items():
            torch.testing.assert_close(parts[name], value, rtol=1e-4, atol=1e-6, msg=name)


def test_gradient_accumulation_makes_fewer_steps_of_the_same_rows(models: dict[str, Path], settings: Settings,
                                                                  tmp_path: Path) -> None:
    passages = write_language_dataset(settings, n_rows=20)
    fields = {"whole": {"batch_size": 8}, "parts": {"batch_size": 2, "gradient_accumulation": 4}}
    one, many = (run(recipe_for(passages, models["llama"], **more), settings, tmp_path / name)
                 for name, more in fields.items())
    assert one.steps == many.steps == 4 and one.samples == many.samples == 24
    assert many.metrics["test"]["loss"].value == pytest.approx(one.metrics["test"]["loss"].value, rel=0.05)


# -- whole runs --------------------------------------------------------------------------------------------------------

METHODS = [("probe", {}), ("full", {}), ("wise_ft", {}), ("gradual_unfreezing", {"track_features": 8}),
           ("lora", {"track_features": 8}), ("scratch", {}),
           ("kl_to_base", {"freeze": FreezePlan(frozen=("embeddings", "block 0"))}),
           ("partial", {"freeze": FreezePlan(frozen=("embeddings", "block 0"))}), ("qlora", {})]


@pytest.mark.parametrize(("family", "method", "fields"), [
    *(("llama", *chosen) for chosen in METHODS), ("gpt2", "full", {}), ("gpt2", "lora", {})])
def test_a_run_learns_and_its_artifact_reproduces_what_it_recorded(
        family: str, method: str, fields: dict[str, Any], models: dict[str, Path], passages: Dataset,
        settings: Settings, tmp_path: Path) -> None:
    notes, folder = Notes(), tmp_path / "run"
    result = run(recipe_for(passages, models[family], method=method, **fields), settings, folder, notes)

    assert set(result.metrics) == set(result.base) == {"validation", "test", "shift"}
    assert list(result.metrics["test"]) == ["loss", "perplexity", "bits_per_byte", "token_accuracy"]
    if method == "probe":
        assert result.metrics == result.base and result.steps == 0 and result.trainable_params == 0
    else:
        assert result.metrics["test"]["loss"].high < result.base["test"]["loss"].low
        assert notes.evaluations[0]["step"] == 0
        if method in ("full", "lora", "partial"):  # where it starts from is the untouched model
            assert notes.evaluations[0]["loss"] == pytest.approx(result.base["validation"]["loss"].value, rel=1e-6)

    check_reload(folder, passages, settings)
    if fields.get("track_features"):
        finished = features_phase.after(result, folder, settings=settings, workspace=WORKSPACE, observer=notes)
        assert finished.phase_seconds and not [note for note in notes.notes if "features were not made" in note]


def check_reload(folder: Path, dataset: Dataset, settings: Settings) -> None:
    """The model on disk says of the test rows what the run wrote down; base rows are the base model's."""
    recorded = pq.read_table(folder / "predictions-test.parquet")
    rows = read_rows(dataset, settings=settings, workspace=WORKSPACE)
    loaded = artifact.load(Side.of(folder), settings=settings)
    facts = model_inspect.inspect_model(loaded.recipe.base_model, settings=settings)
    encoded = loaded.task.encode(rows, recipe=loaded.recipe, facts=facts, cache=settings.cache)
    inputs = Inputs(task=loaded.task, network=loaded.network, rows=rows, encoded=encoded, precision=loaded.precision)
    again = evaluate.outputs(inputs, rows.of("test"))
    assert recorded["row_id"].to_pylist() == rows.row_ids[rows.of("test")].tolist()
    np.testing.assert_allclose(again["losses"], recorded["loss"].to_numpy(), rtol=1e-4)
    assert again["right"].tolist() == recorded["right"].to_pylist()


@pytest.mark.parametrize("method", ["lora", "full", "qlora", "kl_to_base"])
def test_bf16_runs_reload_too(method: str, models: dict[str, Path], talk: Dataset, settings: Settings,
                              tmp_path: Path) -> None:
    recipe = recipe_for(talk, models["llama"], method=method, precision="bf16")
    result = run(recipe, settings, tmp_path / "run")
    assert result.precision == "bf16" and result.metrics["test"]["loss"].value < result.base["test"]["loss"].value
    check_reload(tmp_path / "run", talk, settings)


def test_conversations_with_few_answers_are_judged_by_them(models: dict[str, Path], talk: Dataset, settings: Settings,
                                                           tmp_path: Path) -> None:
    folder = tmp_path / "run"
    result = run(recipe_for(talk, models["talker"], method="full", epochs=12.0, learning_rate=3e-3, max_length=256,
                            early_stopping_patience=0), settings, folder)
    assert list(result.metrics["test"]) == ["loss", "perplexity", "bits_per_byte", "token_accuracy", "exact_match",
                                            "answer_accuracy", "ends_properly"]
    assert result.base["test"]["ends_properly"].value < 0.2 < 0.8 < result.metrics["test"]["ends_properly"].value
    assert result.base["test"]["exact_match"].value < 0.2 < result.metrics["test"]["exact_match"].value

    found = predictions.read(folder, "test")
    assert found is not None and found.judged.exact is not None and set(found.judged.answers) == {0, 1, 2}
    table = json.loads((folder / "teaching.json").read_text(encoding="utf-8"))
    assert table["totals"]["rows"] == 36 and table["totals"]["rows_without_taught"] == 0
    assert not table["format"]["plain"]
    assert json.loads((folder / "artifact" / "labels.json").read_text(encoding="utf-8"))["classes"] == []

    model = artifact.load(Side.of(folder), settings=settings)
    rows = read_rows(talk, settings=settings, workspace=WORKSPACE)
    asked = [rows.content[i] for i in rows.of("test")]
    said = [answer["answer"].strip() for answer in model.answers(asked, most=8)]
    # what greedy decoding says is what exact match counts
    right = [text == talk.answers[number] for text, number in zip(said, found.judged.answers, strict=True)]
    exact = found.judged.exact.astype(bool)
    assert [r for r, e in zip(right, exact, strict=True) if e] == [True] * int(exact.sum()) and exact.any()
    check_export(folder, tmp_path / "exported", said, rows, settings)
    base = artifact.load(Side.of(folder, Which.BASE), settings=settings)
    assert [answer["answer"] for answer in base.answers(asked[:3], most=8)] != said[:3]


def check_export(folder: Path, target: Path, said: list[str], rows: Any, settings: Settings) -> None:
    """The exported folder says the same without Thaw."""
    from core.data import conversations
    from core.export.finished import Finished
    from core.export.merged import FORMAT
    from core.tasks import standalone_language

    target.mkdir()
    FORMAT.write(Finished(folder=folder, settings=settings, workspace=WORKSPACE), target)
    questions = [conversations.load(rows.content[i])[0].content for i in rows.of("test")[:4]]
    found = standalone_language.Model(target).predict(questions)
    assert [answer["answer"].strip()[:5] for answer in found] == [text[:5] for text in said[:4]]


@pytest.mark.parametrize("method", ["lora", "kl_to_base", pytest.param("full", marks=pytest.mark.slow)])
def test_resume_is_exact(method: str, models: dict[str, Path], passages: Dataset, settings: Settings,
                         tmp_path: Path) -> None:
    """Killed between checkpoints, with accumulated gradients: as if nothing had been."""
    recipe = recipe_for(passages, models["llama"], method=method, batch_size=2, gradient_accumulation=2, epochs=2.0,
                        evaluations_per_epoch=2, lora=LoraSpec(rank=4, dropout=0.1))
    run(recipe, settings, tmp_path / "whole")
    with pytest.raises(Killed):
        run(recipe, settings, tmp_path / "cut", KilledAt(8))
    run(recipe, settings, tmp_path / "cut", resume=True)
    results = [json.loads((tmp_path / name / "result.json").read_text(encoding="utf-8")) for name in ("whole", "cut")]
    assert results[0]["metrics"] == results[1]["metrics"] and results[0]["base"] == results[1]["base"]
    assert results[0]["best_step"] == results[1]["best_step"]
    files = [tmp_path / name / "predictions-test.parquet" for name in ("whole", "cut")]
    assert pq.read_table(files[0]).equals(pq.read_table(files[1]))


def test_base_model_is_measured_once_for_all_runs(models: dict[str, Path], passages: Dataset, settings: Settings,
                                                  tmp_path: Path) -> None:
    first = run(recipe_for(passages, models["llama"], epochs=1.0), settings, tmp_path / "a")
    entries = list((settings.cache / "base-side").glob("*/"))
    second = run(recipe_for(passages, models["llama"], method="scratch", epochs=1.0), settings, tmp_path / "b")
    assert first.base == second.base and list((settings.cache / "base-side").glob("*/")) == entries
    assert second.metrics["test"] != first.metrics["test"]


def test_a_method_that_needs_a_new_head_is_refused_before_anything_is_fetched(passages: Dataset, settings: Settings,
                                                                             tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="does not apply") as caught:
        run(recipe_for(passages, tmp_path / "not-here", method="lp_ft"), settings, tmp_path / "run")
    assert methods.NO_NEW_HEAD in caught.value.why and caught.value.remedy == "Choose another method."


def test_rows_that_teach_nothing_are_refused(models: dict[str, Path], talk: Dataset, settings: Settings,
                                             tmp_path: Path) -> None:
    """At eight tokens no answer is left."""
    with pytest.raises(DataError, match="teach no token") as caught:
        run(recipe_for(talk, models["llama"], max_length=8), settings, tmp_path / "run")
    assert "cut at 8 tokens" in caught.value.why and caught.value.remedy


def test_some_rows_that_teach_nothing_are_named(models: dict[str, Path], talk: Dataset, settings: Settings,
                                                tmp_path: Path) -> None:
    notes = Notes()
    run(recipe_for(talk, models["llama"], max_length=24, epochs=1.0), settings, tmp_path / "run", notes)
    table = json.loads((tmp_path / "run" / "teaching.json").read_text(encoding="utf-8"))
    without = table["row_ids_without_taught"]
    assert 0 < len(without) == table["totals"]["rows_without_taught"] < 36
    said = next(note for note in notes.notes if "teach nothing" in note)
    assert f"row {without[0]}" in said and any("are cut" in note for note in notes.notes)


def test_buckets_of_ragged_rows_hold_every_row_once(models: dict[str, Path], passages: Dataset,
                                                    settings: Settings) -> None:
    inputs = made(passages, models["llama"], settings)
    rows = inputs.rows.of("train")
    batches = list(LengthBuckets(rows, inputs.encoded.lengths, batch_size=4, seed=1))
    assert sorted(index for batch in batches for index in batch) == rows.tolist()
