"""Learning curves from events: nothing cut off, spikes kept, what was done twice shown once."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from core.analysis.curves import MAX_POINTS, from_events, thin
from core.domain.run import Event


def step(seq: int, number: int, loss: float = 1.0, kind: str = "step") -> Event:
    return Event(seq=seq, time=float(seq), kind=kind, data={"step": number, "loss": loss})


@given(n=st.integers(0, 12_000), spike=st.integers(0, 12_000))
def test_thinning_keeps_both_ends_and_the_spike(n: int, spike: int) -> None:
    points = [{"step": i, "loss": 100.0 if i == spike else 1.0 / (i + 1)} for i in range(n)]
    kept = thin(points)
    steps = [point["step"] for point in kept]
    assert len(kept) <= MAX_POINTS
    assert steps == sorted(set(steps))
    assert kept == points if n <= MAX_POINTS else (steps[0], steps[-1]) == (0, n - 1)
    assert spike >= n or spike in steps


def test_a_resumed_run_is_one_curve() -> None:
    events = [step(i, i) for i in range(1, 26)] + [step(100 + i, i, loss=2.0) for i in range(21, 31)]
    curves = from_events(events)
    assert [point["step"] for point in curves.steps] == list(range(1, 31))
    assert [point["loss"] for point in curves.steps] == [1.0] * 20 + [2.0] * 10


def test_steps_and_evaluations_are_told_apart_and_summaries_without_loss_are_left_out() -> None:
    curves = from_events([step(1, 1), step(2, 1, kind="eval"),
                          Event(seq=3, time=3.0, kind="step", data={"step": 2, "epoch": 1.0}),
                          Event(seq=4, time=4.0, kind="phase", data={"phase": "saving"})])
    assert (len(curves.steps), len(curves.evals)) == (1, 1)
