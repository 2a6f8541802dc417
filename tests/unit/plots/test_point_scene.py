"""What the page's canvas is told: the same positions, colours and arrows as the figure."""

import base64
import json

import numpy as np

from core.plots import palette, point_scene, shift_map
from core.plots.shift_map import Colouring

RNG = np.random.default_rng(0)
BASE = RNG.standard_normal((80, 2))
TUNED = BASE + RNG.standard_normal((80, 2)) * 0.2
KEPT, LABELS = RNG.random(80), np.arange(80) % 3
DISTANCE = np.linalg.norm(TUNED - BASE, axis=1)
CLASSES = Colouring(title="Label", values=LABELS.astype(float), classes=("a", "b", "c"))


def scene(mode=point_scene.PANES, colouring=CLASSES, **more):
    return point_scene.scene(mode, BASE, TUNED, colouring, names=("A", "B"), hover=["a\nrow"] * 80, distance=DISTANCE,
                             kept=KEPT, **{"labels": LABELS, **more})


def unpacked(text, kind):
    return np.frombuffer(base64.b64decode(text), kind)


def test_positions_arrive_as_they_are_and_the_scene_is_json():
    found = json.loads(json.dumps(scene()))
    np.testing.assert_allclose(unpacked(found["base"], "<f4").reshape(-1, 2), BASE, rtol=1e-6)
    np.testing.assert_allclose(unpacked(found["tuned"], "<f4").reshape(-1, 2), TUNED, rtol=1e-6)
    middle_x, middle_y, half = found["window"]
    for side in (BASE, TUNED):
        assert np.all(np.abs(side - [middle_x, middle_y]) <= half)


def test_each_class_has_the_look_that_it_has_everywhere_and_unknown_rows_are_grey():
    values = LABELS.astype(float)
    values[:5] = -1
    found = scene(colouring=Colouring(title="Label", values=values, classes=("a", "b", "c")))
    looks = unpacked(found["look"], "u1")
    assert found["looks"][looks[0]] == [palette.BASE, "circle-open"]
    assert ([found["looks"][look] for look in looks[5:8]]
            == [[palette.arm(c).colour, palette.arm(c).symbol] for c in LABELS[5:8]])
    assert [name for name, _ in found["legend"]] == ["a", "b", "c"] and found["scale"] is None


def test_rows_of_a_second_dataset_have_a_look_that_no_class_has():
    values = np.append(LABELS[:-9].astype(float), np.full(9, 3))
    for classes in (("a", "b", "c"), tuple(map(str, range(300)))):
        far = Colouring(title="Label", values=np.where(values == 3, len(classes), values), classes=classes,
                        second="Other rows")
        found = scene(colouring=far)
        looks = unpacked(found["look"], "u1")
        assert {tuple(found["looks"][look]) for look in looks[-9:]} == {(palette.SECOND.colour, palette.SECOND.symbol)}
        assert ((palette.SECOND.colour, palette.SECOND.symbol)
                not in {tuple(found["looks"][look]) for look in looks[:-9]})
        assert found["legend"][-1] == ["Other rows", int(looks[-1])]
        drawn = shift_map.panes(BASE, TUNED, far, row_ids=range(80), hover=[""] * 80, names=("A", "B")).figure
        assert set(drawn.data[0].marker.symbol[-9:]) == {palette.SECOND.symbol} and drawn.data[-1].name == "Other rows"


def test_a_measured_colour_runs_from_the_low_to_the_high_end():
    values = np.linspace(0, 2, 80)
    values[3] = np.nan
    found = scene(colouring=Colouring(title="Move", values=values, low=0.0, high=1.0))
    looks = unpacked(found["look"], "u1")
    assert (looks[0], looks[-1], looks[3]) == (0, point_scene.SHADES - 1, point_scene.SHADES)
    assert found["scale"] == {"title": "Move", "low": "0", "high": "1"}


def test_arrows_are_those_of_the_figure_and_none_where_nothing_moved():
    found = scene(point_scene.ARROWS)
    lines = {g["name"]: 0 for g in found["arrows"]}
    for group in found["arrows"]:
        lines[group["name"]] += len(group["lines"]) // 4
    assert lines == {"largest movers": shift_map.MOVERS, "class centroids": 3}
    start = np.array(found["arrows"][-1]["lines"]).reshape(3, 4)
    np.testing.assert_allclose(start[1, :2], BASE[LABELS == 1].mean(axis=0))
    np.testing.assert_allclose(start[1, 2:], TUNED[LABELS == 1].mean(axis=0))
    assert scene(point_scene.ARROWS, arrows=False)["arrows"] == []
    assert scene(point_scene.PANES)["arrows"] == []


def test_more_classes_than_a_byte_holds_still_have_looks():
    values = np.arange(80.0) + 250
    found = scene(colouring=Colouring(title="Label", values=values, classes=tuple(map(str, range(400)))), labels=None)
    assert unpacked(found["look"], "u1").max() < len(found["looks"]) <= 256
