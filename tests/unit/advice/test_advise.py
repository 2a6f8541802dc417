"""Which evidence decides, and what is out of the question."""

from __future__ import annotations

import numpy as np

from core import advice
from core.advice import Candidate, Ground, Situation
from core.advice.advise import _some
from core.domain.dataset import Content, Task
from core.metrics import Judged
from tests.unit.advice.test_rule import FEW, MANY, TEXTS, setting

ROWS = 400
HERE = Situation(task=TEXTS, labels=100, classes=5)
EVERY = [Candidate(method=method, label=method.upper(), seconds=seconds, memory_bytes=10**8)
         for method, seconds in (("probe", 10.0), ("partial", 20.0), ("lora", 30.0), ("full", 40.0))]


def judged(accuracy: float, seed: int) -> Judged:
    """The easiest rows are right, but for a few at random."""
    ease = np.random.default_rng(0).random(ROWS)
    right = (ease < accuracy) ^ (np.random.default_rng(seed).random(ROWS) < 0.02)
    labels = np.arange(ROWS) % 2
    return Judged(labels=labels, predictions=np.where(right, labels, 1 - labels))


def own(**accuracy: float) -> advice.Ranking | None:
    return advice.ranked({method: {seed: judged(value, seed) for seed in range(3)} for method, value in
                          accuracy.items()})


def test_own_runs_come_before_stored_results_and_these_before_papers() -> None:
    table = [setting("few", FEW)]
    mine = advice.advise(HERE, EVERY, own=own(lora=0.6, full=0.9), settings=table)
    stored = advice.advise(HERE, EVERY, own=None, settings=table)
    papers = advice.advise(HERE, EVERY, own=None, settings=[])
    assert mine is not None and (mine.method, mine.ground) == ("full", Ground.OWN)
    assert "ahead of the others on validation rows" in mine.because
    assert stored is not None and (stored.method, stored.ground) == ("probe", Ground.STORED)
    assert stored.because == "On the set most like yours (few) it came out best."
    assert papers is not None and papers.ground is Ground.PAPERS and "arXiv" in papers.because


def test_a_tie_in_stored_results_reads_as_a_tie() -> None:
    close = setting("close", {"full": 0.0, "probe": -0.016, "lora": -0.05})
    found = advice.advise(HERE, EVERY, own=None, settings=[close])
    assert found is not None and found.method == "full"
    assert found.because.endswith("it came out best. On close the runs cannot tell it from PROBE.")
    behind = advice.advise(HERE, EVERY, own=None, settings=[setting("close", {"full": 0.0, "probe": -0.005})])
    assert behind is not None and behind.method == "probe"
    assert behind.because.endswith("On close the runs cannot tell it from the best there, FULL.")


def test_of_own_runs_that_cannot_be_told_apart_the_quickest_is_named() -> None:
    found = advice.advise(HERE, EVERY, own=own(lora=0.9, full=0.9, probe=0.5), settings=[])
    assert found is not None and found.method == "lora" and "cannot be told from each other" in found.because
    assert found.own is not None and found.own.methods[-1].method == "probe" and found.own.methods[-1].worse


def test_one_method_says_nothing_of_others() -> None:
    assert advice.ranked({"lora": {0: judged(0.9, 0)}}) is None
    assert advice.ranked({}) is None
    assert advice.ranked({"lora": {0: judged(0.9, 0)}, "full": {1: judged(0.9, 1)}}) is None, "no seed in common"


def test_many_tasks_on_one_base_model_leave_it_as_it_is() -> None:
    shared = Situation(task=TEXTS, labels=2000, classes=5, served=advice.MANY)
    found = advice.advise(shared, EVERY, own=own(full=0.95, lora=0.7), settings=[setting("many", MANY, labels=2000)])
    assert found is not None and found.method == "lora", "full was best, and is out of the question"
    reasons = {each.method: each.reason for each in found.candidates}
    assert reasons["full"] is not None and "changes the base model itself" in reasons["full"]
    assert reasons["partial"] is not None and reasons["probe"] is None is reasons["lora"]
    assert "full" not in found.rivals and "partial" not in found.rivals


def test_what_does_not_fit_is_never_named() -> None:
    short = [*EVERY[:3], Candidate(method="full", label="FULL", seconds=40.0, memory_bytes=10**12, reason="too large")]
    found = advice.advise(HERE, short, own=own(full=0.9, lora=0.6), settings=[setting("many", MANY)])
    assert found is not None and found.method != "full" and "full" not in found.rivals
    none = [Candidate(method=each.method, label=each.label, seconds=None, memory_bytes=None, reason="no") for each in
            EVERY]
    assert advice.advise(HERE, none, own=None, settings=[]) is None


def test_rivals_are_near_the_best_and_the_frozen_model_is_among_them() -> None:
    found = advice.advise(Situation(task=TEXTS, labels=2000, classes=5), EVERY, own=None,
                          settings=[setting("many", MANY, labels=2000)])
    assert found is not None and found.method == "full" and found.rivals[:2] == ("lora", "partial")
    assert "probe" in found.rivals


def test_papers_are_about_the_situation() -> None:
    from core.advice import literature

    language = literature.about(Situation(task=Task.on(Content.TEXT, labelled=False), labels=600, classes=0))
    assert [each.favours[0] for each in language] == ["lora", "qlora"]
    shifted = literature.about(Situation(task=TEXTS, labels=600, classes=5, shift=True))
    assert "lp_ft" in shifted[0].favours and not any("lp_ft" in each.favours for each in literature.about(HERE))
    assert all(each.source.count("arXiv") == 1 for each in literature.STATEMENTS)


def test_of_many_methods_that_cannot_be_told_apart_the_first_are_named() -> None:
    assert _some(["A"]) == "A" and _some(["A", "B"]) == "A and B" and _some(list("ABCD")) == "A, B, C and D"
    assert _some(list("ABCDEFGH")) == "A, B, C and 5 other methods"
