"""What is taken away from a finished run: the five lines are run on a run that was trained, far from its workspace."""

from __future__ import annotations

import csv
import io
import runpy
import tracemalloc
import zipfile
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from core.analysis import take_home
from core.domain.recipe import LoraSpec, Recipe
from core.errors import NotFoundError
from core.settings import Settings
from core.training.execute import execute
from tests.conftest import WORKSPACE, Notes, write_dataset


def unpacked(pieces: bytes, target: Path) -> Path:
    with zipfile.ZipFile(io.BytesIO(pieces)) as archive:
        assert archive.testzip() is None
        archive.extractall(target)
    return target


@pytest.mark.parametrize("method", ["probe", "lora"])
def test_the_five_lines_load_the_artifact_and_predict_what_the_run_recorded(
        method: str, settings: Settings, tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
        capsys: pytest.CaptureFixture[str]) -> None:
    dataset = write_dataset(settings, n_rows=60)
    recipe = Recipe(dataset=dataset.id, base_model=str(tiny_model), method=method, task=dataset.task, epochs=1.0,
                    max_length=32, precision="fp32", lora=LoraSpec(rank=2))
    run = settings.workspace(WORKSPACE) / "runs" / "r1"
    execute(recipe, settings=settings, workspace=WORKSPACE, run_dir=run, observer=Notes())
    away = unpacked(b"".join(take_home.zipped(run, "r1", recipe)), tmp_path / "away")
    code = (away / "thaw-r1" / "load.py").read_text(encoding="utf-8")
    assert code == take_home.code("r1", recipe) and len(code.splitlines()) == 5
    monkeypatch.setenv("THAW_HOME", str(settings.home))
    monkeypatch.chdir(away)
    known = runpy.run_path("thaw-r1/load.py")
    printed = capsys.readouterr().out
    assert all(name in printed for name in dataset.classes)

    first = pq.read_table(run / "predictions-test.parquet").to_pylist()[0]
    kept = settings.workspace(WORKSPACE) / "datasets" / dataset.id / "rows.parquet"
    text = next(row["text"] for row in pq.read_table(kept).to_pylist() if row["row_id"] == first["row_id"])
    answer = known["model"].predict([text])[0]
    assert answer["label"] == dataset.classes[first["prediction"]]
    assert list(answer["probabilities"].values()) == pytest.approx(first["probabilities"], abs=1e-4)

    saved = take_home.predictions_csv(run, {first["row_id"]: {"text": "=1+1"}}).decode()
    lines = list(csv.DictReader(io.StringIO(saved)))
    row = next(line for line in lines if line["split"] == "test" and line["row_id"] == str(first["row_id"]))
    assert (row["true"], row["predicted"]) == (dataset.classes[first["label"]], dataset.classes[first["prediction"]])
    assert row["text"] == "'=1+1"
    assert sum(float(row[f"p({name})"]) for name in dataset.classes) == pytest.approx(1, abs=1e-4)
    assert {line["split"] for line in lines} == {"test", "validation"}


def test_the_zip_is_made_piece_by_piece_and_holds_the_runs_files_alone(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    (folder / "artifact" / "processor").mkdir(parents=True)
    (folder / "checkpoints").mkdir()
    for name, size in (("artifact/labels.json", 2), ("artifact/weights.safetensors", 30 << 20), ("recipe.json", 2),
                       ("artifact/processor/tokenizer.json", 9), ("checkpoints/big", 5), ("log.txt", 5)):
        (folder / name).write_bytes(b"x" * size)
    (folder / "artifact" / "outside").symlink_to(tmp_path)
    recipe = Recipe(dataset="d", base_model="m", method="probe")
    tracemalloc.start()
    with (tmp_path / "out.zip").open("wb") as out:
        for piece in take_home.zipped(folder, "r1", recipe):
            out.write(piece)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 8 << 20
    with zipfile.ZipFile(tmp_path / "out.zip") as archive:
        assert archive.testzip() is None
        assert sorted(archive.namelist()) == [f"thaw-r1/{name}" for name in (
            "artifact/labels.json", "artifact/processor/tokenizer.json", "artifact/weights.safetensors", "load.py",
            "recipe.json")]


def test_a_run_without_artifact_says_so(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match="no artifact"):
        take_home.files_of(tmp_path)
