"""An export, used without Thaw: `predict.py` of the folder gives the predictions that the run recorded."""

from __future__ import annotations

import json
import os
import runpy
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from core import __main__ as program
from core.domain.dataset import Task
from core.domain.freeze import FreezePlan
from core.domain.recipe import LoraSpec, Recipe
from core.settings import Settings
from core.training.execute import execute
from core.training.session import read_rows
from tests import tiny, turns
from tests.conftest import WORKSPACE, Notes, write_dataset, write_picture_dataset


@pytest.fixture
def finished(settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """finished(model, method, precision) trains a little and gives (run folder, test rows, recorded probabilities)."""
    monkeypatch.setenv("THAW_HOME", str(settings.home))
    monkeypatch.setenv("THAW_HUB", "0")

    def make(model: str, method: str, precision: str) -> tuple[Path, list[str], np.ndarray]:
        pictures = model in tiny.PICTURE_FAMILIES
        build = tiny.PICTURE_FAMILIES[model] if pictures else getattr(tiny, model)
        folder = build(tmp_path / model)
        dataset = (write_picture_dataset if pictures else write_dataset)(settings, n_rows=30)
        freeze = {"freeze": FreezePlan(frozen=("embeddings",))} if method == "partial" else {}
        recipe = Recipe(dataset=dataset.id, base_model=str(folder), method=method, epochs=2.0, batch_size=8,
                        learning_rate=3e-3, max_length=0 if pictures else 32, precision=precision,
                        lora=LoraSpec(rank=4), task=Task.IMAGE_CLASSIFICATION if pictures else Task.TEXT_CLASSIFICATION,
                        **freeze)
        run_dir = tmp_path / "run"
        execute(recipe, settings=settings, workspace=WORKSPACE, run_dir=run_dir, observer=Notes())
        rows = read_rows(dataset, settings=settings, workspace=WORKSPACE)
        recorded = pq.read_table(run_dir / "predictions-test.parquet")
        by_id = dict(zip(rows.row_ids.tolist(), rows.content, strict=True))
        return (run_dir, [by_id[n] for n in recorded["row_id"].to_pylist()],
                np.stack(recorded["probabilities"].to_pylist()))

    return make


def exported(run_dir: Path, target: Path, form: str, capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    assert (program.main(["export", str(run_dir), "--to", str(target), "--as", form, "--workspace", WORKSPACE,
                          "--json"]) == 0)
    return dict(json.loads(capsys.readouterr().out))


def alone(folder: Path, rows: list[str], *, process: bool = False) -> np.ndarray:
    """(n_rows, n_classes) of the folder's own script. process: in one of its own, which cannot import Thaw."""
    if not process:
        answers = runpy.run_path(str(folder / "predict.py"))["Model"](folder).predict(rows)
        return np.asarray([list(answer["probabilities"].values()) for answer in answers])
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run([sys.executable, "predict.py", *rows], cwd=folder, capture_output=True, text=True,
                          timeout=300, check=False, env=environment)
    assert done.returncode == 0, done.stderr
    return np.asarray([list(json.loads(line)["probabilities"].values()) for line in done.stdout.splitlines()])


@pytest.mark.timeout(300)
@pytest.mark.parametrize(("model", "method", "precision"), [
    ("bert", "lora", "fp32"), ("vit", "probe", "bf16"),
    *[pytest.param(*case, marks=pytest.mark.slow) for case in turns.part((
        ("gpt2", "dora", "bf16"), ("gpt2", "full", "fp32"), ("bert", "lora", "bf16"), ("llama", "partial", "bf16"),
        ("efficientnet", "full", "fp32"), ("gpt2", "dora", "fp32"), ("swin", "lora", "fp32")), every=3)]])
def test_a_merged_export_gives_the_recorded_predictions(model: str, method: str, precision: str, finished: Any,
                                                        tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run_dir, rows, recorded = finished(model, method, precision)
    report = exported(run_dir, tmp_path / "merged", "merged", capsys)
    found = alone(tmp_path / "merged", rows, process=model == "vit")
    # bf16 keeps 8 bits of a product, and folding an adapter changes which products there are.
    np.testing.assert_allclose(found, recorded, atol=2e-5 if precision == "fp32" else 2e-2)
    clear = np.diff(np.sort(recorded, axis=1)[:, -2:], axis=1)[:, 0] > 0.05
    assert (found.argmax(1) == recorded.argmax(1))[clear].all()
    assert (report["head"] == "head.safetensors" in report["files"] and {"README.md", "predict.py", "export.json"}
            <= set(report["files"]))
    assert "head is a file of its own" in report["notes"][0]
    assert report["certificate"]["passed"] and report["certificate"]["rows"] == len(rows)
    about = json.loads((tmp_path / "merged" / "export.json").read_text(encoding="utf-8"))
    assert about["classes"] == json.loads((run_dir / "artifact" / "labels.json").read_text(encoding="utf-8"))["classes"]
    assert "head is a file of its own" in (tmp_path / "merged" / "README.md").read_text(encoding="utf-8")


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_an_adapter_of_four_bits_is_folded_into_what_these_stand_for_and_says_so(finished: Any, tmp_path: Path,
                                                                            capsys: pytest.CaptureFixture[str]) -> None:
    run_dir, rows, recorded = finished("bert", "qlora", "fp32")
    report = exported(run_dir, tmp_path / "merged", "merged", capsys)
    assert any("4-bit" in note for note in report["notes"])
    assert np.abs(alone(tmp_path / "merged", rows) - recorded).max() < 1e-4


@pytest.mark.parametrize(("method", "part"),
                         [("lora", "adapter/adapter_model.safetensors"), ("full", "weights.safetensors")])
def test_an_adapter_export_says_what_is_in_it(method: str, part: str, finished: Any, tmp_path: Path,
                                              capsys: pytest.CaptureFixture[str]) -> None:
    run_dir, _, _ = finished("bert", method, "fp32")
    report = exported(run_dir, tmp_path / "out", "adapter", capsys)
    said = (tmp_path / "out" / "README.md").read_text(encoding="utf-8")
    assert part in report["files"] and f"`{part.partition('/')[0]}" in said
    for name in ("head.safetensors", "labels.json", "source.json", "processor/", "recipe.json"):
        assert f"`{name}`" in said and any(file.startswith(name) for file in report["files"])
    about = json.loads((tmp_path / "out" / "export.json").read_text(encoding="utf-8"))
    assert (about["pooling"], about["max_length"], about["precision"]) == ("mean", 32, "fp32")
