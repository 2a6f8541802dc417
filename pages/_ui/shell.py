"""What every page needs: the entrypoint guard, the workspace, the façade, errors in three parts, links with ids."""

from __future__ import annotations

import gc
import logging
import threading
import time
from typing import TYPE_CHECKING, NoReturn

import streamlit as st

from core import settings
from core.api import RECORDED, Card, Thaw
from core.errors import ThawError
from core.unforeseen import is_fault
from pages._ui import sitemap
from pages._ui.guard import escape as escape
from pages._ui.guard import guarded as guarded
from pages._ui.guard import problem as problem
from pages._ui.guard import show_error as show_error
from pages._ui.guard import show_pending
from pages._ui.server import LOST

if TYPE_CHECKING:
    from streamlit.navigation.page import StreamlitPage

log = logging.getLogger("thaw.pages")

APP = "Thaw"
_MARK = "_entrypoint_ran"
_TITLED = "_page_titled"
_SUPERVISOR_CHECK_S = 10.0


def navigation() -> StreamlitPage:
    """Draw the navigation; the page to run. What is open (a run, a dataset) is shown below the page it belongs to."""
    page = st.navigation(sitemap.pages())
    return st.navigation(sitemap.pages(opened=page.url_path)) if sitemap.entry_of(page).shows else page


def run(page: StreamlitPage) -> None:
    """Run the page. One that ends in an error before its title gets that of the registry, so that it has a heading."""
    st.session_state[_TITLED] = False
    try:
        page.run()
    except BaseException as error:
        if is_fault(error) and not st.session_state[_TITLED]:
            title(sitemap.entry_of(page).title)
        raise


def title(text: str) -> None:
    """The one main heading of a page, in the browser's tab too. Text of the user's is shown as it is."""
    st.session_state[_TITLED] = True
    st.set_page_config(page_title=text if text == APP else f"{text} · {APP}")
    st.title(escape(text))


def mark_entrypoint() -> None:
    """Called by the entrypoint just before `page.run()`; `require_entrypoint` takes the mark away again."""
    st.session_state[_MARK] = True


def require_entrypoint() -> None:
    """First statement of every page: when Streamlit ran the page file without the entrypoint, go through the
    entrypoint.

    After a server restart a deep link runs `pages/x.py` on its own until some session has called `st.navigation`.
    """
    if st.session_state.pop(_MARK, False):
        return
    st.navigation(sitemap.pages(), position="hidden")
    st.rerun()


def api() -> Thaw:
    """The façade over everything that is not drawing; of the recorded example while that is open."""
    return own_api().recorded_example() if st.session_state.get("ws") == RECORDED else own_api()


def own_api() -> Thaw:
    """The façade over the data folder of this server, also while the recorded example is open."""
    return Thaw(settings.load())


def recorded() -> Card | None:
    """What the recorded example is while it is open, where everything can be looked at and nothing changed; else None.
    """
    return Thaw.recorded_card() if st.session_state.get("ws") == RECORDED else None


def own_workspace() -> str:
    """The workspace to go back to from the recorded example; a new one where none is known."""
    if not st.session_state.get("own_ws"):
        st.session_state["own_ws"] = own_api().new_workspace()
    return str(st.session_state["own_ws"])


def workspace() -> str:
    """The id of the open workspace."""
    return str(st.session_state["ws"])


def open_workspace() -> None:
    """Take the workspace from the link or make a new one, and put it back into the link on every run."""
    before = st.session_state.get("ws")
    ws = st.query_params.get("ws") or before
    try:
        if not ws:
            ws = own_api().new_workspace()
        elif ws not in (before, RECORDED):
            own_api().touch_workspace(ws)
    except ThawError as error:
        show_error(error)
        st.link_button("Open a new workspace", "/", icon=":material/add:")
        st.stop()
    own = _own(ws, before)
    if before not in (None, ws):  # what was chosen and open belongs to the other workspace
        for key in list(st.session_state):
            del st.session_state[key]
    for name, value in (("ws", ws), ("own", own)):
        st.session_state["own_ws" if name == "own" else name] = value
        if value and st.query_params.get(name) != value:
            st.query_params[name] = value
        elif not value and name in st.query_params:
            del st.query_params[name]


def _own(ws: str, before: str | None) -> str:
    """In the recorded example: the workspace that was open before it. The address carries it, so that a reload does not
    lose the way back; empty elsewhere."""
    if ws != RECORDED:
        return ""
    return str((before if before != RECORDED else "") or st.query_params.get("own") or st.session_state.get("own_ws")
               or "")


def _address(params: dict[str, str]) -> dict[str, str]:
    """The query of a link within the workspace."""
    own = st.session_state.get("own_ws")
    return {"ws": workspace(), **({"own": own} if own else {}), **params}


def opened(*names: str) -> dict[str, str]:
    """The ids of that name in the address, else those this page had last: the browser's Back button leaves them out."""
    named = {name: st.query_params[name] for name in names if name in st.query_params}
    found: dict[str, str] = named or st.session_state.get(f"_opened_{names[0]}", {})
    st.session_state[f"_opened_{names[0]}"] = found
    return found


def ensure_supervisor() -> None:
    """Every few seconds: start the process that starts runs, unless it is alive. The page goes on when that fails."""
    last = float(st.session_state.get("_supervisor_checked", 0.0))
    if not recorded() and time.monotonic() - last > _SUPERVISOR_CHECK_S:
        with guarded():
            api().ensure_supervisor()
            st.session_state["_supervisor_checked"] = time.monotonic()


def notices() -> None:
    """At the top of every page: a full disk, trouble of the supervisor, an address without a page, and errors that had
    no page of their own."""
    if (lost := st.query_params.pop(LOST, None)) is not None:
        problem(f"There is no page “{lost[:80]}” here.", "The address may be mistyped, or of another version of Thaw.",
                "This is the home page. Choose another page from the menu.")
    with guarded():
        for error in api().troubles():
            show_error(error)
    show_pending()


@st.cache_resource(show_spinner=False)
def warm_up() -> None:
    """Once a server, after its first page: import in the background what charts and maps need, seconds of a click."""
    threading.Thread(target=_import_heavy, name="warm-up", daemon=True).start()


def _import_heavy() -> None:
    import pandas  # noqa: F401
    import pyarrow.dataset  # noqa: F401
    import scipy.stats  # noqa: F401
    import sklearn.linear_model  # noqa: F401

    import core.analysis  # noqa: F401
    from core.plots import theme

    theme.figure().to_dict()  # plotly imports its parts when they are first used
    # Streamlit collects garbage after every run of a page and every poll, which scans all that was ever imported:
    # 0.15 s in which no other session gets on. What is alive now stays until the server ends, so it is left out.
    gc.collect()
    gc.freeze()


def sidebar() -> None:
    """Below the navigation: what the workspace link is, once and briefly."""
    with st.sidebar:
        whose = "also holds" if recorded() else "is"
        st.caption(f":material/key: This page's address {whose} the key to your workspace. Save it, and share it with "
                   "care: whoever has the link sees your data and runs.")


def go(page: str, **params: str) -> NoReturn:
    """Switch to a page of the sitemap, keeping the workspace and carrying ids such as `run=`."""
    st.switch_page(f"pages/{page}.py", query_params=_address(params))
    raise RuntimeError("st.switch_page returned")


def stop() -> NoReturn:
    """End the page here."""
    st.stop()
    raise RuntimeError("st.stop returned")


def link(page: str, label: str, *, icon: str | None = None, width: int | None = None, help: str | None = None,
         **params: str) -> None:
    """A link to a page that keeps the workspace."""
    st.page_link(f"pages/{page}.py", label=label, icon=icon, width=width or "content", help=help,
                 query_params=_address(params))


def empty(text: str, *, page: str | None = None, label: str = "", icon: str = ":material/info:") -> None:
    """An empty state: what is missing, and the next step as a link."""
    with st.container(border=True):
        st.markdown(f"{icon} {text}")
        if page:
            link(page, label, icon=sitemap.PAGES[page].icon)
