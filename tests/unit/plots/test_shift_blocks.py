"""Charts by block: titles claim only what the bands support, frozen spans are shaded, the map's scale is fixed."""

import numpy as np
import pytest

from core.plots import palette, shift_blocks

NAMES = ["embeddings", "block 0", "block 1", "block 2"]


def made(cka, low=None, high=None, **changes):
    values = {"cka": cka, "cka_low": low or cka, "cka_high": high or cka, "kept": [1.0, 0.9, 0.8, None],
              "unrelated": 0.01, "displacement": [0.0, 0.1, 0.2, None], "probe_base": [0.5, 0.6, 0.7, None],
              "probe_tuned": [0.5, 0.7, 0.9, None], "majority": 0.25}
    return shift_blocks.where(NAMES, [True, True, False, False], **{**values, **changes})


def test_the_block_that_changed_most_is_named_when_bands_are_apart():
    chart = made([1.0, 0.9, 0.5, None], [1.0, 0.88, 0.45, None], [1.0, 0.92, 0.55, None])
    assert chart.title == "By CKA, features changed most in block 1 (0.50, 1 = unchanged)"
    assert "Frozen and exactly unchanged: embeddings." in chart.alt and "block 2 not measured" in chart.alt


def test_overlapping_bands_are_not_ranked():
    chart = made([1.0, 0.6, 0.5, 0.55], [1.0, 0.52, 0.45, 0.5], [1.0, 0.68, 0.55, 0.6])
    assert chart.title == "By CKA, features changed most in block 0, block 1 and block 2, which this sample cannot rank"


def test_identical_and_unmeasured():
    assert made([1.0] * 4).title == "No block changed: A and B are identical"
    assert made([None] * 4, [None] * 4, [None] * 4).title == "No block can be compared"


def test_frozen_span_is_ice_blue_in_every_row_and_covers_the_frozen_blocks():
    spans = [s for s in made([1.0, 0.9, 0.5, 0.6]).figure.layout.shapes if s.type == "rect"]
    assert len(spans) == 3 and {(s.x0, s.x1, s.fillcolor) for s in spans} == {(-0.5, 1.5, palette.FROZEN)}


def test_values_reach_the_figure_unchanged_and_optional_lines_are_optional():
    chart = made([1.0, 0.9, 0.5, None], displacement_shift=[0.0, 0.0, 0.1, None], yardstick=[0.9] * 4, selected=2)
    lines = {t.name: list(t.y) for t in chart.figure.data if t.name}
    assert lines["CKA"] == [1.0, 0.9, 0.5, None] and lines["unrelated features, at most"] == [0.01, 0.01]
    assert lines["typical move, shift rows"][2] == 0.1 and lines["CKA between two seeds"] == [0.9] * 4
    plain = made([1.0, 0.9, 0.5, None], probe_base=None, probe_tuned=None)
    assert not any("probe" in (t.name or "") for t in plain.figure.data)


@pytest.mark.parametrize("diagonal", [[1.0, 0.4], [1.0, 1.0]])
def test_map_scale_is_fixed_and_the_diagonal_is_told(diagonal):
    chart = shift_blocks.block_map([[diagonal[0], 0.2], [-0.01, diagonal[1]]], base_names=["a", "b"],
                                   tuned_names=["a", "b"], selected=1)
    heat = chart.figure.data[0]
    assert (heat.zmin, heat.zmax) == (0, 1) and heat.z[1][0] == -0.01
    expected = {1.0: "Every block is identical in both models",
                0.4: "Each block of A and the same of B: CKA from 0.40 to 1.00"}
    assert chart.title == expected[diagonal[1]]


def test_map_writes_1_for_exactly_1_only():
    heat = shift_blocks.block_map([[1.0, 0.714], [None, 0.998]], base_names=["a", "b"],
                                  tuned_names=["a", "b"]).figure.data[0]
    assert [list(line) for line in heat.text] == [["1", ".71"], ["", "1.00"]]


def test_map_of_different_depths_and_of_nothing():
    chart = shift_blocks.block_map([[0.1, 0.9], [0.2, 0.3], [0.3, 0.95]], base_names=["a", "b", "c"],
                                   tuned_names=["x", "y"])
    assert chart.title == "y of B is most like c of A"
    assert shift_blocks.block_map([[None]], base_names=["a"], tuned_names=["x"]).title == "No block can be compared"
    assert np.isnan(shift_blocks.block_map([[None]], base_names=["a"], tuned_names=["x"]).figure.data[0].z).all()


def test_of_eighty_blocks_as_many_are_named_as_have_room() -> None:
    names = [f"block {i}" for i in range(80)]
    figure = shift_blocks.block_map(np.eye(80).tolist(), base_names=names, tuned_names=names).figure
    assert list(figure.layout.xaxis.ticktext) == names[::10] and list(figure.layout.yaxis.ticktext) == names[::5]
