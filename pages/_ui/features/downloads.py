"""What can be taken away from the Features page."""

from __future__ import annotations

import functools
from collections.abc import Callable

import streamlit as st

from core.analysis import FeatureComparison, downloads
from core.plots.theme import Chart
from pages._ui import guard


def _picture(chart: Callable[[], Chart], form: str) -> bytes:
    return downloads.picture(chart(), form)


def figure(chart: Callable[[], Chart], points: Callable[[], bytes], block: str) -> None:
    """The map as a picture or a page, and its points as a table; made when a button is pressed."""
    name = f"thaw-map-{block.replace(' ', '-')}"
    reason = "No Chromium or Chrome was found on this machine; save as HTML instead."
    if downloads.browser():
        reason = ""
    with st.popover("Save this map", icon=":material/download:"):
        st.download_button("Page (HTML)", data=guard.made(lambda: downloads.html(chart())), file_name=f"{name}.html",
                           mime="text/html", on_click="ignore", key="features_html", help="Works without a network.")
        for form, mime in (("png", "image/png"), ("svg", "image/svg+xml")):
            st.download_button(f"Picture ({form.upper()})", data=guard.made(functools.partial(_picture, chart, form)),
                               mime=mime, file_name=f"{name}.{form}", on_click="ignore", key=f"features_{form}",
                               disabled=bool(reason),
                               help=reason or "Drawn by this machine's browser; takes some seconds.")
        st.download_button("Points (Parquet)", data=guard.made(points),
                           file_name=f"{name}.parquet", on_click="ignore", key="features_parquet",
                           help="Row id, x, y, block, run, for other viewers.")


def numbers(again: Callable[[], FeatureComparison]) -> None:
    """Every number as JSON and as CSV, with seed and versions."""
    with st.container(horizontal=True):
        st.download_button("Every number as JSON", data=guard.made(lambda: downloads.numbers(again())),
                           file_name="thaw-shift.json", mime="application/json", on_click="ignore",
                           icon=":material/data_object:", key="features_json")
        st.download_button("One line a block as CSV", data=guard.made(lambda: downloads.table(again())),
                           file_name="thaw-shift.csv", mime="text/csv", on_click="ignore", icon=":material/table:",
                           key="features_csv")
