"""Histogram, training panels and the drawers: values pass unchanged, titles state the finding, empty cases speak."""

import numpy as np
import pytest

from core.plots import palette, shift_geometry, shift_rows, shift_training


def test_histogram_counts_rows_by_neighbours_kept():
    chart = shift_rows.kept_histogram(np.array([0.1, 0.7, 0.7, 1.0, np.nan]), chance=0.005)
    assert list(chart.figure.data[0].y) == [0, 1, 0, 0, 0, 0, 0, 2, 0, 0, 1]
    assert chart.title == "The typical row keeps 7 of its 10 nearest neighbours (mean 6.2, by chance 0.05)"
    assert "1 rows keep fewer than 5" in chart.alt
    assert shift_rows.kept_histogram(np.ones(4), chance=0.1).title == "Every row keeps all 10 of its nearest neighbours"
    assert shift_rows.kept_histogram(np.full(3, np.nan), chance=0.1).title == "No neighbours could be compared"


def test_training_panels_leave_out_what_was_not_measured():
    steps, cka = [0, 10, 20], [1.0, 0.8, 0.6]
    chart = shift_training.numbers(steps, block="block 5", cka=cka, nc1=[1.0, 0.1, None], effective_rank=None,
                                   knn_accuracy=[0.5, 0.6, 0.7], majority=0.25)
    assert chart.title == "block 5 went from CKA 1.00 to 0.60 between steps 0 and 20"
    assert [t.name for t in chart.figure.data] == ["CKA", "k-NN accuracy", "NC1 (log)"]
    layout = chart.figure.layout
    assert [a.type for a in (layout.yaxis, layout.yaxis2, layout.yaxis3)] == ["linear", "linear", "log"]
    assert "identical" in shift_training.numbers(steps, block="block 0", cka=[1.0] * 3).title
    assert "could not" in shift_training.numbers(steps, block="block 0", cka=[None] * 3).title


def test_spectra_are_relative_and_name_the_ranks():
    chart = shift_geometry.spectra(np.array([4.0, 2.0, 0.0]), np.array([10.0, 1.0]), rank_base=1.9, rank_tuned=1.4,
                                   block="block 2")
    assert list(chart.figure.data[0].y) == [1.0, 0.5] and list(chart.figure.data[1].y) == [1.0, 0.1]
    assert chart.title == "block 2 uses fewer directions in B: effective rank 1.9 in A, 1.4 in B"
    same = shift_geometry.spectra(np.ones(2), np.ones(2), rank_base=2.0, rank_tuned=2.0, block="b")
    assert same.title.endswith("as in A: effective rank 2.0")


def test_numbers_by_block():
    chart = shift_geometry.by_block(["a", "b"], [True, False], label="NC1", base=[2.0, 1.0], tuned=[2.0, None],
                                    log=True, baseline=0.5)
    assert chart.title == "NC1 in a: 2 in A, 2 in B" and chart.figure.layout.yaxis.type == "log"
    assert len([s for s in chart.figure.layout.shapes if s.type == "rect"]) == 1
    assert (shift_geometry.by_block(["a"], [False], label="NC1", base=[None], tuned=[None]).title
            == "NC1 could not be measured")


def test_weights_show_what_changed_in_model_order():
    chart = shift_geometry.weights(["a", "b", "c"], [0.01, 0.0, 0.2], rank90=[1, 0, 8], intruders=[1, 0, None])
    assert list(chart.figure.data[0].y) == ["a", "c"] and list(chart.figure.data[0].x) == [0.01, 0.2]
    assert chart.title == "c changed most, by 20.0 % of its size; 1 intruder dimension in all"
    assert (shift_geometry.weights(["a"], [0.0], rank90=[0], intruders=[0]).title
            == "No published weight changed")
    assert "2 of 3 directions" in shift_geometry.delta_spectrum([3.0, 2.0, 0.1], name="w", rank90=2).title
    assert shift_geometry.delta_spectrum([], name="w", rank90=0).title == "w did not change"


def test_lens_is_a_share():
    chart = shift_geometry.lens(["block 0", "block 1"], base=[0.1, 0.4], tuned=[0.1, 0.6])
    assert tuple(chart.figure.layout.yaxis.range) == (0, 1) and chart.title.endswith("0.4 in A, 0.6 in B")


@pytest.mark.parametrize("chart", [
    shift_rows.kept_histogram(np.array([0.5, 1.0]), chance=0.1),
    shift_geometry.delta_spectrum([1.0], name="w", rank90=1)])
def test_every_chart_has_a_finding_alt_text_and_a_see_through_background(chart):
    assert chart.title and chart.title in chart.alt and chart.alt.endswith(".")
    assert chart.figure.layout.paper_bgcolor == chart.figure.layout.plot_bgcolor == "rgba(0,0,0,0)"


def test_weights_without_effect_are_pale_and_never_the_headline():
    names = ["a.key.bias", "a.query.weight"]
    chart = shift_geometry.weights(names, [0.9, 0.1], rank90=[1, 2], intruders=[None, 0], without_effect=names[:1])
    assert chart.title.startswith("a.query.weight changed most, by 10.0 %")
    assert list(chart.figure.data[0].marker.color) == [palette.BASE, palette.TRAINING]
    alone = shift_geometry.weights(names[:1], [0.9], rank90=[1], intruders=[None], without_effect=names[:1])
    assert alone.title == "Only weights without effect on what the model computes changed"


def test_the_title_tells_of_the_selected_block():
    chart = shift_geometry.by_block(["a", "b"], [False, False], label="NC1", base=[1, 2], tuned=[3, 4], selected=0)
    assert chart.title == "NC1 in a: 1 in A, 3 in B"
