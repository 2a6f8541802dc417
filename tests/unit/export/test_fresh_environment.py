"""The scripts of runs give their predictions in a fresh virtual environment with nothing but its own requirements.

Of the packages that are installed here the environment gets those that the requirements name, and what these require in
turn; where everything is tried (THAW_WHOLE), pip installs them."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from importlib import metadata
from pathlib import Path

import numpy as np
import pytest
import torch
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from core.export import FORMATS
from core.export import rows as test_rows
from core.export.finished import Finished
from tests import turns

ROOM = 12_000_000_000
"""Bytes that torch takes with what it brings for GPUs, twice."""


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.skipif(turns.whole() and shutil.disk_usage(Path(__file__).parent).free < ROOM,
                    reason="no room for another torch")
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
        subprocess.run([sys.executable, "-m", "venv", *([] if turns.whole() else ["--without-pip"]), str(place)],
                       env=clean, check=True)
        files = [tmp_path / method / "requirements.txt" for method in ("probe", "lora")]
        if turns.whole():
            done = subprocess.run([str(python), "-m", "pip", "install", "--quiet", "--no-compile",
                                   *(part for file in files for part in ("-r", str(file)))],
                                  env=clean, cwd=tmp_path, capture_output=True, text=True, check=False)
            assert done.returncode == 0, done.stderr[-2000:]
        else:
            target, = place.glob("lib/python*/site-packages")
            _link(files, target)
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


def _link(files: list[Path], target: Path) -> None:
    """Of what is installed here, link into a folder of packages what these requirements name, and what that requires
    in turn."""
    wanted = [(Requirement(line), "") for file in files for line in file.read_text(encoding="utf-8").splitlines()]
    assert wanted
    there: set[tuple[str, str]] = set()
    while wanted:
        asked, extra_of_asking = wanted.pop()
        if asked.marker is not None and not asked.marker.evaluate({"extra": extra_of_asking}):
            continue
        name = canonicalize_name(asked.name)
        new = {(name, extra) for extra in ("", *asked.extras)} - there
        try:
            package = metadata.distribution(name)
        except metadata.PackageNotFoundError:  # of another platform
            continue
        assert asked.specifier.contains(package.version, prereleases=True), (str(asked), package.version)
        there |= new
        wanted += [(Requirement(line), extra) for _, extra in new for line in package.requires or ()]
        for file in package.files or () if (name, "") in new else ():
            if ".." not in file.parts and not (target / file).is_symlink():
                (target / file).parent.mkdir(parents=True, exist_ok=True)  # some files belong to several packages
                (target / file).symlink_to(Path(str(file.locate())).resolve())
    assert {"torch", "transformers", "peft"} <= {name for name, _ in there}


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
