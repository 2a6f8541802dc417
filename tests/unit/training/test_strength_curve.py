"""The measured curve: the tuned model's and the base model's own scores at its ends, paired tests between, and blocks
below the first turned one computed once."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from core import metrics
from core.analysis import strength_files, strength_words
from core.analysis.strength_files import Curve, Curves, Measured, Point, Sample
from core.domain.dataset import Dataset, Task
from core.domain.freeze import FreezePlan
from core.domain.run import Interval
from core.domain.side import Side, Which
from core.domain.strength import Dial, HeadRule
from core.errors import NotFoundError, RecipeError
from core.settings import Settings
from core.training import artifact, strength_curve
from core.training.session import read_rows
from tests import tiny
from tests.conftest import WORKSPACE, Notes, write_dataset, write_language_dataset
from tests.unit.training.test_strength import trained


def measured(folder: Path, settings: Settings, notes: Notes | None = None, **asked: Any) -> Curves:
    return strength_curve.measure({"run": str(folder), **asked}, settings=settings, workspace=WORKSPACE,
                                  observer=notes or Notes())


@pytest.fixture
def dataset(settings: Settings) -> Dataset:
    return write_dataset(settings, n_rows=90, shift_rows=12)


def scores(side: Side, settings: Settings, dataset: Dataset, split: str) -> float:
    rows = read_rows(dataset, settings=settings, workspace=WORKSPACE)
    indices = rows.of(split)
    model = artifact.load(side, settings=settings)
    kept = model.outputs([rows.content[index] for index in indices])
    return float((kept["logits"].argmax(1) == rows.labels[indices]).mean())


def test_the_ends_are_the_two_models_and_the_curve_is_kept(settings: Settings, tiny_model: Path, dataset: Dataset,
                                                          tmp_path: Path) -> None:
    folder = trained(dataset, tiny_model, settings, tmp_path / "run", method="full", epochs=2.0, learning_rate=1e-3)
    found = measured(folder, settings)
    curve = found.find(Dial.STRENGTH, (), HeadRule.FOLLOWS)
    assert curve is not None and strength_files.read(folder) == found
    assert [point.at for point in curve.points] == [-0.5, -0.25, 0.0, 0.25, 0.5, 0.75, 1.0, 1.25, 1.5]
    assert {name: (sample.rows, sample.of) for name, sample in found.samples.items()} == {
        "validation": (18, 18), "test": (18, 18), "shift": (12, 12)}
    points = {point.at: point for point in curve.points}
    for at, side in ((0.0, Side.of(folder, Which.BASE)), (1.0, Side.of(folder)),
                     (0.5, replace(Side.of(folder), strength=0.5))):
        for split in found.samples:
            value = points[at].sets[split].scores["accuracy"]
            assert value.value == pytest.approx(scores(side, settings, dataset, split)) and value.low <= value.high
    assert points[1.0].sets["test"].difference is None
    for at, point in points.items():
        difference = point.sets["test"].difference
        tuned = points[1.0].sets["test"].scores["accuracy"].value
        assert at == 1.0 or (difference is not None
                             and difference.value == pytest.approx(point.sets["test"].scores["accuracy"].value - tuned))
    again = measured(folder, settings, values=[0.6])
    assert [point.at for point in again.find(Dial.STRENGTH, (), HeadRule.FOLLOWS).points] == [
        -0.5, -0.25, 0.0, 0.25, 0.5, 0.6, 0.75, 1.0, 1.25, 1.5]


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_blocks_below_the_first_turned_one_are_computed_once(precision: str, settings: Settings, tiny_model: Path,
                                                             dataset: Dataset, tmp_path: Path,
                                                             monkeypatch: pytest.MonkeyPatch) -> None:
    """The same numbers with and without what is kept."""
    plan = FreezePlan(frozen=("embeddings", "block 0", "block 1"))
    folder = trained(dataset, tiny_model, settings, tmp_path / "run", method="partial", freeze=plan,
                     precision=precision)
    notes = Notes()
    kept = measured(folder, settings, notes, values=[0.0, 0.5])
    assert any("below block 2" in note for note in notes.notes) and kept.moved == ("block 2", "block 3")
    one = measured(folder, settings, notes, values=[0.0, 0.5], blocks=["block 3"])
    assert any("below block 3" in note for note in notes.notes)
    monkeypatch.setattr(strength_curve, "KEPT_BYTES", 0)
    strength_files.forget(folder)
    notes = Notes()
    plain = measured(folder, settings, notes, values=[0.0, 0.5])
    plain_one = measured(folder, settings, notes, values=[0.0, 0.5], blocks=["block 3"])
    assert not notes.notes and plain.curves == kept.curves and plain_one.curves == one.curves
    assert one.curves[0].points != one.curves[1].points


def test_ranks_and_intruders_of_low_rank_updates(settings: Settings, tiny_model: Path, dataset: Dataset,
                                                 tmp_path: Path) -> None:
    folder = trained(dataset, tiny_model, settings, tmp_path / "run", method="lora")
    found = measured(folder, settings, dial="rank")
    assert found.rank == 4 and [point.at for point in found.curves[0].points] == [1, 2, 4]
    assert found.curves[0].points[-1].sets["test"].difference is None
    found = measured(folder, settings, dial="intruders", values=[0.0, 1.0])
    assert not found.no_intruders and [curve.dial for curve in found.curves] == [Dial.RANK, Dial.INTRUDERS]
    whole = trained(dataset, tiny_model, settings, tmp_path / "whole", method="full")
    with pytest.raises(RecipeError, match="rank of this run"):
        measured(whole, settings, dial="rank", values=[1])
    with pytest.raises(RecipeError, match="Intruder dimensions"):
        measured(whole, settings, dial="intruders", values=[0.5])


def test_a_language_model_is_measured_on_the_forgetting_panel_too(settings: Settings, tmp_path: Path,
                                                                  monkeypatch: pytest.MonkeyPatch) -> None:
    from core.data import panel
    from core.data.panel import Document

    texts, _ = tiny.make_texts(40, seed=9)
    documents = tuple(Document(domain=name, text=texts[8 * place + number])
                      for place, name in enumerate(panel.BY_NAME) for number in range(8))
    monkeypatch.setattr(panel, "load", lambda **options: documents)
    dataset = write_language_dataset(settings, n_rows=40, shift_rows=8)
    folder = trained(dataset, tiny.language("llama", tmp_path / "llama"), settings, tmp_path / "run", method="lora",
                     task=Task.LANGUAGE_MODELLING)
    found = measured(folder, settings, values=[0.0, 0.5, 1.0])
    assert found.samples["panel"].rows == 30 and found.samples["test"].metric == "loss"
    points = {point.at: point for point in found.curves[0].points}
    change = points[0.0].sets["panel"].difference
    assert change is not None and change.low < change.value < change.high
    values = {at: point.sets["panel"].scores["loss"].value for at, point in points.items()}
    assert change.value == pytest.approx(values[0.0] - values[1.0]) and np.isfinite(list(values.values())).all()
    stored = metrics.REGISTRY["loss"]
    assert points[1.0].sets["test"].scores[stored.name].value > 0


def test_what_has_nothing_to_turn_is_refused(settings: Settings, tiny_model: Path, dataset: Dataset,
                                             tmp_path: Path) -> None:
    folder = trained(dataset, tiny_model, settings, tmp_path / "run", method="probe")
    with pytest.raises(RecipeError, match="nothing to turn"):
        measured(folder, settings)
    with pytest.raises(RecipeError, match="no dial"):
        measured(folder, settings, dial="colour")
    with pytest.raises(NotFoundError):
        measured(tmp_path / "nowhere", settings)


def test_stopped_early_it_keeps_what_it_has(settings: Settings, tiny_model: Path, dataset: Dataset,
                                            tmp_path: Path) -> None:
    folder = trained(dataset, tiny_model, settings, tmp_path / "run", method="lora")

    class Impatient(Notes):
        def progress(self, done: float, total: float | None, unit: str, note: str = "") -> None:
            self.settings_done = done if unit == "settings" else 0

        def should_stop(self) -> bool:
            return self.settings_done >= 2

    found = measured(folder, settings, Impatient())
    assert [point.at for point in found.curves[0].points] == [-0.5, -0.25]


# -- what may be said --------------------------------------------------------------------------------------------------


def point(at: float, validation: float, *, clear: bool = False, test: str = "") -> Point:
    known = at != 1.0
    difference = Interval(value=0.1, low=0.05, high=0.15) if known else None
    part = {"accuracy": Interval(value=validation, low=0.0, high=1.0)}
    return Point(at=at, sets={
        "validation": Measured(scores=part, difference=difference, clear=clear, sentence="It is better." * known),
        "test": Measured(scores=part, difference=difference, sentence=test)})


def document(*points: Point) -> tuple[Curves, Curve]:
    curve = Curve(dial=Dial.STRENGTH, blocks=(), head=HeadRule.FOLLOWS, points=points)
    samples = {name: Sample(rows=10, of=10, metric="accuracy") for name in ("validation", "test")}
    return Curves(curves=(curve,), samples=samples, head_follows=True, base_in_four_bits=False), curve


def test_validation_chooses_and_test_only_judges() -> None:
    found = document(point(0.5, 0.9, clear=True, test="No better."), point(1.0, 0.8), point(1.5, 0.7, test="x"))
    assert strength_words.sentences(*found) == ["Chosen on validation rows: strength 0.5. It is better.",
                                                "Test rows: No better."]


def test_a_choice_that_is_not_told_apart_is_no_reason_to_leave_the_model_as_trained() -> None:
    found = document(point(0.5, 0.9, test="No better."), point(1.0, 0.8))
    assert "do not tell it from the model as trained" in strength_words.sentences(*found)[0]
    assert "better" not in strength_words.sentences(*found)[0].replace("like", "")


def test_of_equal_settings_the_nearest_to_the_model_as_trained_is_chosen() -> None:
    curves, curve = document(point(0.5, 0.8), point(1.0, 0.8), point(1.5, 0.8))
    best = strength_words.best(curves, curve)
    assert best is not None and best.at == 1.0
    assert "nothing is better than the model as trained" in strength_words.sentences(curves, curve)[0]
