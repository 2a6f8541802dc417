"""The scripts of runs give their predictions in a fresh virtual environment with nothing but its own requirements."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from core.export import FORMATS
from core.export import rows as test_rows
from core.export.finished import Finished

ROOM = 12_000_000_000
"""Bytes that torch takes with what it brings for GPUs, twice."""


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.skipif(shutil.disk_usage(Path(__file__).parent).free < ROOM, reason="no room for another torch")
def test_give_the_predictions_of_a_probe_a_fine_tuned_model_and_an_adapter(trained: Callable[..., Finished],
                                                                           tmp_path: Path) -> None:
    runs = {method: trained("text", "bert", method) for method in ("probe", "full")}
    runs["lora"] = trained("language", "llama", "lora")
    for method, run in runs.items():
        (tmp_path / method).mkdir()
        FORMATS["script"].write(run, tmp_path / method)
    place = tmp_path / "fresh"
    python = place / "bin" / "python"
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("THAW_", "PYTHON", "VIRTUAL"))}
    clean |= {"HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": str(torch.get_num_threads())}
    try:
        for command in ([sys.executable, "-m", "venv", str(place)],
                        [str(python), "-m", "pip", "install", "--quiet", "--no-compile", "-r",
                         str(tmp_path / "probe" / "requirements.txt"),
                         "-r", str(tmp_path / "lora" / "requirements.txt")]):
            done = subprocess.run(command, env=clean, cwd=tmp_path, capture_output=True, text=True, check=False)
            assert done.returncode == 0, done.stderr[-2000:]
        found = subprocess.run([str(python), "-c", "import core"], env=clean, cwd=tmp_path, capture_output=True,
                               check=False)
        assert found.returncode != 0  # nothing of Thaw is there
        for method, run in runs.items():
            given = [] if method == "lora" else ["--data", run.rows_file]
            done = subprocess.run([str(python), str(tmp_path / method / "train.py"), "--base", str(run.base_folder),
                                   *given], env=clean, cwd=tmp_path, capture_output=True, text=True,
                                  check=False)
            assert done.returncode == 0, done.stderr[-2000:]
            _are_the_runs(json.loads((tmp_path / method / "predictions.json").read_text(encoding="utf-8")), run)
    finally:
        shutil.rmtree(place, ignore_errors=True)


def _are_the_runs(said: list[dict[str, object]], run: Finished) -> None:
    rows = test_rows.of_run(run)
    assert rows is not None
    if rows.recorded.losses is not None:
        assert [row["row_id"] for row in said] == rows.asked["row_ids"]
        np.testing.assert_allclose([row["loss"] for row in said], rows.recorded.losses, rtol=1e-4)  # type: ignore[misc]
        return
    by_row: dict[int, dict[str, float]] = {row["row_id"]: row["probabilities"] for row in said}  # type: ignore[misc]
    assert list(by_row) == rows.asked["row_ids"]
    found = np.array([[by_row[id][name] for name in rows.asked["classes"]] for id in rows.asked["row_ids"]])
    assert rows.recorded.probabilities is not None and rows.recorded.predictions is not None
    assert (found.argmax(1) == rows.recorded.predictions).all()
    np.testing.assert_allclose(found, rows.recorded.probabilities, rtol=0, atol=1e-6)
