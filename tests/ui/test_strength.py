"""The Strength page: a button before anything was measured, then a slider over measured settings, and saved ones."""

from __future__ import annotations

from pathlib import Path

import pytest

from core.analysis import strength_files
from core.analysis.strength_files import Curve, Curves, Measured, Point, Sample
from core.domain.run import Interval, JobKind
from core.domain.strength import Dial, HeadRule
from core.settings import Settings
from core.store import Store
from tests.conftest import WORKSPACE
from tests.ui.conftest import Ended, put_facts, shown


def point(at: float, score: float, sentence: str) -> Point:
    difference = None if at == 1 else Interval(value=score - 0.8, low=score - 0.85, high=score - 0.75)
    found = Measured(scores={"accuracy": Interval(value=score, low=score - 0.05, high=score + 0.05)},
                     difference=difference, clear=at == 0.5, sentence=sentence)
    return Point(at=at, sets={"validation": found, "test": found})


@pytest.fixture
def run(settings: Settings, ended: Ended) -> str:
    """A LoRA run with an artifact."""
    put_facts(settings)
    for id in ended.done:
        folder = Path(Store(settings).jobs.get(WORKSPACE, id).folder)
        (folder / "artifact").mkdir(exist_ok=True)
        (folder / "artifact" / "labels.json").write_text('{"classes": ["a"], "precision": "fp32"}', encoding="utf-8")
    return ended.done[1]


def measured(settings: Settings, run: str) -> Path:
    folder = Path(Store(settings).jobs.get(WORKSPACE, run).folder)
    points = (point(0.0, 0.7, "Strength 0 is worse."), point(0.5, 0.9, "Strength 0.5 is better by 10 points."),
              point(1.0, 0.8, ""))
    curve = Curve(dial=Dial.STRENGTH, blocks=(), head=HeadRule.FOLLOWS, points=points)
    samples = {name: Sample(rows=18, of=18, metric="accuracy") for name in ("validation", "test")}
    strength_files.save(folder, Curves(curves=(curve,), samples=samples, head_follows=True, base_in_four_bits=False,
                                       rank=4, moved=("block 4", "block 5"), precision="fp32", point_seconds=1.0))
    return folder


def test_a_run_that_was_not_turned_is_measured_by_a_worker(app, run, settings):
    at = app("strength", run=run)
    assert not at.exception and not [error.value for error in at.error]
    assert "was not turned yet" in shown(at)
    at.button(key="strength_measure").click().run()
    job, = Store(settings).jobs.list(WORKSPACE, kind=JobKind.STRENGTH)
    assert job.payload["dial"] == "strength" and job.payload["values"] == []
    assert "being measured" in shown(at)


def test_the_slider_stops_where_something_was_measured(app, run, settings):
    folder = measured(settings, run)
    at = app("strength", run=run)
    assert not at.exception and not [error.value for error in at.error]
    words = shown(at).replace("\\", "")
    assert "Chosen on validation rows: strength 0.5. Strength 0.5 is better by 10 points." in words
    slider = at.select_slider[0]
    assert slider.options == ["0 · base", "0.5", "1 · as trained"] and slider.value == 1.0
    assert [tile.value for tile in at.metric] == ["0.80 (0.75–0.85)"] * 2
    slider.set_value(0.5).run()
    assert [tile.value for tile in at.metric] == ["0.90 (0.85–0.95)"] * 2 and at.metric[0].delta == "+10.0 points"
    at.text_input(key="strength_name").input("careful").run()
    at.button(key="strength_save").click().run()
    assert not at.error and strength_files.points(folder)["careful"].strength == 0.5
    assert "careful" in shown(at)


def test_several_blocks_are_turned_together(app, run, settings):
    measured(settings, run)
    at = app("strength", run=run)
    what = next(box for box in at.multiselect if box.label == "What is turned")
    assert what.options == ["block 4", "block 5", "head"] and what.value == []
    what.set_value(["head", "block 4"]).run()
    assert not at.exception and "Strength of block 4, head was not measured yet" in shown(at)
    at.button(key="strength_measure").click().run()
    job, = Store(settings).jobs.list(WORKSPACE, kind=JobKind.STRENGTH)
    assert job.payload["blocks"] == ["block 4", "head"]


def test_a_method_that_changes_nothing_says_so(app, run, ended):
    at = app("strength", run=ended.done[0])
    assert not at.exception and "no change to turn" in at.error[0].value
