"""Charts on pages: on the background of the theme, so that a saved picture can be read anywhere."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import streamlit as st

from core.plots import palette, theme
from pages._ui import charts


@pytest.mark.parametrize(("shown", "colour"), [("dark", palette.DARK_BACKGROUND), ("light", palette.LIGHT_BACKGROUND),
                                               (None, palette.LIGHT_BACKGROUND)])
def test_a_picture_takes_the_background_of_the_theme_along(monkeypatch: pytest.MonkeyPatch, shown: str | None,
                                                           colour: str) -> None:
    monkeypatch.setattr(type(st.context), "theme", property(lambda self: SimpleNamespace(type=shown)))
    figure = theme.figure(x_title="x")
    figure.add_scatter(x=[1, 2], y=[3, 4])
    found = charts.backed(figure)
    assert found.layout.paper_bgcolor == colour and found.data == figure.data
    assert figure.layout.paper_bgcolor == "rgba(0,0,0,0)", "others may look at it in another theme"
    assert found.layout.legend.bgcolor == "rgba(0,0,0,0)", "what is behind it shows"
    assert charts.backed(figure) is found, "made once"


def test_a_file_of_a_chart_says_its_title_once() -> None:
    figure = theme.figure()
    figure.add_scatter(x=[1], y=[2])
    written = charts.file(theme.Chart(figure=figure, title="Just the title", alt="One point.")).decode()
    assert written.count("Just the title</") - written.count("<title>Just the title</title>") == 1
    assert "<figcaption>" not in written and "One point." in written
