"""Learning curves: one run while it trains, or the runs of a comparison on top of each other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from core.metrics import METRICS, Metric, Unit
from core.plots import palette
from core.plots.palette import Arm
from core.plots.theme import Chart, figure, plain, subplots

X_LABELS = {"steps": "Training steps", "seconds": "Seconds since training began",
            "samples": "Training rows seen (with repetition)"}
SHARE = "share"
"""The axis on which runs of different lengths are held against each other while they train."""


@dataclass(frozen=True, kw_only=True)
class Line:
    """One curve: equally long x and y, the arm's name and its colour index."""

    name: str
    x: Sequence[float]
    y: Sequence[float]
    index: int
    whole: str = ""
    """The whole name, for hovering; empty: `name`."""
    own_look: Arm | None = None
    """How it is drawn where the method alone does not say it."""

    @property
    def look(self) -> Arm:
        return self.own_look or palette.arm(self.index)


@dataclass(frozen=True, kw_only=True)
class RunCurves:
    """What one run has reported so far; every pair of sequences is equally long, x in training steps."""

    steps: Sequence[float] = field(default_factory=list)
    losses: Sequence[float] = field(default_factory=list)
    """Training loss."""
    eval_steps: Sequence[float] = field(default_factory=list)
    eval_losses: Sequence[float] = field(default_factory=list)
    """Empty where the metric is that loss."""
    scores: Sequence[float] = field(default_factory=list)
    """The metric on validation rows."""
    metric: Metric = METRICS[0]

    @property
    def empty(self) -> bool:
        return not len(self.steps) and not len(self.eval_steps)

    @property
    def drawable(self) -> bool:
        """Whether there is a line to draw, not just a dot."""
        return len(self.steps) > 1 or len(self.eval_steps) > 1


def run_chart(curves: RunCurves, *, total_steps: int | None = None, ended: bool = False, height: int = 420) -> Chart:
    """Training loss, validation loss and the validation metric of one run, two rows that share the step axis."""
    fig = figure(height=height)
    subplots(fig, rows=2, cols=1, shared_xaxes=True, vertical_spacing=0.08, row_heights=[0.58, 0.42])
    few = len(curves.steps) < 2
    fig.add_scatter(x=curves.steps, y=curves.losses, name="training loss", mode="lines+markers" if few else "lines",
                    row=1, col=1, line={"color": palette.TRAINING, "width": 2},
                    hovertemplate="step %{x}<br>training loss %{y:.4f}<extra></extra>")
    colour = palette.arm(0).colour
    if len(curves.eval_losses):
        fig.add_scatter(x=curves.eval_steps, y=curves.eval_losses, name="validation loss", mode="lines+markers",
                        row=1, col=1, line={"color": colour, "width": 2},
                        hovertemplate="step %{x}<br>validation loss %{y:.4f}<extra></extra>")
    name = curves.metric.on("validation")
    fig.add_scatter(x=curves.eval_steps, y=curves.scores, name=name, mode="lines+markers", row=2, col=1,
                    line={"color": palette.arm(4).colour, "width": 2}, marker={"symbol": "square"},
                    hovertemplate=f"step %{{x}}<br>{name} %{{y:.3f}}<extra></extra>")
    fig.update_traces(cliponaxis=False)
    fig.update_yaxes(title={"text": "Loss"}, rangemode="tozero", row=1, col=1)
    label = curves.metric.label
    room = _room(curves.scores, curves.metric)
    fig.update_yaxes(title={"text": label[0].upper() + label[1:]}, tickformat=".2f", range=room, row=2, col=1)
    fig.update_xaxes(title={"text": X_LABELS["steps"]}, row=2, col=1)
    if total_steps:
        fig.update_xaxes(range=[0, total_steps * 1.02])
    title = _run_finding(curves, "" if ended else " so far")
    return Chart(fig, title, f"Learning curves of the run. {title}.")


def _run_finding(curves: RunCurves, so_far: str) -> str:
    parts = []
    if len(curves.scores):
        best = max(range(len(curves.scores)), key=lambda i: curves.metric.sign * curves.scores[i])
        parts.append(f"Best {curves.metric.on('validation')}{so_far}: {curves.scores[best]:.3f}, at step "
                     f"{curves.eval_steps[best]:.0f}")
    if len(curves.losses) > 1:
        part = max(1, len(curves.losses) // 5)
        first, last = sum(curves.losses[:part]) / part, sum(curves.losses[-part:]) / part
        way = "stayed at" if (ends := (f"{first:.3f}", f"{last:.3f}"))[0] == ends[1] else (
            f"{'fell' if last < first else 'rose'} from {ends[0]} to")
        parts.append(f"training loss {way} {ends[1]}"
                     + (" (means of the first and last fifth)" if part > 1 else ""))
    text = "; ".join(parts) or "No step has been reported yet"
    return text[0].upper() + text[1:]


def _room(values: Sequence[float], metric: Metric) -> list[float] | None:
    """A range that leaves some air round shares, which lie in [0, 1]; None without values, and for other numbers."""
    if not len(values) or metric.unit is not Unit.SHARE:
        return None
    low, high = min(values), max(values)
    air = max(0.02, 0.1 * (high - low))
    return [max(0.0, low - air), min(1.01, high + air)]


def overlay(lines: Sequence[Line], *, x: str = "steps", metric: Metric | None = None, height: int = 400) -> Chart:
    """The same curve of several runs: a metric on validation rows, or (None) the training loss.

    `x` is `steps`, `seconds`, `samples` or `SHARE`; the title gives the range of the best points.
    """
    y_title = metric.heading("validation") if metric else "Training loss"
    higher_is_better = metric is not None and metric.higher_is_better
    x_title = X_LABELS.get(x, "Share of its planned steps")
    fig = figure(x_title=x_title, y_title=y_title, height=height)
    best: list[tuple[float, str]] = []
    for line in lines:
        look = line.look
        fig.add_scatter(x=line.x, y=line.y, name=plain(line.name),
                        mode="lines+markers" if len(line.x) < 40 else "lines",
                        line={"color": look.colour, "dash": look.dash, "width": 2},
                        marker={"symbol": look.symbol, "size": 7},
                        hovertemplate=f"{plain(line.whole or line.name)}<br>%{{x}}: %{{y:.4f}}<extra></extra>")
        if len(line.y):
            best.append(((max if higher_is_better else min)(line.y), line.name))
    fig.update_traces(cliponaxis=False)
    fig.update_xaxes(range=[0, max(1.0, 1.02 * max((max(line.x) for line in lines if len(line.x)), default=1.0))])
    if metric is not None:
        fig.update_yaxes(range=_room([y for line in lines for y in line.y], metric), tickformat=".2f")
    name = y_title[0].lower() + y_title[1:]
    if not best:
        return Chart(fig, f"No run has reported {name} yet", f"Empty chart: no run has reported {name} yet.")
    best.sort(reverse=higher_is_better)
    word = "Highest" if higher_is_better else "Lowest"
    title = f"{word} {name} of each run: from {best[0][0]:.3f} ({best[0][1]}) to {best[-1][0]:.3f} ({best[-1][1]})"
    if f"{best[0][0]:.3f}" == f"{best[-1][0]:.3f}":
        title = f"{word} {name} of each run: {best[0][0]:.3f} in all"
    if len(best) == 1:
        title = f"{word} {name}: {best[0][0]:.3f} ({best[0][1]})"
    alt = (f"{y_title} against {x_title.lower()}, one curve a run. "
           + "; ".join(f"{run} {value:.3f}" for value, run in best) + ".")
    return Chart(fig, title, alt)
