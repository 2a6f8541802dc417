"""The page's own map: two linked panes, arrows, or the way between, drawn on a canvas that a selection does not
rebuild."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import streamlit as st

HTML = """
<div class="map">
  <div class="bar">
    <div class="legend"></div>
    <div role="toolbar" aria-label="Map tools" style="display: flex; gap: 0.25rem">
      <button type="button" data-tool="lasso"
              title="Draw round rows to select them; with Shift to add to the selection">Lasso</button>
      <button type="button" data-tool="box" title="Draw a box round rows to select them">Box</button>
      <button type="button" data-tool="pan" title="Drag to move, turn the wheel to zoom">Move</button>
      <button type="button" data-reset title="Show everything again">Reset</button>
    </div>
  </div>
  <div class="stack"><canvas class="points"></canvas><canvas class="over" role="img"></canvas><div
       class="tip" hidden></div></div>
  <div class="way" hidden><button type="button" data-play>Play</button><span class="from"></span>
    <input type="range" min="0" max="1" step="0.01" aria-label="From model A to model B"><span class="to"></span></div>
</div>
"""
PICTURES = """
export default function ({ data }) {
  window.thawPictures = { [data.key]: { url: data.url, columns: data.columns } };
}
"""
NEAR = """
export default function ({ data }) {
  window.thawNear = data;
  window.dispatchEvent(new Event("thaw-near"));
}
"""
_HERE = Path(__file__).parent
_FRESH, _RESTORE = "_point_map_fresh", "_point_map_restore"


def show(scene: dict[str, Any], selected: Sequence[int], *, on_pick: Callable[[list[int]], None], key: str,
         on_share: Callable[[float], None] | None = None) -> None:
    """Mount or update the map. selected: places of the selected rows; `on_pick` is called with the places that a person
    selects.

    What the person has just selected is on the canvas already and is not sent back, so that an unchanged scene costs
    nothing.
    """
    def picked() -> None:
        st.session_state[_FRESH] = key
        on_pick([int(row) for row in st.session_state[key].get("picked") or ()])

    def moved() -> None:
        if on_share:
            on_share(float(st.session_state[key].get("share") or 0.0))

    if st.session_state.pop(_FRESH, None) != key or _RESTORE not in st.session_state:
        rows = [int(row) for row in selected]
        st.session_state[_RESTORE] = {"stamp": _stamp([rows, scene["rows"]]), "rows": rows}
    _component()(data={"scene": scene, "restore": st.session_state[_RESTORE]}, key=key, on_picked_change=picked,
                 on_share_change=moved)


def pictures(key: str, url: str, columns: int) -> None:
    """Give the browser the pictures of all rows on one sheet, once; scenes whose `pictures` is this key show them."""
    _sheet()(data={"key": key, "url": url, "columns": columns}, key="features_pictures", height=1)


def near(row: int, a: Sequence[int], b: Sequence[int]) -> None:
    """Rows that the map joins with one row, in the pane of A and in that of B; −1 takes the lines away. A part of its
    own, so that the scene is not sent again."""
    st.components.v2.component("thaw_near", js=NEAR)(
        data={"row": row, "a": list(a), "b": list(b)}, key="features_near_lines", height=1)


def stamped(scene: dict[str, Any]) -> dict[str, Any]:
    """The scene with a stamp that no other scene has."""
    return {**scene, "stamp": _stamp(scene)}


def _stamp(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, separators=(",", ":")).encode()).hexdigest()[:16]


def _component() -> Any:
    """Registered in every run, as Streamlit needs it; the files are read once."""
    return st.components.v2.component("thaw_point_map", html=HTML, css=_text("point_map.css"), js=_text("point_map.js"))


def _sheet() -> Any:
    return st.components.v2.component("thaw_pictures", js=PICTURES)


def _text(name: str) -> str:
    return (_HERE / name).read_text(encoding="utf-8")
