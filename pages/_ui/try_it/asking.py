"""What the models are asked: a text, a picture, a prompt, and how words are drawn."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import streamlit as st

from core import settings
from core.api import MOST_TOKENS, Drawing
from core.domain.dataset import Content, Shape
from core.domain.side import Side
from core.errors import DataError
from pages._ui import guard, shell
from pages._ui.data import importing
from pages._ui.try_it import sides
from pages._ui.try_it.sides import Chosen

UPLOAD, CAMERA, PASTE = "Upload", "Camera", "Paste"
NEAREST = 5
"""Training rows that a model names."""


def visitor() -> str:
    """Who asks, for the turns: this browser session."""
    return str(st.session_state.setdefault("_visitor", secrets.token_hex(8)))


def panel(ws: str, chosen: Chosen) -> None:
    """The input, and the button that asks."""
    if chosen.content is Content.PICTURE:
        _picture(ws, chosen)
    elif chosen.speaks:
        _prompt(ws, chosen)
    else:
        text = st.text_area("Text", key="try_text", height=120, placeholder="Type or paste a text to classify")
        _why()
        if st.button("Try", type="primary", icon=":material/play_arrow:", key="try_go", disabled=not chosen.sides):
            ask(ws, chosen, texts=[text or ""])


def ask(ws: str, chosen: Chosen, *, texts: Sequence[str] = (), picture: Path | None = None,
        drawing: Drawing | None = None, before: dict[str, Any] | None = None) -> None:
    """Hand the question over; what the page shows from now on is its answer. before: of a conversation, what was asked
    and answered so far, this question included."""
    stop()
    question: dict[str, Any] = {"texts": list(texts), "picture": picture, "drawing": drawing,
                                "nearest": NEAREST if st.session_state.get("try_near") else 0,
                                "rests_on": bool(st.session_state.get("try_rests")),
                                "placed": bool(st.session_state.get("try_place"))}
    begin(ws, [side.side for side in chosen.sides], [side.name for side in chosen.sides], question, before)


def begin(ws: str, asked: list[Side], called: list[str], question: dict[str, Any], before: dict[str, Any] | None,
          *, came_back: bool = False) -> None:
    """Ask these sides; the process that holds the models is started where it is not there."""
    with shell.guarded(), st.spinner("Waking the process that holds the models…", show_time=True):
        handle = shell.api().playground.ask(ws, asked, visitor=visitor(), **question)
        st.session_state["try_asked"] = {"handle": handle, "sides": asked, "names": called, "question": question,
                                         "ws": ws, "version": -1, "answers": None, "before": before,
                                         "came_back": came_back}


def check(asked: dict[str, Any]) -> None:
    """Ask the same again, with what the answers rest on also under randomised weights."""
    begin(asked["ws"], asked["sides"], asked["names"], {**asked["question"], "randomised": True}, asked["before"])


def stop() -> None:
    """Stop what is being answered in this session."""
    asked = st.session_state.get("try_asked")
    if asked and not (asked["answers"] and asked["answers"].final):
        shell.api().playground.stop(asked["handle"])


OF_A_CLASS = ("how much each token of your text, or each part of your picture, adds to the score of its answer. It "
              "takes some seconds, for a picture or a large model up to a minute; the answer is there before, and Stop "
              "ends it.")


def _why(rests_on: str = OF_A_CLASS) -> None:
    st.toggle("Nearest training rows", key="try_near", persist_state="session",
              help="Each model also names the training rows that lie nearest to your input in its own features, and "
                   "says whether the input is unlike all of them. The first time, a model reads its training rows "
                   "once, which can take a minute.")
    st.toggle("Place on the map", key="try_place", persist_state="session",
              help="Each model also shows where your input lies among the rows of the Features page, on the same map: "
                   "its axes were fitted once, on the base model's features, and your input is only projected.")
    st.toggle("What the answer rests on", key="try_rests", persist_state="session",
              help=f"Each model also says {rests_on}")


# -- pictures ----------------------------------------------------------------------------------------------------------


def _picture(ws: str, chosen: Chosen) -> None:
    way = st.segmented_control("Picture", [UPLOAD, CAMERA, PASTE], default=UPLOAD, key="try_way", required=True)
    key = f"try_picture_{st.session_state.get('try_pictures', 0)}"
    if way == CAMERA:
        st.camera_input("Take a picture", key=key, on_change=guard.callback(_arrived), args=(ws, key))
    elif way == PASTE:
        with st.container():  # else it would be fixed to the bottom of the page
            st.chat_input("Paste a picture here (Ctrl+V), then send it", accept_file=True, key=key,
                          file_type=list(importing.PICTURES), on_submit=guard.callback(_arrived), args=(ws, key))
    else:
        st.file_uploader("Picture file", type=list(importing.PICTURES), key=key, label_visibility="collapsed",
                         max_upload_size=settings.load().max_upload_mb, on_change=guard.callback(_arrived),
                         args=(ws, key))
    path = st.session_state.get("try_kept_picture")
    if path and Path(path).is_file():
        with st.container(horizontal=True, vertical_alignment="center"):
            st.caption(f":material/image: {shell.escape(Path(path).name)}")
    _why()
    if st.button("Try", type="primary", icon=":material/play_arrow:", key="try_go", disabled=not chosen.sides):
        ask(ws, chosen, picture=Path(path) if path else None)


def _arrived(ws: str, key: str) -> None:
    """Take the picture off the server's memory to disk, as every upload."""
    found = st.session_state[key]
    if found is not None and hasattr(found, "files"):  # pasted
        found = found.files[0] if found.files else None
        if found is None:
            raise DataError("There is no picture in what you sent.", why="It holds text only.",
                            remedy="Copy a picture, put the cursor into the field and press Ctrl+V.")
    if found is None:
        return
    st.session_state["try_pictures"] = st.session_state.get("try_pictures", 0) + 1
    st.session_state["try_kept_picture"] = str(
        importing.keep(ws, [found], most_bytes=settings.load().max_upload_mb * 1_000_000))


# -- prompts -----------------------------------------------------------------------------------------------------------


def _prompt(ws: str, chosen: Chosen) -> None:
    chat = sides.shape(ws, chosen.run) is Shape.CHAT
    label, hint = ("Question", "Ask something") if chat else ("Prompt", "The beginning of a text, to be gone on with")
    text = st.text_area(label, key="try_text", height=100, placeholder=hint)
    drawing = _drawing()
    _why("how much each token of your prompt adds to the log-probability of the first token of its answer. It takes "
         "some seconds, for a long prompt or a large model minutes; the answer is there before, and Stop ends it.")
    with st.container(horizontal=True):
        go = st.button("Try", type="primary", icon=":material/play_arrow:", key="try_go", disabled=not chosen.sides)
        so_far = _conversation(chosen) if chat else None
        on = so_far is not None and st.button(
            "Go on with the conversation", icon=":material/forum:", key="try_on",
            help="Each model is asked this next, after its own answers so far.")
    if on and so_far is not None:
        if not (text or "").strip():
            raise DataError("There is nothing to try.", why="The question is empty.", remedy="Type a question first.")
        asked, join = [*so_far["asked"], text or ""], shell.api().playground.conversation
        ask(ws, chosen, texts=[join(asked, said) for said in so_far["said"]], drawing=drawing,
            before={"asked": asked, "said": so_far["said"]})
    elif go:
        ask(ws, chosen, texts=[text or ""], drawing=drawing,
            before={"asked": [text or ""], "said": [[] for _ in chosen.sides]})


def _conversation(chosen: Chosen) -> dict[str, Any] | None:
    """What was asked and answered so far, where all of these sides have answered."""
    last = st.session_state.get("try_asked")
    if not last or not last["answers"] or not last["answers"].final or not last["before"]:
        return None
    if [side.side for side in chosen.sides] != last["sides"] or any(a.error for a in last["answers"].answers):
        return None
    said = [[*said, answer.text] for said, answer in zip(last["before"]["said"], last["answers"].answers, strict=True)]
    return {"asked": last["before"]["asked"], "said": said}


def _drawing() -> Drawing:
    """How the next word is chosen, the same for all models."""
    with st.expander("How words are chosen", icon=":material/casino:"):
        left, right = st.columns(2)
        temperature = left.slider("Temperature", 0.0, 2.0, 0.0, 0.05, key="try_temperature",
                                  help="0 takes the likeliest token each time; 1 draws as likely as the model says.")
        top_p = right.slider("Top-p", 0.05, 1.0, 0.95, 0.05, key="try_top_p", disabled=not temperature,
                             help="Draws among the likeliest tokens that have this share of the probability together.")
        most = left.number_input("Longest answer, in tokens", 1, MOST_TOKENS, 96, key="try_most")
        seed = right.number_input("Seed", 0, 2**31 - 1, 0, key="try_seed", disabled=not temperature,
                                  help="The same for all models: what differs between them is theirs, not chance.")
    return Drawing(temperature=float(temperature), top_p=float(top_p), most=int(most), seed=int(seed))
