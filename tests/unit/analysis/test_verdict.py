"""The verdict card: better, worse, cannot tell, from predictions written by hand."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from core import metrics
from core.analysis import predictions, verdict
from core.analysis.forgetting import Word
from core.analysis.verdict import Ended
from core.domain.dataset import Task
from core.domain.recipe import Recipe
from core.domain.run import Interval, JobKind, PanelChange, Result, Run, Status
from core.models import methods
from core.settings import Settings

SOLVED = next(name for name, method in methods.REGISTRY.items() if method.card.solved)
TRAINED = next(name for name, method in methods.REGISTRY.items() if method.card.adapter)
N = 400


def ended(folder: Path, method: str, *, right: float, seed: int = 0, seconds: float = 10.0, **more: object) -> Ended:
    """A classification run on 400 test rows of which so many are right, the first ones."""
    folder.mkdir(parents=True)
    labels = np.arange(N) % 2
    guesses = np.where(np.arange(N) < right * N, labels, 1 - labels)
    pq.write_table(pa.table({"row_id": np.arange(N), "label": labels, "prediction": guesses}),
                   folder / "predictions-test.parquet")
    found = predictions.read(folder, "test")
    assert found is not None
    result = Result(metrics={"test": metrics.measure(found.judged)}, trainable_params=5, total_params=10,
                    seconds=seconds, phase_seconds={}, peak_memory_bytes=10**9, estimated_memory_bytes=4,
                    artifact_bytes=10**6, steps=6, samples=7, precision="fp32", device="cpu", dataset_hash="d")
    recipe = Recipe(dataset="d", base_model="m", method=method, seed=seed)
    run = Run(id=folder.name, workspace="w", kind=JobKind.TRAIN, name="", status=Status.DONE, folder=str(folder),
              experiment="e", recipe=recipe)
    return Ended(run=run, result=dataclasses.replace(result, **more), name=folder.name)  # type: ignore[arg-type]


def card(run: Ended, *beside: Ended, home: Path) -> verdict.Verdict:
    return verdict.of_run(run, beside=beside, settings=Settings(home=home))


@pytest.mark.parametrize(("share", "expected"), [(0.90, Word.BETTER), (0.70, Word.WORSE), (0.8025, Word.UNCLEAR)])
def test_target_against_the_probe_of_the_experiment(tmp_path: Path, share: float, expected: Word) -> None:
    probe, run = ended(tmp_path / "p", SOLVED, right=0.8), ended(tmp_path / "r", TRAINED, right=share)
    found = card(run, probe, home=tmp_path)
    line = found.line("target")
    assert (line.word, line.metric, found.against) == (expected, "accuracy", "the linear probe")
    assert line.difference is not None and line.difference.value == pytest.approx(share - 0.8)
    assert line.to_do == "" and line.floor.source == ""
    assert f"80.0 → {100 * share:.1f}" in line.sentence
    assert found.line("shift").word is Word.UNCLEAR and "no shift rows" in found.line("shift").sentence
    assert found.line("forgetting").word is Word.UNCLEAR


def test_a_difference_that_another_seed_makes_is_not_called(tmp_path: Path) -> None:
    probe = ended(tmp_path / "p", SOLVED, right=0.8)
    seeds = [ended(tmp_path / f"r{seed}", TRAINED, right=share, seed=seed)
             for seed, share in enumerate((0.84, 0.74, 0.90))]
    assert card(seeds[0], probe, home=tmp_path).line("target").word is Word.BETTER
    line = card(seeds[0], probe, *seeds[1:], home=tmp_path).line("target")
    assert line.word is Word.UNCLEAR and line.floor.source == "seeds"
    assert line.floor.value == pytest.approx(2 * np.std([0.84, 0.74, 0.90], ddof=1))


def test_without_a_probe_it_says_what_to_run(tmp_path: Path) -> None:
    line = card(ended(tmp_path / "r", TRAINED, right=0.9), home=tmp_path).line("target")
    assert line.word is Word.UNCLEAR and line.to_do == verdict.RUN_PROBE and line.value is None


def test_the_probe_cannot_be_told_from_itself(tmp_path: Path) -> None:
    found = card(ended(tmp_path / "p", SOLVED, right=0.8), home=tmp_path)
    assert {line.word for line in found.lines if line.subject != "cost"} == {Word.UNCLEAR}


def test_what_a_run_cost_is_stated_of_a_run_alone(tmp_path: Path) -> None:
    for method in (SOLVED, TRAINED):
        line = card(ended(tmp_path / method, method, right=0.8), home=tmp_path).line("cost")
        assert line.word is None and line.to_do == ""
        assert line.sentence == "10 s, 1.00 GB of memory at the peak, 5 trained parameters, 1 MB to keep."
    untrained = card(ended(tmp_path / "none", TRAINED, right=0.8, trainable_params=0), home=tmp_path)
    assert untrained.line("cost").sentence == "10 s, 1.00 GB of memory at the peak, nothing trained."


def test_cost_is_called_from_large_factors_or_over_seeds(tmp_path: Path) -> None:
    probe, slow = (ended(tmp_path / name, method, right=0.8, seconds=s)
                   for name, method, s in (("p", SOLVED, 10.0), ("r", TRAINED, 40.0)))
    assert card(slow, probe, home=tmp_path).line("cost").word is Word.WORSE
    near = ended(tmp_path / "n", TRAINED, right=0.8, seconds=13.0)
    assert card(near, probe, home=tmp_path).line("cost").word is Word.UNCLEAR
    others = [ended(tmp_path / f"{name}{seed}", method, right=0.8, seed=seed, seconds=s + seed / 10)
              for name, method, s in (("p", SOLVED, 10.0), ("n", TRAINED, 13.0)) for seed in (1, 2)]
    assert card(near, probe, *others, home=tmp_path).line("cost").word is Word.WORSE


def test_two_runs_beside_each_other_are_judged_by_time_and_memory(tmp_path: Path) -> None:
    def run(name: str, seconds: float, gigabytes: float, seed: int = 0) -> Ended:
        return ended(tmp_path / name, TRAINED, right=0.8, seconds=seconds, seed=seed,
                     peak_memory_bytes=int(gigabytes * 1e9))

    one = run("one", 10.0, 1.0)
    cases = (("dear", 20.0, 1.0, Word.BETTER, "Costs less than dear: 20 s → 10 s, 1.00 GB → 1.00 GB of memory"),
             ("large", 10.0, 1.5, Word.BETTER, "Costs less than large"),
             ("near", 14.0, 1.1, Word.UNCLEAR, "Cannot be told from near in cost"),
             ("slow but small", 20.0, 0.5, Word.UNCLEAR, "Costs less time, but more memory than slow but small"))
    for name, seconds, gigabytes, expected, said in cases:
        line = verdict.cost_beside(one, run(name, seconds, gigabytes))
        assert line.word is expected and line.sentence.startswith(said), line.sentence
    seeds = [run(f"seed {seed}", 20.0 + seed, 1.0, seed=seed) for seed in (1, 2)]
    assert verdict.cost_beside(one, seeds[0], beside=seeds, settled=[one, *seeds]).word is Word.BETTER


def test_another_device_is_not_compared(tmp_path: Path) -> None:
    probe, run = ended(tmp_path / "p", SOLVED, right=0.8), ended(tmp_path / "r", TRAINED, right=0.8, device="other")
    assert card(run, probe, home=tmp_path).line("cost").word is Word.UNCLEAR


def interval(value: float, half: float) -> Interval:
    return Interval(value=value, low=value - half, high=value + half)


def test_a_language_model_against_the_untouched_one(tmp_path: Path) -> None:
    run = ended(tmp_path / "r", TRAINED, right=0.8)
    metric = "accuracy"  # any that is measured of both
    result = dataclasses.replace(
        run.result, metrics={"test": {metric: interval(0.8, 0.02)}, "shift": {metric: interval(0.5, 0.02)}},
        base={"test": {metric: interval(0.6, 0.02)}, "shift": {metric: interval(0.49, 0.02)}},
        panel={"news": PanelChange(before=4.0, after=4.1, change=interval(0.1, 0.01)),
               "usenet": PanelChange(before=4.0, after=3.0, change=interval(-1, 0.01), trained_on=True)},
        panel_change=interval(0.1, 0.01), noise_floor={"panel": {"news": 0.001}, "pooled": 0.001, "from": "precision"})
    assert run.run.recipe is not None
    recipe = run.run.recipe.replace(task=Task.LANGUAGE_MODELLING)
    language = Ended(run=dataclasses.replace(run.run, recipe=recipe), result=result, name="r")
    found = card(language, home=tmp_path)
    assert [(line.subject, str(line.word)) for line in found.lines] == [
        ("target", "better"), ("shift", "cannot tell"), ("forgetting", "worse"), ("cost", "None")]
    difference = found.line("target").difference
    assert difference is not None and difference.high - difference.value == pytest.approx(0.02 * np.sqrt(2))
    said = found.line("forgetting").sentence
    assert "without usenet" in said and "worse on news" in said
    assert found.headline == ("On its own task better than the untouched model, and forgot some of what it knew.")
    assert "made" not in found.line("shift").sentence
    made = dataclasses.replace(language, result=dataclasses.replace(result, shift_made="made: typos, severity 3"))
    lines = card(made, home=tmp_path)
    assert lines.line("shift").sentence.endswith("The shift set is made: typos, severity 3, from the test rows.")
    assert lines.line("target").sentence == found.line("target").sentence
    without = dataclasses.replace(result, panel={}, panel_change=None)
    assert card(dataclasses.replace(language, result=without), home=tmp_path).line("forgetting").to_do
