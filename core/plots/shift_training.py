"""Over training: the loss with a checkpoint marker, and one block's numbers at every checkpoint."""

from __future__ import annotations

from collections.abc import Sequence

from core.plots import palette
from core.plots.theme import Chart, figure, fixed_room, subplots

Values = Sequence[float | None]


def numbers(steps: Sequence[float], *, block: str, cka: Values, kept: Values | None = None, nc1: Values | None = None,
            effective_rank: Values | None = None, knn_accuracy: Values | None = None, majority: float | None = None,
            height: int = 460) -> Chart:
    """Small panels over training steps for one block: CKA to base (and neighbours kept), k-NN accuracy, NC1 (log),
    effective rank.

    Sequences hold one value a checkpoint; a panel without any value is left out.
    """
    panels: list[tuple[str, list[tuple[str, Values]]]] = [("Similarity to base",
                                                           [("CKA", cka), ("neighbours kept", kept or [])])]
    others = (("k-NN accuracy", knn_accuracy), ("NC1 (log)", nc1), ("Effective rank", effective_rank))
    panels += [(label, [(label, values)]) for label, values in others if values and any(v is not None for v in values)]
    columns = min(2, len(panels))
    rows = -(-len(panels) // columns)
    fig = figure(height=height if rows > 1 else height // 2 + 40)
    subplots(fig, rows=rows, cols=columns, subplot_titles=[name for name, _ in panels], horizontal_spacing=0.1,
             vertical_spacing=0.18)
    fig.update_layout(legend={"y": 1.14})
    fixed_room(fig, left=48, top=56)
    for index, (label, series) in enumerate(panels):
        at = {"row": index // columns + 1, "col": index % columns + 1}
        for number, (name, values) in enumerate((n, v) for n, v in series if len(v)):
            look = palette.arm(4 if number else 0)
            several = len(series) > 1 and len(series[1][1]) > 0
            fig.add_scatter(x=list(steps), y=list(values), name=name, mode="lines+markers", showlegend=several,
                            line={"color": look.colour, "width": 2, "dash": look.dash},
                            marker={"symbol": look.symbol, "size": 7},
                            hovertemplate="step %{x}<br>" + name + " %{y:.3f}<extra></extra>", **at)
        fig.update_xaxes(title={"text": "Training steps"} if at["row"] == rows else None, **at)
        fig.update_yaxes(type="log" if label.startswith("NC1") else "linear",
                         range=[-0.05, 1.05] if index == 0 else None, **at)
        if label == "k-NN accuracy" and majority is not None:
            fig.add_hline(y=majority, line={"color": palette.BASE, "width": 1, "dash": "dot"}, **at)
    title = _finding(block, steps, cka)
    return Chart(fig, title, f"{title}. Panels over training steps: {', '.join(name for name, _ in panels)}.")


def _finding(block: str, steps: Sequence[float], cka: Values) -> str:
    known = [(s, v) for s, v in zip(steps, cka, strict=True) if v is not None]
    if not known:
        return f"{block} could not be compared with the base"
    if all(v == 1 for _, v in known):
        return f"{block} stayed identical to the base at every checkpoint"
    return (f"{block} went from CKA {known[0][1]:.2f} to {known[-1][1]:.2f} between steps {known[0][0]:.0f} and "
            f"{known[-1][0]:.0f}")
