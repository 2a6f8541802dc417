"""Runs of a tiny language model by every method, with what they forgot and what they say."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
import transformers

from core.analysis import learn_forget, predictions, samples, verdict
from core.analysis.forgetting import Word
from core.data import panel
from core.data.panel import Document
from core.domain import codec
from core.domain.dataset import Dataset, Task
from core.domain.freeze import FreezePlan
from core.domain.recipe import Recipe
from core.domain.run import JobKind, Result, Run, Status
from core.settings import Settings
from core.training import samples as asking
from core.training.execute import execute
from tests import tiny
from tests.conftest import WORKSPACE, Notes

SPLITS = ["train"] * 30 + ["validation"] * 10 + ["test"] * 14


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("model") / "llama"
    config = transformers.LlamaConfig(vocab_size=64, hidden_size=64, num_hidden_layers=3, num_attention_heads=4,
                                      num_key_value_heads=4, intermediate_size=128, max_position_embeddings=64,
                                      tie_word_embeddings=True)
    transformers.LlamaForCausalLM(config).save_pretrained(path)
    tiny.tokenizer().save_pretrained(path)  # type: ignore[attr-defined]
    return path


@pytest.fixture(autouse=True)
def documents(monkeypatch: pytest.MonkeyPatch) -> None:
    """A panel of short texts, four a domain."""
    names = [name for name in panel.BY_NAME for _ in range(4)]
    texts, _ = tiny.make_texts(len(names), seed=3)
    made = tuple(Document(domain=name, text=text) for name, text in zip(names, texts, strict=True))
    monkeypatch.setattr(panel, "load", lambda **options: made)


@pytest.fixture
def dataset(settings: Settings) -> Dataset:
    """Passages, two a document."""
    texts, _ = tiny.make_texts(len(SPLITS), seed=8)
    counts = {split: {"": SPLITS.count(split)} for split in dict.fromkeys(SPLITS)}
    made = Dataset(id="0123456789abcdef", name="tiny", task=Task.LANGUAGE_MODELLING, content_hash="0123456789abcdef",
                   classes=(), counts=counts, source="made in memory", rows_read=len(texts), rows_kept=len(texts))
    folder = settings.workspace(WORKSPACE) / "datasets" / made.id
    folder.mkdir(parents=True)
    pq.write_table(pa.table({"row_id": pa.array(range(len(texts)), pa.int64()), "text": texts, "split": SPLITS,
                             "group": pa.array(np.arange(len(texts)) // 2, pa.int32())}), folder / "rows.parquet")
    (folder / "dataset.json").write_text(json.dumps(codec.to_json(made)), encoding="utf-8")
    return made


def run(method: str, model: Path, dataset: Dataset, settings: Settings, folder: Path,
        **fields: Any) -> tuple[Result, Notes]:
    fields = {"freeze": FreezePlan(frozen=("embeddings", "block 0", "block 1"))} | fields
    notes = Notes()
    recipe = Recipe(dataset=dataset.id, base_model=str(model), method=method, task=Task.LANGUAGE_MODELLING,
                    max_length=64, epochs=2, batch_size=8, learning_rate=5e-3, precision="fp32", **fields)
    return execute(recipe, settings=settings, workspace=WORKSPACE, run_dir=folder, observer=notes), notes


def ended(folder: Path, result: Result) -> verdict.Ended:
    recipe = Recipe.from_json(json.loads((folder / "recipe.json").read_text()))
    made = Run(id="r", workspace=WORKSPACE, kind=JobKind.TRAIN, name="", status=Status.DONE, folder=str(folder),
               recipe=recipe)
    return verdict.Ended(run=made, result=result, name="r")


@pytest.mark.parametrize("method", ["lora", "qlora", "partial", "full", "scratch"])
def test_every_method_says_what_it_forgot(method: str, model: Path, dataset: Dataset, settings: Settings,
                                          tmp_path: Path) -> None:
    folder = tmp_path / "run"
    result, _ = run(method, model, dataset, settings, folder)
    assert set(result.panel) == set(panel.BY_NAME) and set(result.kl) == {"task", "panel"}
    assert result.panel_change is not None and result.panel_version == panel.PANEL_VERSION
    assert all(found.before != found.after for found in result.panel.values())
    assert all(kl.value > 1e-6 for kl in result.kl.values())
    assert result.noise_floor["from"] == ("4-bit" if method == "qlora" else "precision")
    saved = json.loads((folder / "result.json").read_text())
    assert saved["panel"]["news"]["change"]["value"] == result.panel["news"].change.value
    table = pq.read_table(folder / "panel.parquet").to_pydict()
    news = [line for line, name in enumerate(table["domain"]) if name == "news"]
    assert sum(table["after"][line] for line in news) / sum(table["tokens"][line] for line in news) == pytest.approx(
        result.panel["news"].after)
    mine, base = predictions.read(folder, "test"), predictions.read_base(folder, "test")
    assert mine is not None and base is not None and mine.same_rows(base)
    card = verdict.of_run(ended(folder, result), settings=settings)
    target = card.line("target")
    assert target.metric == "loss" and target.difference is not None
    assert target.difference.value == pytest.approx(
        result.metrics["test"]["loss"].value - result.base["test"]["loss"].value)
    assert target.word is Word.BETTER


def test_the_untouched_model_as_an_arm_forgets_nothing_to_the_last_bit(
        model: Path, dataset: Dataset, settings: Settings, tmp_path: Path) -> None:
    result, _ = run("probe", model, dataset, settings, tmp_path / "run")
    assert [(kl.value, kl.low, kl.high) for kl in result.kl.values()] == [(0.0, 0.0, 0.0)] * 2
    assert all(found.change.value == 0.0 for found in result.panel.values())
    assert result.metrics["test"]["loss"] == result.base["test"]["loss"]
    card = verdict.of_run(ended(tmp_path / "run", result), settings=settings)
    words = {line.subject: line.word for line in card.lines}
    assert words.pop("cost") is None and set(words.values()) == {Word.UNCLEAR}  # of a run alone, cost is stated only


def lines(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "samples.jsonl").read_text(encoding="utf-8").splitlines()]


def weights(folder: Path) -> dict[str, torch.Tensor]:
    from safetensors.torch import load_file

    return {f"{path.name} {name}": tensor for path in sorted((folder / "artifact").rglob("*.safetensors"))
            for name, tensor in load_file(path).items()}


def test_it_is_asked_at_every_evaluation_and_training_is_not_touched_by_it(
        model: Path, dataset: Dataset, settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A half frozen network behind a cached prefix, with dropout, which draws random numbers."""
    fields = {"dropout": 0.1, "sample_prompts": ("the player and the coach",), "effort": "quick"}
    _, notes = run("partial", model, dataset, settings, tmp_path / "asked", **fields)
    said = lines(tmp_path / "asked")
    assert [line["step"] for line in said] == [evaluation["step"] for evaluation in notes.evaluations]
    assert said[0]["step"] == 0 and len(said) == 5
    for line in said:
        assert [answer["seed"] for answer in line["answers"]] == [None, 1, None, None, None]
        assert line["answers"][-1]["prompt"] == "the player and the coach"
        assert all(set(answer) == {"prompt", "text", "seed", "ended"} for answer in line["answers"])
    assert any("blocks below" in note or "cached" in note for note in notes.notes)
    found = samples.of_run(tmp_path / "asked")
    assert found is not None and found.starts_untouched and len(found.asked) == 5
    monkeypatch.setattr(asking, "prompts", lambda session: [])
    run("partial", model, dataset, settings, tmp_path / "silent", **fields)
    assert not (tmp_path / "silent" / "samples.jsonl").exists()
    one, other = weights(tmp_path / "asked"), weights(tmp_path / "silent")
    assert set(one) == set(other) and all(torch.equal(one[name], other[name]) for name in one)


def test_the_untouched_model_is_asked_where_a_run_starts_elsewhere(
        model: Path, dataset: Dataset, settings: Settings, tmp_path: Path) -> None:
    run("scratch", model, dataset, settings, tmp_path / "scratch", effort="quick")
    run("lora", model, dataset, settings, tmp_path / "lora", effort="quick")
    fresh, lora = samples.of_run(tmp_path / "scratch"), samples.of_run(tmp_path / "lora")
    assert fresh is not None and lora is not None and not fresh.starts_untouched
    assert [asked.untouched for asked in fresh.asked] == [asked.untouched for asked in lora.asked]
    assert [asked.answers[0].text for asked in lora.asked] == [asked.untouched for asked in lora.asked]


def test_the_checkpoint_is_chosen_within_a_bound_on_forgetting(
        model: Path, dataset: Dataset, settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The panel is of words that the rows never say, so that every step forgets more."""
    folder = settings.workspace(WORKSPACE) / "datasets" / dataset.id / "rows.parquet"
    table = pq.read_table(folder)
    said = [" ".join(word for word in text.split() if word not in tiny.TOPICS["tech"])
            for text in table["text"].to_pylist()]
    pq.write_table(table.set_column(1, "text", pa.array(said)), folder)
    words = tiny.TOPICS["tech"]
    documents = tuple(Document(domain=name, text=" ".join(words[place:] + words[:place]))
                      for name in panel.BY_NAME for place in range(4))
    monkeypatch.setattr(panel, "load", lambda **options: documents)

    free, _ = run("full", model, dataset, settings, tmp_path / "free", early_stopping_patience=0)
    way = learn_forget.by_step(tmp_path / "free" / "forgetting.jsonl")
    steps = sorted(way)
    changes = [way[step]["change"]["value"] for step in steps]
    assert steps[0] == 0 and changes[0] == 0.0 and changes == sorted(changes) and len(steps) == 5
    assert free.best_step == steps[-1]

    bound = (changes[2] + changes[3]) / 2
    bounded, _ = run("full", model, dataset, settings, tmp_path / "bounded", forgetting_bound=bound,
                     early_stopping_patience=0)
    assert bounded.best_step == steps[2]
    assert bounded.panel_change is not None and free.panel_change is not None
    assert bounded.panel_change.value < bound < free.panel_change.value
    none, _ = run("full", model, dataset, settings, tmp_path / "none", forgetting_bound=changes[1] / 2,
                  early_stopping_patience=0)
    assert none.best_step == steps[1]  # none is within: the one that forgot least

    points = learn_forget.points([ended(tmp_path / "free", free), ended(tmp_path / "bounded", bounded)])
    assert [point.step for point in points] == [*steps, None, *steps, None]
    assert [point.step for point in points[:6] if point.kept] == [free.best_step]
    final = points[5]
    assert final.learns and final.forgets and final.forgot == free.panel_change
