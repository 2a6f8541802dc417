"""Features of language runs from end to end on a tiny model: frozen blocks, three sides of 4-bit runs, words of every
block."""

from __future__ import annotations

import json
from argparse import Namespace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from core.analysis import aligned, feature_comparison, lens_files, row_facts, shift_report
from core.cli import shift as command
from core.data import library
from core.domain.dataset import Dataset, Task
from core.domain.freeze import FreezePlan
from core.domain.recipe import LoraSpec, Recipe
from core.domain.side import Side, Which
from core.settings import Settings
from core.shift.arrays import State
from core.training.execute import execute
from core.training.extract import measure
from tests import tiny
from tests.conftest import WORKSPACE, Notes, write_language_dataset


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny.language("llama", tmp_path_factory.mktemp("models") / "llama")


def trained(dataset: Dataset, model: Path, settings: Settings, folder: Path, **fields: Any) -> aligned.AlignedSides:
    """A run that has ended, with its features; both sides aligned."""
    recipe = Recipe(**{"dataset": dataset.id, "base_model": str(model), "method": "lora", "epochs": 1.0,
                       "batch_size": 8, "task": Task.LANGUAGE_MODELLING, "learning_rate": 1e-2, "max_length": 48,
                       "precision": "fp32", "lora": LoraSpec(rank=4), **fields})
    notes = Notes()
    folder.mkdir(parents=True, exist_ok=True)
    execute(recipe, settings=settings, workspace=WORKSPACE, run_dir=folder, observer=notes)
    found = measure(folder, settings=settings, workspace=WORKSPACE, observer=notes)
    assert not [note for note in notes.notes if "computed anew" in note or "What each block says" in note]
    return found


def shift(found: aligned.AlignedSides, settings: Settings) -> Any:
    return shift_report.of(found, settings=settings)


@pytest.mark.parametrize(("method", "chat"), [("partial", False), ("lora", True)])
def test_frozen_blocks_are_equal_to_the_last_bit(method: str, chat: bool, model: Path, settings: Settings,
                                                 tmp_path: Path) -> None:
    """Their words are equal, too, where what they are read through (last norm and output layer) was not trained."""
    dataset = write_language_dataset(settings, n_rows=80, chat=chat, shift_rows=0 if chat else 12)
    found = trained(dataset, model, settings, tmp_path / "run", method=method,
                    freeze=FreezePlan(frozen=("embeddings", "block 0", "block 1")))
    blocks = shift(found, settings).blocks
    assert [block.name for block in blocks] == ["embeddings", "block 0", "block 1", "block 2"]
    assert [block.state is State.IDENTICAL for block in blocks] == [True, True, True, False]
    assert [block.frozen for block in blocks] == [True, True, True, False]
    assert [block.cka.value for block in blocks[:3]] == [1, 1, 1]
    assert [block.displacement for block in blocks[:3]] == [0, 0, 0]
    assert all(block.base.knn_accuracy is None and block.base.nc1 is None for block in blocks)
    words = lens_files.read(tmp_path / "run")
    assert words is not None
    assert all(block.base == block.tuned for block in words.blocks[:3]) is (method == "lora")
    assert [block.size for block in words.left[:3]] == [0, 0, 0]
    assert words.kl.value > 0
    assert {row.row_id for row in words.rows} <= set(found.row_ids[found.splits != "shift"].tolist())
    if chat:  # answers of one word: what is asked is read, not measured
        assert all(len(row.taught) < len(row.pieces) - 1 for row in words.rows)
        comparison = feature_comparison.compare(
            Side.of(tmp_path / "run", Which.BASE), Side.of(tmp_path / "run"), names=("base model", "this run"),
            dataset=dataset, settings=settings, workspace=WORKSPACE, rows=2000)
        assert comparison.contents[0].startswith("User: ")


def test_a_4bit_run_has_three_sides_and_rounding_as_its_floor(model: Path, settings: Settings, tmp_path: Path,
                                                             capsys: pytest.CaptureFixture[str]) -> None:
    dataset = write_language_dataset(settings, n_rows=80)
    folder = tmp_path / "run"
    found = trained(dataset, model, settings, folder, method="qlora")
    table = row_facts.table(dataset.id, settings=settings, workspace=WORKSPACE)
    base, rounded, final = (Side.of(folder, which) for which in (Which.BASE, Which.FOUR_BIT, Which.FINAL))
    rounding = aligned.align(base, rounded, settings=settings, table=table)
    training = aligned.align(rounded, final, settings=settings, table=table)
    assert np.array_equal(found.features.base[3], rounding.features.base[3])
    for sides in (rounding, training):
        assert shift(sides, settings).blocks[-1].displacement > 0
    words = lens_files.read(folder)
    assert words is not None and words.floor is not None
    assert words.floor.source == "4-bit"
    assert words.floor.mean > 0
    assert np.isfinite(words.arrays["floor"]).all()

    asked = {"run_dir": str(folder), "workspace": WORKSPACE, "rows": 2000, "beside": None, "null_table": False}
    capsys.readouterr()
    command.run(Namespace(**asked, json=True), settings)
    document = json.loads(capsys.readouterr().out)
    assert document["words"]["kl"]["value"] == words.kl.value
    assert [block["name"] for block in document["words"]["blocks"]] == [b["name"] for b in document["blocks"]]
    assert not any(warning["code"] == "no-labels" for warning in document["warnings"])
    command.run(Namespace(**asked, json=False), settings)
    said = capsys.readouterr().out
    assert "from rounding alone (4-bit)" in said
    assert "probe" not in said


def test_the_untouched_model_moves_nothing(model: Path, settings: Settings, tmp_path: Path) -> None:
    dataset = write_language_dataset(settings, n_rows=80)
    found = trained(dataset, model, settings, tmp_path / "run", method="probe")
    assert shift(found, settings).identical
    words = lens_files.read(tmp_path / "run")
    assert words is not None
    assert (words.arrays["kl"] == 0).all()
    assert all(block.size == 0 for block in words.left)


def test_a_run_that_changes_the_output_layer_reads_each_side_with_its_own(model: Path, settings: Settings,
                                                                         tmp_path: Path) -> None:
    dataset = write_language_dataset(settings, n_rows=80)
    trained(dataset, model, settings, tmp_path / "run", method="full")
    words = lens_files.read(tmp_path / "run")
    assert words is not None
    recorded = row_facts.losses(Side.of(tmp_path / "run"), np.array([row.row_id for row in words.rows]))
    assert recorded is not None
    own = [-words.of(row, "tuned").mean() for row in words.rows]
    np.testing.assert_allclose(own, recorded, rtol=1e-3)  # the loss of the reloaded run, a row
    assert words.kl.value > 0


def test_features_are_pooled_over_the_taught_tokens_where_a_recipe_says_so(model: Path, settings: Settings,
                                                                          tmp_path: Path) -> None:
    """Against hidden states of transformers, which counts the embeddings as the first and norms the last."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    from core.tasks import teaching

    dataset = write_language_dataset(settings, n_rows=60, chat=True)
    found = trained(dataset, model, settings, tmp_path / "run", method="probe", pooling="taught")
    rows = library.read_rows(dataset, settings=settings, workspace=WORKSPACE).to_pylist()
    own = AutoModelForCausalLM.from_pretrained(model).eval()
    format = teaching.format_of(AutoTokenizer.from_pretrained(model))
    for place in (0, 5):
        taught = teaching.teach(format, rows[int(found.row_ids[place])]["text"], dataset.shape, 48)
        with torch.no_grad():
            states = own(input_ids=torch.tensor(taught.ids[None].astype(np.int64)), output_hidden_states=True)
        for block, states_of in enumerate(states.hidden_states):
            mean = states_of[0][torch.from_numpy(taught.taught)].mean(0)
            np.testing.assert_allclose(found.features.base[block][place], mean, atol=5e-3)
