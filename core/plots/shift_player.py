"""How the features moved while training: one figure that plays the recorded steps, loss above, map below."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.plots import palette
from core.plots.shift_map import Colouring, Positions, _legend, _marker, _same_axes
from core.plots.theme import Chart, figure, subplots

_TWEEN_MS, _HOLD_MS = 400, 900


def player(frames: Sequence[Positions], steps: Sequence[int], colouring: Colouring, *, loss_steps: Sequence[float] = (),
           losses: Sequence[float] = (), block: str, height: int = 680) -> Chart:
    """The map at every recorded step with one camera, played in the browser; rows are the same in each frame.

    frames: positions a step, `(n_rows, 2)` each. losses: training loss at `loss_steps`, drawn above with a marker at
    the step shown.
    """
    import plotly.graph_objects as go

    fig = figure(height=height)
    with_loss = len(losses) > 1
    if with_loss:
        subplots(fig, rows=2, cols=1, row_heights=[0.22, 0.78], vertical_spacing=0.08)
    place: dict[str, Any] = {"row": 2, "col": 1} if with_loss else {}
    marker = {**_marker(colouring, bar=True), "size": 7, "opacity": 0.85, "line": {"width": 0}}
    fig.add_trace(go.Scatter(x=frames[0][:, 0], y=frames[0][:, 1], mode="markers", marker=marker, showlegend=False,
                             hoverinfo="skip"),
                  **place)
    axes = {"xaxis": "x2", "yaxis": "y2"} if with_loss else {"xaxis": "x", "yaxis": "y"}
    moving = [0]
    if with_loss:
        fig.add_trace(go.Scatter(x=[steps[0]], y=[_at(steps[0], loss_steps, losses)], mode="markers", showlegend=False,
                                 hoverinfo="skip", marker={"size": 13, "color": palette.arm(0).colour,
                                                           "symbol": "diamond"}), row=1, col=1)
        fig.add_trace(go.Scatter(x=list(loss_steps), y=list(losses), mode="lines", showlegend=False,
                                 line={"color": palette.TRAINING, "width": 2},
                                 hovertemplate="step %{x}<br>loss %{y:.3f}<extra></extra>"),
                      row=1, col=1)
        moving.append(1)
    _window(fig, frames, with_loss)
    _legend(fig, colouring)
    fig.frames = [go.Frame(name=str(step), traces=moving, data=[
        go.Scatter(x=positions[:, 0], y=positions[:, 1], **axes),
        *([go.Scatter(x=[step], y=[_at(step, loss_steps, losses)])] if with_loss else [])])
        for step, positions in zip(steps, frames, strict=True)]
    _controls(fig, steps)
    title = f"How {block} moved from step {steps[0]:,} to {steps[-1]:,}, through one camera"
    return Chart(fig, title, f"A map of {len(frames[0])} rows that plays {len(steps)} recorded steps. {title}.")


def _window(fig: Any, frames: Sequence[Positions], with_loss: bool) -> None:
    """The same limits at every step; the loss strip keeps its own."""
    _same_axes(fig, frames, columns=1)
    if not with_loss:
        return
    square = {"x": fig.layout.xaxis.range, "y": fig.layout.yaxis.range}
    fig.update_xaxes(range=square["x"], showticklabels=False, constrain="domain", row=2, col=1)
    fig.update_yaxes(range=square["y"], showticklabels=False, constrain="domain", scaleanchor="x2", scaleratio=1, row=2,
                     col=1)
    fig.layout.yaxis.update(scaleanchor=False, range=None, showticklabels=True, title={"text": "Loss"})
    fig.layout.xaxis.update(range=None, showticklabels=True, constrain=None)


def _controls(fig: Any, steps: Sequence[int]) -> None:
    """Play, pause, and a slider that follows."""
    now = {"mode": "immediate", "frame": {"duration": _HOLD_MS, "redraw": False}, "transition": {"duration": _TWEEN_MS}}
    quiet: dict[str, Any] = {"bgcolor": "rgba(0,0,0,0)", "bordercolor": palette.BASE}
    fig.update_layout(
        margin={"b": 150, "t": 40},
        updatemenus=[{"type": "buttons", "direction": "left", "x": 0, "y": 0, "xanchor": "left", "yanchor": "top",
                      "pad": {"t": 104}, "showactive": False, **quiet, "buttons": [
                          {"label": "▶ Play", "method": "animate", "args": [None, {**now, "fromcurrent": True}]},
                          {"label": "❚❚", "method": "animate",
                           "args": [[None], {**now, "frame": {"duration": 0, "redraw": False}}]}]}],
        sliders=[{"active": 0, "x": 0, "len": 1, "y": 0, "pad": {"t": 28}, **quiet, "currentvalue": {"prefix": "step "},
                  "steps": [{"label": f"{step:,}", "method": "animate",
                             "args": [[str(step)], {**now, "frame": {"duration": _TWEEN_MS, "redraw": False}}]}
                            for step in steps]}])


def _at(step: float, steps: Sequence[float], values: Sequence[float]) -> float:
    """The curve at a step between its points."""
    found: NDArray[np.float64] = np.interp([step], np.asarray(steps, float), np.asarray(values, float))
    return float(found[0])
