"""Errors on pages: whatever is raised in a page, a part of it, a dialog, a click or a download becomes three parts on
the page.

Streamlit runs fragments, dialogs, callbacks and the making of downloads on their own, outside the page that drew them,
so each is guarded here: pages use these instead of `st.fragment`, `st.dialog`, bare callbacks and bare functions that
make a download.
"""

from __future__ import annotations

import functools
import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import streamlit as st

from core import logs, settings
from core.errors import ThawError
from core.unforeseen import explained, is_fault

log = logging.getLogger("thaw.pages")

_DIALOG = "_open_dialog"
_PENDING = "_errors_to_show"
"""In the session: errors of callbacks and downloads, which have no place on the page of their own."""
_AGAIN_S = 60.0
"""An error that a poll meets again and again is written to the log with its traceback once in so long."""
_logged: dict[tuple[str, str], float] = {}


@contextmanager
def guarded() -> Iterator[None]:
    """Show any error as what happened, why, and what to do; tracebacks go to the server's log only."""
    try:
        yield
    except BaseException as error:  # the last line of defence: anything unforeseen is logged in full and shown in words
        if not is_fault(error):  # Streamlit's own ways of ending or repeating a page
            raise
        show_error(as_thaw_error(error))


def as_thaw_error(error: BaseException) -> ThawError:
    """The error in three parts; one that nobody foresaw is written to the log in full, and the log is named."""
    if isinstance(error, ThawError):
        log.info("shown to the user: %s", error, exc_info=error)
        return error
    _write(error)
    return explained(error, log=logs.WEB, doing="Something went wrong while drawing this page.")


def fragment(function: Callable[..., None], *, run_every: float | None = None) -> Callable[..., None]:
    """`st.fragment`, guarded."""
    return st.fragment(_guarded(function), run_every=run_every)  # type: ignore[no-any-return]


def dialog(title: str, **options: Any) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """`st.dialog`, guarded."""
    def decorate(function: Callable[..., None]) -> Callable[..., None]:
        return st.dialog(title, **options)(_guarded(function))  # type: ignore[no-any-return]

    return decorate


def open_dialog(name: str) -> Callable[[], None]:
    """For `on_click` of the button that opens a dialog which stays open when the page is drawn again, as it is when a
    run ends: the page shows it while `is_open(name)`."""
    def noted() -> None:
        st.session_state[_DIALOG] = name

    return noted


def close_dialog() -> None:
    """For `on_dismiss`, and when what the dialog is for has been done."""
    st.session_state.pop(_DIALOG, None)


def is_open(name: str) -> bool:
    """Whether this dialog was opened and not closed since."""
    return st.session_state.get(_DIALOG) == name


def callback(function: Callable[..., None]) -> Callable[..., None]:
    """For `on_click` and `on_change`: an error is shown at the top of the page that is drawn next."""
    @functools.wraps(function)
    def call(*args: Any, **fields: Any) -> None:
        try:
            function(*args, **fields)
        except BaseException as error:
            if not is_fault(error):
                raise
            st.session_state.setdefault(_PENDING, []).append(as_thaw_error(error))

    return call


def made(make: Callable[[], str | bytes]) -> Callable[[], str | bytes]:
    """For the `data` of a download: an error becomes the text of the file, and is shown on the page drawn next."""
    pending: list[ThawError] = st.session_state.setdefault(_PENDING, [])

    def call() -> str | bytes:
        try:
            return make()
        except BaseException as error:
            if not is_fault(error):
                raise
            found = as_thaw_error(error)
            pending.append(found)
            return "\n".join(("This file could not be made.", found.what, found.why, found.remedy))

    return call


def show_pending() -> None:
    """Show, once, the errors that came up where there was no page."""
    pending: list[ThawError] = st.session_state.get(_PENDING, [])
    while pending:
        show_error(pending.pop(0))


def show_error(error: ThawError) -> None:
    """One error in three parts."""
    problem(error.what, error.why, error.remedy)


def problem(what: str, why: str = "", remedy: str = "") -> None:
    """What happened, why, what to do. What a part draws below its first line (a tree of folders) keeps its lines."""
    (why, found), (remedy, wanted) = (_head_and_drawing(part) for part in (why, remedy))
    text = f"**{escape(what)}**"
    if why:
        text += f"\n\n{escape(why)}"
    hint = f":material/lightbulb: {escape(remedy)}" if remedy else ""
    if found or wanted:
        st.error(text, icon=":material/error:")
        _drawing(found)
        if hint:
            st.markdown(hint)
        _drawing(wanted)
        return
    st.error(text + (f"\n\n{hint}" if hint else ""), icon=":material/error:")


def escape(text: str) -> str:
    """Text of the user's (names, labels, file names) as literal characters inside Markdown."""
    for mark in "\\`*_{}[]<>#$~|:":
        text = text.replace(mark, "\\" + mark)
    return text.replace("\n", " ")


def _guarded(function: Callable[..., None]) -> Callable[..., None]:
    @functools.wraps(function)
    def call(*args: Any, **fields: Any) -> None:
        with guarded():
            function(*args, **fields)

    return call


def _write(error: BaseException) -> None:
    """Into the server's log, in the data folder where there is one: with the traceback unless it was there lately."""
    try:
        logs.to_file(settings.load(), logs.WEB)
    except ThawError:
        log.warning("The settings cannot be read, so no log is kept in the data folder")
    key, now = (type(error).__name__, str(error)[:200]), time.monotonic()
    if now - _logged.get(key, float("-inf")) > _AGAIN_S:
        if len(_logged) > 1000:
            _logged.clear()
        _logged[key] = now
        log.error("unexpected error on a page", exc_info=error)
    else:
        log.error("unexpected error on a page, again: %s: %s", *key)


def _head_and_drawing(part: str) -> tuple[str, str]:
    """The first line, and the lines below it."""
    head, _, rest = part.partition("\n")
    return head, rest.rstrip()


def _drawing(lines: str) -> None:
    if lines:
        st.code(lines, language=None)
