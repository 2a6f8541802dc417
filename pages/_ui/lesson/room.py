"""A room: the teacher's view, and what guests see of it."""

from __future__ import annotations

import time
from urllib.parse import urlsplit

import streamlit as st

from core import lessons, metrics
from core.api import RoomPlace
from core.errors import NotFoundError
from core.lessons import Lesson
from core.plots import lesson as plots
from core.plots.numbers import duration
from core.spreadsheets import inert
from pages._ui import charts, example, guard, shell

POLL_S = 3.0
SCALE = 1.7
"""Of letters in a chart that is read from the back row."""
STAGES = {"reading": "reading", "predicted": "has predicted", "waiting": "waits in the queue", "training": "training",
          "done": "done", "failed": "runs failed or stopped"}


def page(ws: str) -> None:
    """The teacher's page of one room."""
    code = shell.opened("room").get("room", "")
    mine = {room.code: room for room in shell.api().rooms.mine(ws)}
    if code not in mine:
        shell.title("Room")
        if code:
            shell.problem("This workspace has no such room.", "It is of another workspace, or the address is mistyped.",
                          "Open a room on the page Lessons; who was given a code joins there.")
        shell.empty("Rooms are opened and joined on the page Lessons.", page="lessons", label="All lessons")
        shell.stop()
    lesson = lessons.get(mine[code].lesson)
    shell.title(f"Room {_said(code)}: {lesson.title}")
    left, right = st.columns([3, 2], vertical_alignment="center")
    with left:
        st.markdown(f"People join on the page **Lessons** of this server with the code **{_said(code)}** and any name. "
                    "Each has a workspace of their own.")
        _address(code)
    with right:
        wide = st.toggle("Projector view", key="room_projector",
                         help="Large letters and no names, to be read from the back row.")
    guard.fragment(_live, run_every=POLL_S)(ws, code, wide)
    _actions(ws, code)


def _address(code: str) -> None:
    """Where people join, with the code filled in, to be copied; nothing where the browser does not say its address."""
    url = urlsplit(st.context.url or "")
    if not url.hostname:
        return
    st.code(f"{url.scheme}://{url.netloc}{url.path.rstrip('/').rpartition('/')[0]}/lessons?code={code}", language=None)
    if url.hostname in ("localhost", "127.0.0.1", "::1"):
        st.caption(":material/warning: You opened Thaw by an address that works on this machine alone. For others, "
                   "open it by the machine's name or its address in the network.")


def _live(ws: str, code: str, wide: bool) -> None:
    """Who is where, what they predict, and their runs pooled."""
    with shell.guarded():
        api = shell.api()
        room = next(room for room in api.rooms.mine(ws) if room.code == code)
        lesson, places = lessons.get(room.lesson), api.rooms.places(code)
        _counts(places, _said(code) if wide else "")
        left = room.ends - time.time()
        st.caption(f":material/timer: Ends in {duration(left)}." if left > 0 else
                   ":material/timer_off: This room has ended. Nobody can join; what is there stays.")
        together(lesson, code, scale=SCALE if wide else 1.0)
        if places and not wide:
            st.header("Who is where")
            st.dataframe(inert({"Seed": place.number, "Name": place.name, "Stage": STAGES[place.stage],
                                "Runs": f"{place.done} of {place.planned}" if place.planned else "",
                                "Page": "away" if place.away else "open"} for place in places),
                         hide_index=True, alt="Everybody in the room, how far they are, and whether their page is open")


def _counts(places: list[RoomPlace], code: str) -> None:
    with st.container(horizontal=True, gap="small"):
        if code:
            st.metric("Code", code, width=160)
        for name, stages in (("Joined", tuple(STAGES)), ("Predicted", ("predicted", "waiting", "training", "done")),
                             ("Training", ("waiting", "training")), ("Done", ("done",))):
            st.metric(name, sum(place.stage in stages for place in places), width=110)


def together(lesson: Lesson, code: str, *, scale: float = 1.0) -> None:
    """All predictions and the pooled result."""
    api = shell.api()
    predictions, pooled = api.rooms.predictions(code), api.rooms.pooled(code)
    if not predictions and pooled.measured is None:
        st.info("No predictions yet. They appear here as people make them.", icon=":material/hourglass_empty:")
        return
    found = pooled.measured
    labels = api.lessons.labels(shell.workspace(), lesson.name) if found is None else found.labels
    charts.show(plots.spread(labels, predictions, found.values if found else {}, metric=metrics.REGISTRY[lesson.metric],
                             split=lesson.split, limits=lesson.range, scale=scale), key=f"room_spread_{scale}")
    if found is not None:
        st.markdown(f"**{shell.escape(found.answer)}**")
        st.markdown(shell.escape(found.sentence))
        st.caption(f"{pooled.runs} runs of the room, pooled: {found.seeds} seed{'s' * (found.seeds > 1)} of each arm.")


def _actions(ws: str, code: str) -> None:
    api = shell.api()
    room = next(room for room in api.rooms.mine(ws) if room.code == code)
    with st.container(horizontal=True, gap="small"):
        shown, icon = (("Hide it from everybody", ":material/visibility_off:") if room.shown else
                       ("Show it to everybody", ":material/visibility:"))
        if st.button(shown, icon=icon, key="room_show", type="secondary" if room.shown else "primary",
                     help="All predictions and the pooled result appear on everybody's page of this lesson."):
            api.rooms.show(ws, code, shown=not room.shown)
            st.rerun()
        if st.button("Two more hours", icon=":material/more_time:", key="room_extend"):
            api.rooms.extend(ws, code)
            st.rerun()
        if room.open and st.button("End it now", icon=":material/stop:", key="room_end",
                                   help="Nobody can join any more. “Two more hours” opens it again."):
            api.rooms.end(ws, code)
            st.rerun()
        shell.link("lessons", "All lessons", icon=":material/school:")


def guest(ws: str, lesson: Lesson, *, told: bool) -> int | None:
    """On a lesson's page of somebody who joined: the room, and what the teacher shows, once they have said what they
    expect (`told`) or will not. Their seed, or None."""
    found = shell.api().rooms.joined(ws, lesson.name)
    if found is None:
        return None
    room, me = found
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.badge(f"Room {_said(room.code)}", icon=":material/groups:", color="blue")
        st.caption(f"You are {shell.escape(me.name)}; your seed is {me.number}.", width="content")
        if st.button("Leave the room", key="room_leave", type="tertiary", help="Your prediction and runs stay yours."):
            shell.api().rooms.leave(ws, room.code)
            st.rerun()
    guard.fragment(_shown, run_every=POLL_S)(ws, lesson, told)
    return me.number


def _shown(ws: str, lesson: Lesson, told: bool) -> None:
    """What everybody sees once the teacher shows it, and they themselves have predicted: a guess after the answer is
    none."""
    with shell.guarded():
        found = shell.api().rooms.joined(ws, lesson.name)
        if found is None or not found[0].shown:
            return
        if not told:
            st.caption(":material/visibility: The teacher shows what the room predicts. You see it once you have "
                       "made your prediction.")
            return
        st.header("The room")
        together(lesson, found[0].code)


def entrance(ws: str) -> None:
    """On the page of all lessons: join a room, or open one."""
    if example.closed("Rooms are opened and joined in your own workspace."):
        return
    api = shell.api()
    left, right = st.columns(2)
    with left, st.form("room_join"):
        st.markdown("**Join a room**")
        code = st.text_input("Code", st.query_params.get("code", "")[:12], key="room_code", max_chars=12,
                             placeholder="six letters and digits")
        name = st.text_input("Your name", key="room_name", max_chars=40, placeholder="any name")
        if st.form_submit_button("Join", icon=":material/login:", key="room_enter"):
            with shell.guarded():
                if not (code or "").strip():
                    raise NotFoundError("The code is missing.", why="A room is found by its code.",
                                        remedy="Type the six letters and digits that the teacher gives out.")
                room = api.rooms.join(ws, code or "", name or "")
                shell.go("lesson", lesson=room.lesson)
    with right, st.container(border=True):
        st.markdown("**Teach a room**")
        chosen = str(st.selectbox("Lesson", list(lessons.REGISTRY), key="room_lesson",
                                  format_func=lambda each: lessons.get(each).title))
        if st.button("Open a room", icon=":material/co_present:", key="room_open"):
            with shell.guarded():
                shell.go("room", room=api.rooms.open(ws, chosen).code)
        for room in api.rooms.mine(ws)[:5]:
            state = "open" if room.open else "ended"
            shell.link("room", f"Room {_said(room.code)}: {lessons.get(room.lesson).title} ({state})",
                       icon=":material/groups:", room=room.code)


def _said(code: str) -> str:
    """A code as it is read aloud: in two threes."""
    return f"{code[:3]} {code[3:]}"
