"""The peer of the Features page's map: Streamlit and Plotly, two panes, one shared selection, nothing else."""

import os

import numpy as np
import plotly.graph_objects as go
import streamlit as st

ROWS = int(os.environ.get("PLAIN_ROWS", "5000"))
st.set_page_config(layout="wide")


@st.cache_data
def points(n: int) -> tuple[np.ndarray, np.ndarray]:
    """Two layouts of the same rows."""
    rng = np.random.default_rng(0)
    base = rng.standard_normal((n, 2))
    return base, base + 0.3 * rng.standard_normal((n, 2))


@st.fragment
def panes() -> None:
    """Both panes as one WebGL figure; what is caught in one is kept bright in both."""
    caught = st.session_state["map"]["selection"]["points"] if "map" in st.session_state else []
    rows = sorted({int(p["point_index"]) for p in caught})
    figure = go.Figure()
    for number, place in enumerate(points(ROWS), start=1):
        axis = "" if number == 1 else str(number)
        figure.add_trace(go.Scattergl(x=place[:, 0], y=place[:, 1], mode="markers", xaxis=f"x{axis}", yaxis=f"y{axis}",
                                      marker={"color": np.arange(ROWS) % 5.0, "size": 6}, selectedpoints=rows or None,
                                      text=[f"class {row % 5}<br>The beginning of the text of row {row}, about "
                                            "fifty characters"
                                            for row in range(ROWS)], hovertemplate="%{text}<extra></extra>"))
    figure.update_layout(height=520, dragmode="lasso", showlegend=False, xaxis={"domain": [0, 0.48]},
                         xaxis2={"domain": [0.52, 1]}, yaxis2={"anchor": "x2"})
    st.plotly_chart(figure, key="map", on_select="rerun")
    st.markdown(f"{len(rows):,} of {ROWS:,} rows selected" if rows else "nothing selected")


panes()
