"""The chart of what was forgotten calls nothing so that the interval and the noise floor do not support."""

from __future__ import annotations

from core.domain.run import Interval
from core.plots.forgetting import Domain, changes, finding


def domain(label: str, by: float, word: str, *, floor: float = 0.0) -> Domain:
    return Domain(label=label, before=3.5, after=3.5 + by, change=Interval(value=by, low=by - 0.01, high=by + 0.01),
                  floor=floor, word=word)


def test_the_title_says_what_can_be_told() -> None:
    unclear = domain("news", 0.001, "cannot tell")
    assert finding([unclear]).startswith("Whether it forgot anything cannot be told")
    assert finding([unclear, domain("prose", 0.05, "worse")]) == "Forgot some of prose"
    assert finding([domain("prose", 0.05, "worse"), domain("dialogue", 0.06, "worse"),
                    domain("orders", -0.1, "better")]) == "Forgot some of prose and dialogue; became better at orders"
    assert finding([domain("orders", -0.1, "better"), domain("x", 0.2, "trained on")]).startswith("Forgot nothing")


def test_every_domain_has_its_interval_and_the_floor_its_band() -> None:
    chart = changes([domain("prose", 0.05, "worse", floor=0.02), domain("news", 0.001, "cannot tell")])
    lines = [list(trace.x) for trace in chart.figure.data if trace.mode == "lines"]
    assert [round(x, 6) for line in sorted(lines) for x in line] == [-0.009, 0.011, 0.04, 0.06]
    bands = [(shape.x0, shape.x1) for shape in chart.figure.layout.shapes if shape.type == "rect"]
    assert bands == [(-0.02, 0.02)]
    assert list(chart.figure.layout.yaxis.ticktext) == ["news", "prose"]  # the first on top
    assert "prose 3.500 to 3.550, worse" in chart.alt and changes([]).figure is not None
