"""Checkpoints: a damaged one gives way to the one before it, whichever of its files is damaged, and the result stays
the same."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from core.domain.dataset import Dataset
from core.domain.recipe import Recipe
from core.settings import Settings
from core.training import checkpoints
from core.training.execute import execute
from tests.conftest import WORKSPACE, Notes


class Killed(BaseException):
    """Stands for the end of a worker: nothing in the engine catches it."""


class KilledAt(Notes):
    def __init__(self, step: int) -> None:
        super().__init__()
        self.step_of_death = step

    def progress(self, done: float, total: float | None, unit: str, note: str = "") -> None:
        super().progress(done, total, unit, note)
        if unit == "steps" and done == self.step_of_death:
            raise Killed


def run(dataset: Dataset, model: Path, settings: Settings, folder: Path, notes: Notes, *, resume: bool = False) -> None:
    recipe = Recipe(dataset=dataset.id, base_model=str(model), method="full", epochs=2.0, batch_size=8,
                    learning_rate=1e-3, max_length=32, evaluations_per_epoch=4, precision="fp32", dropout=0.1)
    execute(recipe, settings=settings, workspace=WORKSPACE, run_dir=folder, observer=notes, resume=resume)


@pytest.fixture
def cut(settings: Settings, tiny_model: Path, tiny_dataset: Dataset, tmp_path: Path) -> Path:
    """The folder of a run that was killed after some evaluations."""
    with pytest.raises(Killed):
        run(tiny_dataset, tiny_model, settings, tmp_path / "cut", KilledAt(13))
    return tmp_path / "cut"


def damage(path: Path, how: str) -> None:
    content = bytearray(path.read_bytes())
    if how == "gone":
        path.unlink()
    elif how == "cut":
        path.write_bytes(content[:len(content) // 2])
    else:
        content[len(content) // 2] ^= 1
        path.write_bytes(content)


def test_each_file_counts(cut: Path, tmp_path: Path) -> None:
    folder = cut / "checkpoints"
    older, newest = checkpoints.by_step(folder)[-2:]
    assert checkpoints.newest_whole(folder) == newest
    names = sorted(path.name for path in newest.iterdir())
    assert set(checkpoints.NEEDED) <= set(names)
    for name in names:
        for how in ("gone", "cut", "flip"):
            shutil.copytree(folder, tmp_path / "copy")
            damage(tmp_path / "copy" / newest.name / name, how)
            found = checkpoints.newest_whole(tmp_path / "copy")
            # Without its manifest a checkpoint is as those of earlier versions were: its files are tried instead.
            wanted = newest if (name, how) == (checkpoints.MANIFEST_FILE, "gone") else older
            assert found is not None and found.name == wanted.name, (name, how)
            shutil.rmtree(tmp_path / "copy")


def test_without_a_manifest_missing_and_cut_files_are_still_seen(cut: Path) -> None:
    folder = cut / "checkpoints"
    older, newest = checkpoints.by_step(folder)[-2:]
    for path in checkpoints.by_step(folder):
        (path / checkpoints.MANIFEST_FILE).unlink()
    assert checkpoints.newest_whole(folder) == newest
    for name in (checkpoints.STATE_FILE, checkpoints.ELAPSED_FILE, checkpoints.TRAINED_FILE):
        whole = (newest / name).read_bytes()
        damage(newest / name, "cut")
        assert checkpoints.newest_whole(folder) == older, name
        (newest / name).write_bytes(whole)
    assert checkpoints.elapsed_at(newest) > checkpoints.elapsed_at(older) > 0
    damage(newest / "optimizer.pt", "flip")
    assert checkpoints.newest_whole(folder) == older
    (older / "optimizer.pt").unlink()
    assert checkpoints.newest_whole(folder) not in (older, newest), "a missing optimiser state never passes in silence"


@pytest.mark.parametrize(("name", "how"),
                         [("optimizer.pt", "gone"), ("trained.safetensors", "flip"), ("trainer_state.json", "cut")])
def test_a_run_that_resumes_behind_a_damaged_checkpoint_ends_as_an_uninterrupted_one(
        name: str, how: str, cut: Path, settings: Settings, tiny_model: Path, tiny_dataset: Dataset,
        tmp_path: Path) -> None:
    run(tiny_dataset, tiny_model, settings, tmp_path / "whole", Notes())
    older, newest = checkpoints.by_step(cut / "checkpoints")[-2:]
    damage(newest / name, how)
    notes = Notes()
    run(tiny_dataset, tiny_model, settings, cut, notes, resume=True)
    assert f"The checkpoint {newest.name} is damaged or incomplete: goes on from {older.name}." in notes.notes
    whole, resumed = (json.loads((folder / "result.json").read_text()) for folder in (tmp_path / "whole", cut))
    assert ((resumed["metrics"], resumed["steps"], resumed["best_step"])
            == (whole["metrics"], whole["steps"], whole["best_step"]))
    assert ((cut / "artifact" / "weights.safetensors").read_bytes()
            == (tmp_path / "whole" / "artifact" / "weights.safetensors").read_bytes())


def test_when_none_is_whole_the_run_begins_again(cut: Path, settings: Settings, tiny_model: Path, tiny_dataset: Dataset,
                                                 tmp_path: Path) -> None:
    for path in checkpoints.by_step(cut / "checkpoints"):
        damage(path / "rng_state.pth", "gone")
    notes = Notes()
    run(tiny_dataset, tiny_model, settings, cut, notes, resume=True)
    assert any(note.endswith("goes on from the beginning.") for note in notes.notes)
    assert (cut / "result.json").is_file()


def test_a_run_whose_folder_was_moved_resumes(cut: Path, settings: Settings, tiny_model: Path, tiny_dataset: Dataset,
                                              tmp_path: Path) -> None:
    moved = cut.rename(tmp_path / "moved")
    run(tiny_dataset, tiny_model, settings, moved, Notes(), resume=True)
    assert (moved / "result.json").is_file()


def test_two_newest_and_their_best_are_kept(tmp_path: Path) -> None:
    for step, best in ((10, 10), (20, 10), (30, 10), (40, 40), (50, 40)):
        folder = tmp_path / f"checkpoint-{step}"
        folder.mkdir()
        (folder
         / "trainer_state.json").write_text(json.dumps({"best_model_checkpoint": f"/elsewhere/checkpoint-{best}"}))
        checkpoints.prune(tmp_path)
        kept = {int(path.name.split("-")[1]) for path in checkpoints.by_step(tmp_path)}
        assert kept == {10: {10}, 20: {10, 20}, 30: {10, 20, 30}, 40: {10, 30, 40}, 50: {40, 50}}[step]
