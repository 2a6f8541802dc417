"""Small pictures as SVG: what is measured stands where it belongs, and nothing in a name becomes markup."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree

import pytest

from core.plots import palette, thumbnail

SPACE = "{http://www.w3.org/2000/svg}"


@pytest.mark.parametrize("dark", [False, True])
def test_scores_stand_in_order_of_their_values(dark: bool) -> None:
    rows = [("LoRA", 3, 0.97, 0.95, 0.98), ("<b>&", 5, 0.80, 0.76, 0.83)]
    root = ElementTree.fromstring(thumbnail.scores(rows, title="Accuracy", dark=dark))
    words = [element.text for element in root.iter(f"{SPACE}text")]
    assert words == ["Accuracy", "LoRA", "0.97", "<b>&", "0.80"]
    dots = list(root.iter(f"{SPACE}circle"))
    assert [dot.get("fill") for dot in dots] == [palette.arm(3).colour, palette.arm(5).colour]
    assert float(dots[0].get("cx", 0)) > float(dots[1].get("cx", 0))
    bars = [line for line in root.iter(f"{SPACE}line") if line.get("stroke-width")]
    for bar, dot in zip(bars, dots, strict=True):
        assert float(bar.get("x1", 0)) < float(dot.get("cx", 0)) < float(bar.get("x2", 0))
    assert {element.get("fill") for element in root.iter(f"{SPACE}text")} == {thumbnail.INK[dark]}


def test_two_panes_show_the_same_rows_in_the_colours_of_their_classes() -> None:
    svg = thumbnail.before_and_after([(0, 0), (100, 100)], [(50, 0), (0, 100)], [0, 1], ["a", "b"],
                                     names=("Before", "After"), dark=False)
    root = ElementTree.fromstring(svg)
    dots = [dot for dot in root.iter(f"{SPACE}circle") if dot.get("r") == "2.3"]
    assert [dot.get("fill") for dot in dots] == [palette.arm(n).colour for n in (0, 1, 0, 1)]
    width = float(root.get("width", 0))
    assert float(dots[0].get("cx", 0)) < float(dots[1].get("cx", 0)) < width / 2 < float(dots[3].get("cx", 0))
    assert float(dots[0].get("cy", 0)) > float(dots[1].get("cy", 0))  # up is more
    paper, left, right = root.iter(f"{SPACE}rect")
    assert paper.get("fill") == thumbnail.PAPER[False]
    for dot in dots:
        pane = left if float(dot.get("cx", 0)) < width / 2 else right
        assert float(pane.get("x", 0)) < float(dot.get("cx", 0)) < float(pane.get("x", 0)) + float(pane.get("width", 0))
