"""Charts of what blocks say: words, places and KL reach the figure; titles claim what the numbers carry."""

import numpy as np
import pytest

from core.domain.run import Interval
from core.plots import lens_change, lens_curve, lens_left, lens_table

NAMES = ["embeddings", "block 0", "block 1"]


def test_a_table_colours_by_place_and_writes_the_likeliest_word():
    rank = np.array([[900, 40], [30, 1], [1, 1]])
    top = np.array([[" is", "\n"], [" the", "<b>"], [" Paris", "<b>"]])
    chart = lens_table.table(NAMES, [" Paris", "<b>"], top=top, rank=rank, probability=1 / rank, vocabulary=1000,
                             side="Base model")
    heat = chart.figure.data[0]
    np.testing.assert_allclose(heat.z, np.log10(rank))
    assert (heat.zmin, heat.zmax) == (0, 3)
    assert heat.colorscale[0][1] == lens_table.SIMILARITY_SCALE[-1][1]  # darkest where the true token is first
    assert list(heat.text[0]) == ["is", "⏎"]
    assert heat.text[2][1] == "&lt;b&gt;"
    assert "place 900, probability 0.00111" in heat.customdata[0][0]
    assert chart.title == "Base model: from block 0 on the true token is first for at least half of these tokens"
    assert "Paris" in chart.alt


def test_a_wide_table_leaves_the_words_to_the_hover():
    wide = np.ones((3, 20))
    chart = lens_table.table(NAMES, ["a"] * 20, top=wide.astype(str), rank=wide * 5, probability=wide / 5,
                             vocabulary=100, side="B")
    assert chart.figure.data[0].text is None
    assert chart.title == "B: the last block puts the true token first for 0 % of these tokens"


def interval(value, half=0.1):
    return Interval(value=value, low=value - half, high=value + half)


@pytest.mark.parametrize(("tuned", "words"), [(-1.0, "(log-probability -2.00 and -1.00)"),
                                              (-1.9, "(log-probability -2.00 and -1.90, intervals overlap)"),
                                              (-2.0, "the same log-probability to the last bit")])
def test_a_curve_claims_a_difference_only_where_intervals_lie_apart(tuned, words):
    ranks = [interval(900), interval(30), interval(3)]
    chart = lens_curve.curve(
        NAMES, [True, True, False], rank=(ranks, ranks), null_rank=[500, 480, 510], null_log_probability=[-9, -9, -9],
        log_probability=([interval(-8), interval(-4), interval(-2)], [interval(-8), interval(-4), interval(tuned)]),
        sides=("base", "tuned"), over="64 rows")
    assert words in chart.title
    assert "64 rows" in chart.alt
    lines = {(trace.name, trace.yaxis): list(trace.y) for trace in chart.figure.data if trace.name}
    assert lines["base", "y"] == [900, 30, 3]
    assert lines[lens_curve.NULL, "y"] == [500, 480, 510]
    assert lines["tuned", "y2"][-1] == tuned


def test_a_text_carries_every_kl_as_a_number():
    tokens = [f" w{i}" for i in range(11)]
    kl = np.linspace(0, 1, 11)
    chart = lens_change.text(tokens, kl, before=kl / 2, after=kl, high=1.0, floor=0.25)
    heat = chart.figure.data[0]
    assert np.shape(heat.z) == (2, lens_change.A_LINE)
    assert heat.text[0][0] == "w0<br>0"
    assert heat.text[1][2] == "w10<br>1.00"
    assert list(heat.text[1][3:]) == [""] * 5
    assert "before “w10” (1.00 nats, typically 0.50)" in chart.title
    assert "73 % of the tokens lie above what rounding makes (0.25)" in chart.title
    same = lens_change.text(tokens, 0 * kl, before=kl, after=kl, high=0.0, floor=None)
    assert same.title == "Both models say exactly the same after every word of this text"


def test_what_is_left_names_the_block_and_its_agreement():
    chart = lens_left.left(NAMES, [True, False, False], share=[0.0, 0.02, 0.1], agreement=[None, 0.2, 0.97],
                           seeds=[None, 0.1, 0.5], selected=2)
    assert chart.title.startswith("On unrelated text the mean change is largest in block 1: 10.0 % of a typical")
    assert "0.97; chance 0" in chart.title
    assert [trace.name for trace in chart.figure.data] == ["mean change", "two halves of the texts", "two seeds",
                                                           "chance"]
    still = lens_left.left(NAMES, [True] * 3, share=[0.0] * 3, agreement=[None] * 3)
    assert "left nothing" in still.title
