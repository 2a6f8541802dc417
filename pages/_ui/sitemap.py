"""The registry of pages: navigation, addresses, links and tests are drawn from it. A new page is a file in `pages/` and
a line here."""

from __future__ import annotations

from dataclasses import dataclass

import streamlit as st
from streamlit.navigation.page import StreamlitPage


@dataclass(frozen=True)
class Entry:
    """What the registry says of a page."""

    title: str
    """In the navigation and in the browser's tab."""
    icon: str
    shows: str = ""
    """Parameter of the address that names the one thing which the page shows, e.g. `run`. Such a page is in the
    navigation only while it is open. It is a page of its own because a click on the navigation keeps the query of an
    open page: from `/data?dataset=…` it would not lead to the list of datasets."""
    takes_files: bool = False
    """Whether it has an uploader; the server refuses files that are sent from other pages."""


PAGES: dict[str, Entry] = {
    "home": Entry("Home", ":material/home:"),
    "data": Entry("Data", ":material/table_rows:", takes_files=True),
    "dataset": Entry("Dataset", ":material/subdirectory_arrow_right:", shows="dataset", takes_files=True),
    "train": Entry("Train", ":material/model_training:"),
    "advice": Entry("Advice", ":material/recommend:"),
    "ask": Entry("Ask", ":material/quiz:"),
    "runs": Entry("Runs", ":material/list_alt:", takes_files=True),
    "experiment": Entry("Experiment", ":material/subdirectory_arrow_right:", shows="experiment"),
    "run": Entry("Run", ":material/subdirectory_arrow_right:", shows="run"),
    "compare": Entry("Compare", ":material/stacked_line_chart:"),
    "features": Entry("Features", ":material/scatter_plot:"),
    "try_it": Entry("Try it", ":material/chat:", takes_files=True),
    "strength": Entry("Strength", ":material/tune:"),
    "lessons": Entry("Lessons", ":material/school:"),
    "lesson": Entry("Lesson", ":material/subdirectory_arrow_right:", shows="lesson"),
    "room": Entry("Room", ":material/subdirectory_arrow_right:", shows="room"),
    "glossary": Entry("Words", ":material/menu_book:"),
}
"""File name in `pages/` (which is the address, too) -> the page, in the order of the navigation. The first one opens at
`/`."""
HOME = next(iter(PAGES))


def pages(opened: str = "") -> list[StreamlitPage]:
    """All pages for `st.navigation`; opened: the address of the open one."""
    return [st.Page(f"pages/{name}.py", title=entry.title, icon=entry.icon, default=name == HOME,
                    visibility="hidden" if entry.shows and name != opened else "visible")
            for name, entry in PAGES.items()]


def entry_of(page: StreamlitPage) -> Entry:
    """The registry's line of a page that `st.navigation` returned."""
    return PAGES[page.url_path or HOME]
