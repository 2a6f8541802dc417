"""Families whose blocks share parts: frozen is frozen, a cached prefix changes nothing, frozen features are exact; in
fp32 and bf16."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from safetensors.torch import load_file

from core.analysis import aligned, row_facts, shift_report
from core.domain.dataset import Dataset
from core.domain.freeze import FreezePlan
from core.domain.recipe import LoraSpec, Recipe
from core.domain.side import Side, Which
from core.settings import Settings
from core.training import artifact
from core.training import execute as execute_module
from core.training.execute import execute
from core.training.extract import measure
from tests import tiny
from tests.conftest import WORKSPACE, Notes

LOWER = FreezePlan(frozen=("embeddings", "block 0"))
SHARED = {"mpnet": ["encoder.relative_attention_bias.weight"],
          "deberta": ["encoder.rel_embeddings.weight", "encoder.LayerNorm.weight", "encoder.LayerNorm.bias"]}


def train(folder: Path, model: Path, dataset: Dataset, settings: Settings, *, notes: Notes | None = None,
          **fields: object) -> None:
    values: dict[str, object] = {"epochs": 1.0, "batch_size": 8, "learning_rate": 1e-2, "max_length": 32,
                                 "freeze": LOWER, "lora": LoraSpec(rank=4)}
    recipe = Recipe(dataset=dataset.id, base_model=str(model), **(values | fields))  # type: ignore[arg-type]
    execute(recipe, settings=settings, workspace=WORKSPACE, run_dir=folder, observer=notes or Notes())


def probabilities(folder: Path) -> np.ndarray:
    table = pq.read_table(folder / "predictions-test.parquet")
    return np.asarray(table["probabilities"].to_pylist())


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize("family", sorted(tiny.SHARING))
def test_a_lower_half_stays_as_published_byte_for_byte_and_its_features_exact(family: str, precision: str,
                                                                              settings: Settings,
                                                                            tiny_dataset: Dataset,
                                                                              tmp_path: Path) -> None:
    model = tiny.SHARING[family](tmp_path / "model")
    train(tmp_path / "run", model, tiny_dataset, settings, method="partial", precision=precision)
    published = load_file(model / "model.safetensors")
    tuned = artifact.load(Side.of(tmp_path / "run"), settings=settings).network
    changed = {name for name, p in tuned.body.named_parameters() if not torch.equal(p, published[name])}
    assert not changed & set(SHARED[family])
    assert {".".join(name.split(".")[:3]) for name in changed} == {"encoder.layer.1", "encoder.layer.2"}
    found = measure(tmp_path / "run", settings=settings, workspace=WORKSPACE, observer=Notes())
    same = [np.array_equal(x, y) for x, y in zip(found.features.base, found.features.tuned, strict=True)]
    assert same == [True, True, False, False] == list(found.features.frozen)


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize("family", sorted(tiny.SHARING))
def test_a_cached_prefix_gives_what_an_uncached_run_gives(family: str, precision: str, settings: Settings,
                                                          tiny_dataset: Dataset,
                                                          tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model, notes = tiny.SHARING[family](tmp_path / "model"), Notes()
    train(tmp_path / "cached", model, tiny_dataset, settings, method="partial", precision=precision, notes=notes)
    assert any("run once and cached" in note for note in notes.notes)
    monkeypatch.setattr(execute_module.prefix, "cache", lambda session, inputs: None)
    train(tmp_path / "uncached", model, tiny_dataset, settings, method="partial", precision=precision)
    np.testing.assert_allclose(probabilities(tmp_path / "cached"), probabilities(tmp_path / "uncached"),
                               atol=1e-4 if precision == "fp32" else 2e-2)


def test_a_part_that_trained_moves_every_block_that_uses_it(settings: Settings, tiny_dataset: Dataset,
                                                            tmp_path: Path) -> None:
    model = tiny.mpnet(tmp_path / "model")
    train(tmp_path / "run", model, tiny_dataset, settings, method="partial", precision="fp32",
          freeze=FreezePlan(frozen=("embeddings",)))
    network = artifact.load(Side.of(tmp_path / "run"), settings=settings).network
    assert artifact.moved_blocks(tmp_path / "run", network) == {"block 0", "block 1", "block 2"}
    only = tmp_path / "run" / "artifact" / artifact.WEIGHTS_FILE
    from safetensors.torch import save_file

    save_file({SHARED["mpnet"][0]: load_file(only)[SHARED["mpnet"][0]]}, only)
    assert artifact.moved_blocks(tmp_path / "run", network) == {"block 0", "block 1", "block 2"}


@pytest.mark.parametrize(("method", "precision"),
                         [("probe", "fp32"), ("partial", "bf16"), ("qlora", "fp32"), ("lora", "bf16")])
def test_the_self_test_fails_when_a_frozen_weight_is_not_what_it_was(method: str, precision: str, settings: Settings,
                                                                     tiny_model: Path,
                                                                     tiny_dataset: Dataset, tmp_path: Path,
                                                                     monkeypatch: pytest.MonkeyPatch) -> None:
    """A weight of block 0 that no artifact holds is another one once the run's model is loaded."""
    plan = FreezePlan(frozen=("embeddings", "block 0", "block 1"))
    train(tmp_path / "run", tiny_model, tiny_dataset, settings, method=method, precision=precision, freeze=plan)
    sound, notes = measure(tmp_path / "run", settings=settings, workspace=WORKSPACE, observer=Notes()), Notes()
    assert not [w for w in shift_report.of(sound, settings=settings).warnings if w.code == "frozen-moved"]
    plain = artifact.load

    def corrupted(*args: object, **kwargs: object) -> artifact.LoadedModel:
        side = plain(*args, **kwargs)  # type: ignore[arg-type]
        with torch.no_grad():
            next(p for name, p in side.network.body.named_parameters()
                 if "layer.0.output.LayerNorm.weight" in name)[0] += 0.05
        return side

    monkeypatch.setattr(artifact, "load", corrupted)
    for path in (tmp_path / "run" / "features").glob("final-*"):
        path.unlink()
    found = measure(tmp_path / "run", settings=settings, workspace=WORKSPACE, observer=notes)
    if method == "qlora":  # against the 4-bit base model, from which its blocks start
        table, run = row_facts.table(tiny_dataset.id, settings=settings, workspace=WORKSPACE), tmp_path / "run"
        found = aligned.align(Side.of(run, Which.FOUR_BIT), Side.of(run), settings=settings, table=table)
    assert any("Frozen blocks do not compute" in note for note in notes.notes)
    assert ([w.code for w in shift_report.of(found, settings=settings).warnings if w.code == "frozen-moved"]
            == ["frozen-moved"])
