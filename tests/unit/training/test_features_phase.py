"""The last phase of a run: features made by itself, once, apart from its seconds, and never its failure."""

from __future__ import annotations

import weakref
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from core import files, values
from core.analysis import feature_paths
from core.domain import codec
from core.domain.dataset import Dataset
from core.domain.freeze import FreezePlan
from core.domain.recipe import LoraSpec, Recipe
from core.domain.run import JobKind, Phase, Result, Run, Status
from core.domain.side import Side
from core.jobs import handlers
from core.models.network import Network
from core.settings import Settings
from core.training import artifact, features_phase
from core.training.execute import execute
from tests.conftest import WORKSPACE, Notes


def recipe(dataset: Dataset, model: Path, method: str, **fields: object) -> Recipe:
    return Recipe(dataset=dataset.id, base_model=str(model), method=method, batch_size=8, max_length=32,
                  precision="fp32", lora=LoraSpec(rank=4), **({"epochs": 1.0} | fields))  # type: ignore[arg-type]


def trained(wanted: Recipe, settings: Settings, folder: Path, observer: Notes | None = None,
            *, resume: bool = False) -> Result:
    """As a worker does it."""
    run = Run(id="r", workspace=WORKSPACE, kind=JobKind.TRAIN, name="r", status=Status.RUNNING, folder=str(folder),
              recipe=wanted)
    found = handlers.train(handlers.Job(run=run, settings=settings, observer=observer or Notes(), resume=resume))
    assert isinstance(found, Result)
    return found


def stored(folder: Path) -> Result:
    found = values.read(folder / "result.json", Result)
    assert found is not None
    return found


def test_a_run_ends_with_its_features_whose_seconds_and_memory_are_not_its_own(
        settings: Settings, tiny_model: Path, tiny_dataset: Dataset, tmp_path: Path) -> None:
    notes = Notes()
    result = trained(recipe(tiny_dataset, tiny_model, "lora"), settings, tmp_path / "run", notes)
    where = feature_paths.of_run(tmp_path / "run", settings=settings, rows=2000)
    assert where.ready and (tmp_path / "run" / "features" / "weights.json").is_file()
    assert list((settings.cache / "shift").iterdir()), "compared, too: the page opens at once"
    assert notes.phases[-2:] == [Phase.SAVING, Phase.FEATURES] and notes.phases.count(Phase.FEATURES) == 1
    assert result == stored(tmp_path / "run") and result.complete
    own = sum(seconds for phase, seconds in result.phase_seconds.items() if phase != Phase.FEATURES)
    assert result.phase_seconds[Phase.FEATURES] > 0 and result.seconds <= own + (result.shared_seconds or 0) + 1


def test_where_the_settings_leave_features_to_the_page_a_run_ends_with_its_scores(
        settings: Settings, tiny_model: Path, tiny_dataset: Dataset, tmp_path: Path) -> None:
    notes, scores_only = Notes(), replace(settings, features=False)
    result = trained(recipe(tiny_dataset, tiny_model, "lora"), scores_only, tmp_path / "run", notes)
    assert result.complete and result.metrics["test"] and result == stored(tmp_path / "run")
    assert Phase.FEATURES not in notes.phases and str(Phase.FEATURES) not in result.phase_seconds
    assert not feature_paths.of_run(tmp_path / "run", settings=settings, rows=2000).ready
    features_phase.after(result, tmp_path / "run", settings=settings, workspace=WORKSPACE, observer=notes)
    assert feature_paths.of_run(tmp_path / "run", settings=settings, rows=2000).ready, "made when they are asked for"


def test_the_base_model_is_gone_through_once_for_all_runs_on_it(settings: Settings, tiny_model: Path,
                                                                tiny_dataset: Dataset, tmp_path: Path) -> None:
    trained(recipe(tiny_dataset, tiny_model, "probe"), settings, tmp_path / "probe")
    base = feature_paths.of_run(tmp_path / "probe", settings=settings, rows=2000).base
    before = base.stat().st_ino
    notes = Notes()
    trained(recipe(tiny_dataset, tiny_model, "full"), settings, tmp_path / "full", notes)
    assert feature_paths.of_run(tmp_path / "full", settings=settings, rows=2000).base == base
    assert base.stat().st_ino == before
    assert not [note for note in notes.notes if "computed anew" in note], "trained embeddings moved"


def test_blocks_that_moved_are_those_the_artifact_holds(settings: Settings, tiny_model: Path, tiny_dataset: Dataset,
                                                        tmp_path: Path) -> None:
    plan = FreezePlan(frozen=("block 0",))
    for method, frozen, moved in (("full", FreezePlan(), {"embeddings", "block 0", "block 1", "block 2", "block 3"}),
                                  ("partial", plan, {"embeddings", "block 1", "block 2", "block 3"})):
        execute(recipe(tiny_dataset, tiny_model, method, freeze=frozen), settings=settings, workspace=WORKSPACE,
                run_dir=tmp_path / method, observer=Notes())
        network = artifact.load(Side.of(tmp_path / method), settings=settings).network
        assert artifact.moved_blocks(tmp_path / method, network) == moved


def test_one_network_at_a_time_is_in_memory(settings: Settings, tiny_model: Path, tiny_dataset: Dataset,
                                            tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    execute(recipe(tiny_dataset, tiny_model, "lora"), settings=settings, workspace=WORKSPACE, run_dir=tmp_path / "run",
            observer=Notes())
    alive: weakref.WeakSet[Network] = weakref.WeakSet()
    most, init = [], Network.__init__

    def counted(network: Network, *args: Any, **kwargs: Any) -> None:
        init(network, *args, **kwargs)
        alive.add(network)
        most.append(len(alive))

    monkeypatch.setattr(Network, "__init__", counted)
    features_phase.after(stored(tmp_path / "run"), tmp_path / "run", settings=settings, workspace=WORKSPACE,
                         observer=Notes())
    assert len(most) >= 3 and max(most) == 1


def test_a_failure_is_a_note_and_the_result_stays(settings: Settings, tiny_model: Path, tiny_dataset: Dataset,
                                                  tmp_path: Path) -> None:
    result = execute(recipe(tiny_dataset, tiny_model, "probe"), settings=settings, workspace=WORKSPACE,
                     run_dir=tmp_path / "run", observer=Notes())
    (tmp_path / "run" / "artifact" / "labels.json").write_text("{")
    notes = Notes()
    after = features_phase.after(result, tmp_path / "run", settings=settings, workspace=WORKSPACE, observer=notes)
    assert after.metrics == result.metrics and stored(tmp_path / "run") == after
    assert any("features were not made" in note for note in notes.notes)
    assert not (tmp_path / "run" / "features").exists()


@dataclass
class Impatient(Notes):
    """Asks to stop once the first rows have gone through a model for the features."""

    asked: bool = False

    def progress(self, done: float, total: float | None, unit: str, note: str = "") -> None:
        self.asked = self.asked or (bool(self.phases) and self.phases[-1] is Phase.FEATURES)

    def should_stop(self) -> bool:
        return self.asked


def test_a_stop_in_the_phase_ends_it_and_leaves_a_complete_run(settings: Settings, tiny_model: Path,
                                                               tiny_dataset: Dataset, tmp_path: Path) -> None:
    impatient = Impatient()
    result = trained(recipe(tiny_dataset, tiny_model, "full"), settings, tmp_path / "run", impatient)
    assert result.complete and result.steps > 0 and "accuracy" in result.metrics["test"]
    assert not feature_paths.of_run(tmp_path / "run", settings=settings, rows=2000).ready
    assert any("stopped after its result was known" in note for note in impatient.notes)


def test_what_was_cut_off_in_the_phase_goes_on_there(settings: Settings, tiny_model: Path, tiny_dataset: Dataset,
                                                     tmp_path: Path) -> None:
    wanted = recipe(tiny_dataset, tiny_model, "lora")
    result = execute(wanted, settings=settings, workspace=WORKSPACE, run_dir=tmp_path / "run", observer=Notes())
    assert not (tmp_path / "run" / "checkpoints").exists(), "nothing to train from is left"
    notes = Notes()
    after = trained(wanted, settings, tmp_path / "run", notes, resume=True)
    assert notes.phases == [Phase.FEATURES] and not notes.steps
    assert (after.metrics, after.seconds) == (result.metrics, result.seconds)
    assert feature_paths.of_run(tmp_path / "run", settings=settings, rows=2000).ready


def test_a_run_that_was_stopped_trains_on_and_gets_features_of_its_last_model(
        settings: Settings, tiny_model: Path, tiny_dataset: Dataset, tmp_path: Path) -> None:
    wanted = recipe(tiny_dataset, tiny_model, "full", epochs=2.0, early_stopping_patience=0)
    result = trained(wanted, settings, tmp_path / "run", Notes(stop_at=3))
    assert not result.complete and Phase.FEATURES not in result.phase_seconds
    assert features_phase.finished(tmp_path / "run") is None
    folder = tmp_path / "run" / "features"
    for name in ("final-2000.safetensors", "weights.json", "beside-other.safetensors"):
        files.write_bytes(folder / name, b"of the stopped model")
    whole = trained(wanted, settings, tmp_path / "run", Notes(), resume=True)
    assert whole.complete and whole.steps > result.steps
    assert not (folder / "beside-other.safetensors").exists()
    assert feature_paths.of_run(tmp_path / "run", settings=settings, rows=2000).ready
    assert (folder / "weights.json").read_bytes() != b"of the stopped model"


def test_a_result_of_an_earlier_version_is_not_taken_for_a_complete_one(tmp_path: Path) -> None:
    old = {"metrics": {}, "trainable_params": 1, "total_params": 2, "seconds": 1.0, "phase_seconds": {},
           "peak_memory_bytes": 1, "estimated_memory_bytes": 1, "artifact_bytes": 1, "steps": 1, "samples": 1,
           "precision": "fp32", "device": "cpu", "schema_version": 1}
    files.write_json(tmp_path / "result.json", old)
    assert codec.read(Result, old).complete is False and features_phase.finished(tmp_path) is None
    (tmp_path / "result.json").write_text("[")
    assert features_phase.finished(tmp_path) is None
