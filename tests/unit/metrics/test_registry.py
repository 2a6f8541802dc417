"""The registry: what applies, which metric decides, and that every metric can be resampled, pooled and compared."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.errors import DataError
from core.metrics import OF_CLASSES, Judged, Metric, Need, Unit, arms, measure, merit, primary, shared, values
from core.metrics.paired import RightOrWrong, by_metric

LOSS = Metric(name="mean_margin", label="mean margin", meaning="Mean of what is left to certainty.",
              higher_is_better=False, unit=Unit.PLAIN, needs=frozenset({Need.PROBABILITIES}),
              parts=lambda judged: 1 - judged.of(Need.PROBABILITIES).max(1, keepdims=True))


def made(n_rows: int, error: float, seed: int = 0, n_classes: int = 3) -> Judged:
    rng = np.random.default_rng(seed)
    labels = np.arange(n_rows) % n_classes
    predictions = np.where(rng.random(n_rows) < error, (labels + 1) % n_classes, labels)
    probabilities = np.full((n_rows, n_classes), 0.15 / n_classes)
    probabilities[np.arange(n_rows), predictions] += 0.85  # 0.9 sure of three classes
    return Judged(labels=labels, predictions=predictions, probabilities=probabilities)


def test_a_metric_is_measured_where_its_needs_are_met() -> None:
    judged = made(30, 0.2)
    assert set(measure(judged)) == set(values(judged)) == {metric.name for metric in OF_CLASSES}
    bare = Judged(labels=judged.labels, predictions=judged.predictions)
    assert {metric.name for metric in shared([judged, bare])} == set(values(bare)) <= set(values(judged))
    assert measure(Judged(predictions=judged.predictions)) == {}
    with pytest.raises(DataError, match="no probabilities"):
        bare.of(Need.PROBABILITIES)


@pytest.mark.parametrize("fields", [
    {}, {"labels": []}, {"labels": [0, 1], "predictions": [0]},
    {"labels": [0], "predictions": [2], "probabilities": np.ones((1, 2))},
    {"predictions": [0, 1], "probabilities": np.ones((3, 2))},
])
def test_rows_that_do_not_fit_each_other_are_refused(fields: dict[str, np.ndarray]) -> None:
    with pytest.raises(DataError) as caught:
        Judged(**fields)
    assert caught.value.what and caught.value.why and caught.value.remedy


def test_the_first_metric_there_decides_and_unknown_names_do_not() -> None:
    assert primary(["loss", *(metric.name for metric in reversed(OF_CLASSES))]) is OF_CLASSES[0]
    assert primary([OF_CLASSES[1].name]) is OF_CLASSES[1] and primary(["nonsense"]) is None
    assert merit({"loss": 9.0, OF_CLASSES[0].name: 0.25}) == 0.25 * OF_CLASSES[0].sign
    assert merit({"expected_calibration_error": 0.25}) == -0.25
    with pytest.raises(KeyError, match="No metric"):
        merit({"nonsense": 1.0})


@pytest.mark.parametrize("metric", OF_CLASSES, ids=lambda metric: metric.name)
def test_the_way_that_is_called_better_is_that_of_the_better_predictions(metric: Metric) -> None:
    good, bad = made(400, 0.05), made(400, 0.6, seed=1)
    assert metric.sign * metric.value(good) > metric.sign * metric.value(bad) and abs(metric.sign) == 1
    way = "Higher" if metric.value(good) > metric.value(bad) else "Lower"
    assert metric.explanation == f"{metric.meaning} {way} is better."


def test_names_on_screen() -> None:
    assert [metric.on("test") for metric in OF_CLASSES] == ["test accuracy", "test macro-F1",
                                                         "test expected calibration error"]
    assert OF_CLASSES[1].heading("validation") == "Validation macro-F1"


@settings(deadline=None, max_examples=25)
@given(st.integers(1, 60), st.floats(0, 1), st.integers(0, 5))
def test_every_metric_holds_its_value_in_its_interval_however_rows_lie(n_rows: int, error: float, seed: int) -> None:
    judged = made(n_rows, error, seed)
    order = np.random.default_rng(seed).permutation(n_rows)
    turned = Judged(labels=judged.labels[order], predictions=judged.predictions[order],
                    probabilities=judged.probabilities[order])
    found = measure(judged, seed=seed, samples=50)
    assert found == measure(judged, seed=seed, samples=50)
    assert values(turned) == pytest.approx(values(judged))
    for name, interval in found.items():
        assert interval.low <= interval.value <= interval.high and interval.value == pytest.approx(values(judged)[name])
    for metric in OF_CLASSES:
        pooled = arms.mean(metric, [judged, made(n_rows, error, seed + 1)])
        assert pooled.low <= pooled.value <= pooled.high


@pytest.mark.parametrize("metric", OF_CLASSES, ids=lambda metric: metric.name)
def test_two_runs_are_compared_by_any_metric(metric: Metric) -> None:
    good, bad = made(400, 0.05), made(400, 0.6, seed=1)
    one, two = by_metric(metric, good, bad), by_metric(metric, bad, good)
    assert (one.difference.value == pytest.approx(metric.value(good) - metric.value(bad))
            == pytest.approx(-two.difference.value))
    assert one.difference.low <= one.difference.value <= one.difference.high and metric.label in one.sentence
    best = "A" if metric.sign * one.difference.value > 0 else "B"
    assert one.sentence.startswith(f"{best} is better than")
    assert "do not tell A and B apart" in by_metric(metric, good, made(400, 0.05, seed=2)).sentence
    assert isinstance(one, RightOrWrong) == (metric.row_values(good) is not None)
    with pytest.raises(DataError):
        by_metric(metric, good, made(399, 0.1))


def test_values_a_row_average_to_the_metric() -> None:
    judged = made(50, 0.3)
    for metric in (LOSS, *OF_CLASSES):
        rows = metric.row_values(judged)
        assert rows is None or (rows.shape == (50,) and rows.mean() == pytest.approx(metric.value(judged)))
    assert LOSS.row_values(judged) is not None


def test_a_paired_sentence_of_lower_is_better_in_its_own_numbers() -> None:
    sure, unsure = made(200, 0.1), made(200, 0.1)
    spread = np.random.default_rng(0).uniform(0.4, 0.6, 200)[:, None]
    unsure = Judged(labels=sure.labels, predictions=sure.predictions, probabilities=sure.probabilities * spread)
    found = by_metric(LOSS, unsure, sure, name_a="probe", name_b="LoRA")
    assert found.sentence.startswith("LoRA is better than probe on these 200 rows: its mean margin is lower by 0.4")
    assert "points" not in found.sentence and "bootstrap" in found.how
