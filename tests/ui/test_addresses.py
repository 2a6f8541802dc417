"""Whatever stands in the address, a page answers in words and with a heading."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from streamlit.testing.v1 import AppTest

from pages._ui.sitemap import PAGES
from tests.ui.conftest import shown

RUBBISH = ["nothing-here", "../../etc/passwd", "x" * 5000, "a\0b", "<b>*bold*</b> :red[x]", "1e999", "é🙂:final", ":::",
           ""]
NAMES = {"dataset": ("dataset", "import"), "run": ("run",), "compare": ("runs",), "train": ("dataset",),
         "ask": ("dataset",), "features": ("a", "b", "run", "rows", "beside")}
"""Page -> names that it reads from the address."""


@pytest.mark.parametrize("page", list(PAGES))
def test_rubbish_in_the_address_is_answered_in_words(app: Callable[..., AppTest], page: str) -> None:
    at = app(page)
    names = NAMES.get(page, (PAGES[page].shows or "run",))
    for rubbish in RUBBISH:
        for chosen in {names, *((name,) for name in names)}:
            at.query_params.clear()
            at.query_params["ws"] = at.session_state["ws"]
            for name in chosen:
                at.query_params[name] = rubbish
            at.run()
            assert not at.exception, (rubbish[:20], chosen, at.exception)
            told = " ".join(str(error.value) for error in at.error)
            assert "Something went wrong" not in told and len(told) < 1000, (rubbish[:20], chosen, told[:500])
            assert len(at.title) == 1, (rubbish[:20], chosen)


@pytest.mark.parametrize("rubbish", RUBBISH[1:-1], ids=lambda text: text[:12].encode("unicode_escape").decode())
def test_a_workspace_that_cannot_be_is_answered_in_words(app: Callable[..., AppTest], rubbish: str) -> None:
    at = app("runs", ws=rubbish)
    assert not at.exception
    told = " ".join(str(error.value) for error in at.error)
    assert "workspace" in told and "Something went wrong" not in told and len(told) < 1000
    assert "Traceback" not in shown(at)


def test_an_address_without_a_page_leads_home_and_is_named(app: Callable[..., AppTest]) -> None:
    at = app("home", lost="<b>nonsense/deep")
    assert not at.exception and "nonsense/deep" in at.error[0].value and len(at.title) == 1
    at.run()
    assert not at.error, "said once"
