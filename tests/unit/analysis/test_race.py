"""Who is far behind in a race: known answers, and a rule that names hardly anybody where all are alike."""

from __future__ import annotations

import numpy as np
import pytest

from core import metrics
from core.analysis import race
from core.analysis.curves import from_events
from core.analysis.race import Lane
from core.domain.run import Event

ACCURACY = metrics.REGISTRY["accuracy"]
SHARES = (0.125, 0.25, 0.375, 0.5, 0.75, 1.0)


def lane(run: str, *scores: float, rows: int = 100, under_way: bool = True) -> Lane:
    return Lane(run=run, shares=SHARES[:len(scores)], scores=scores, rows=rows, under_way=under_way)


def test_a_run_far_behind_is_named_at_a_quarter_of_its_steps() -> None:
    lanes = [lane("good", 0.8, 0.9), lane("fair", 0.7, 0.8), lane("poor", 0.3, 0.4)]
    found, = race.behind(lanes, ACCURACY)
    assert (found.run, found.leader, found.share, found.score, found.best) == ("poor", "good", 0.25, 0.4, 0.9)
    assert race.behind([lane("good", 0.8), lane("poor", 0.3)], ACCURACY) == [], "before the first rung"


def test_it_is_held_against_others_at_the_same_share_of_their_steps() -> None:
    done = lane("done", 0.3, 0.4, 0.6, 0.7, 0.8, 0.95, under_way=False)
    assert race.behind([done, lane("slow", 0.35, 0.45)], ACCURACY) == [], "the other was no better then"
    assert [found.run for found in race.behind([done, lane("slow", 0.1, 0.1, 0.1, 0.2)], ACCURACY)] == ["slow"]
    assert race.behind([lane("a", 0.9, 0.9, under_way=False), lane("b", 0.1, 0.1, under_way=False)], ACCURACY) == []


def test_the_better_half_and_what_few_rows_explain_are_left_alone() -> None:
    assert race.behind([lane("a", 0.9, 0.9), lane("b", 0.5, 0.5), lane("c", 0.4, 0.4), lane("d", 0.3, 0.3)],
                       ACCURACY)[0].run == "c"
    assert race.behind([lane("a", 0.9, 0.9, rows=8), lane("b", 0.6, 0.6, rows=8)], ACCURACY) == []
    perplexity = metrics.REGISTRY["perplexity"]
    assert race.behind([lane("a", 2.0, 2.0), lane("b", 90.0, 90.0)], perplexity) == [], "no share of rows"


@pytest.mark.parametrize(("p", "q", "n", "apart"), [  # (difference, half width at 95 %), worked out by hand:
    (0.9, 0.75, 100, True),   # 0.147, 0.104
    (0.9, 0.82, 100, False),  # 0.078, 0.097
    (0.5, 0.4, 250, True),    # 0.099, 0.086
    (1.0, 0.9, 30, False)])   # 0.094, 0.129
def test_the_interval_is_agresti_and_caffos(p: float, q: float, n: int, apart: bool) -> None:
    assert race._apart(p, n, q, n, runs=2) == race._apart(q, n, p, n, runs=2) == apart


def test_of_runs_that_are_alike_hardly_one_is_named() -> None:
    rng = np.random.default_rng(0)
    races = 2000
    named = sum(bool(race.behind([lane(str(arm), *np.full(2, rng.binomial(60, 0.7) / 60), rows=60) for arm in range(5)],
                                 ACCURACY)) for _ in range(races))
    assert named / races <= 0.055


def test_a_lane_is_made_of_events() -> None:
    events = [Event(seq=1, time=0.0, kind="step", data={"step": 10, "total_steps": 40, "loss": 1.0}),
              Event(seq=2, time=0.0, kind="eval", data={"step": 10, "accuracy": 0.5, "loss": 1.0}),
              Event(seq=3, time=0.0, kind="eval", data={"step": 20, "accuracy": 0.7, "loss": 0.8})]
    made = race.lane("r", from_events(events), ACCURACY, rows=9, under_way=True)
    assert made.shares == (0.25, 0.5) and made.scores == (0.5, 0.7)
    assert race.lane("r", from_events([]), ACCURACY, rows=9, under_way=True).shares == ()
