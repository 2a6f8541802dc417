"""A metric over labelled rows: one line a method, and a title that the intervals support."""

from __future__ import annotations

import pytest

from core.metrics import METRICS
from core.plots import budgets, palette
from core.plots.budgets import BudgetPoint
from core.plots.intervals import Point
from core.plots.theme import axis_label, plain


def at(line: str, rows: int, value: float, half: float = 0.02, index: int = 0) -> BudgetPoint:
    return BudgetPoint(line=line, rows=rows,
                       point=Point(name=line, value=value, low=value - half, high=value + half, index=index))


def test_a_line_a_method_in_order_of_rows_with_intervals() -> None:
    chart = budgets.over_rows([at("LoRA", 1800, 0.96, index=3), at("LoRA", 32, 0.5, index=3), at("Probe", 32, 0.8),
                               at("Probe", 1800, 0.95)], metric=METRICS[0], split="test")
    lora, probe = chart.figure.data
    assert (lora.name, list(lora.y), probe.name, list(probe.y)) == ("LoRA", [0.5, 0.96], "Probe", [0.8, 0.95])
    assert lora.x[0] == pytest.approx(32, rel=0.02) and lora.x[0] < probe.x[0]
    assert list(lora.error_y.array) == pytest.approx([0.02, 0.02])
    assert chart.figure.layout.xaxis.type == "log" and list(chart.figure.layout.xaxis.ticktext) == ["32", "1,800"]
    assert lora.line.color == palette.arm(3).colour
    assert chart.title == ("With 32 labelled rows: Probe has the highest test accuracy; its interval lies above all "
                           "others")
    assert "0.50 (0.48–0.52) with 32 rows" in chart.alt


def test_no_winner_where_intervals_overlap() -> None:
    chart = budgets.over_rows([at("LoRA", 32, 0.79), at("Probe", 32, 0.8), at("Probe", 64, 0.9)], metric=METRICS[0],
                              split="test")
    assert chart.title.startswith("With 32 labelled rows: no clear winner in test accuracy")


def test_names_of_the_user_are_drawn_literally_and_fit() -> None:
    assert plain("a<b>&c") == "a&lt;b&gt;&amp;c"
    assert axis_label("LoRA · seed 1") == "LoRA · seed 1"
    assert axis_label("Partly frozen · embeddings, blocks 0–2 frozen") == "Partly frozen<br>embeddings, blocks 0–2…"
