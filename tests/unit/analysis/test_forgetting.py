"""What was forgotten, in words: nothing inside the noise floor is called forgetting."""

from __future__ import annotations

import numpy as np
import pytest

from core.analysis import forgetting
from core.analysis.forgetting import NONE, Floor, Word, said, sentence, word
from core.domain import codec
from core.domain.run import Interval, PanelChange, Result
from core.metrics.documents import a_token

FLOOR = Floor(value=0.03, source="4-bit")


def change(value: float, half: float = 0.01) -> Interval:
    return Interval(value=value, low=value - half, high=value + half)


def result(**more: object) -> Result:
    return Result(metrics={}, trainable_params=1, total_params=2, seconds=1.0, phase_seconds={}, peak_memory_bytes=3,
                  estimated_memory_bytes=4, artifact_bytes=5, steps=6, samples=7, precision="fp32", device="cpu",
                  **more)  # type: ignore[arg-type]


@pytest.mark.parametrize(("value", "half", "floor", "expected"), [
    (0.10, 0.02, 0.03, Word.WORSE), (-0.10, 0.02, 0.03, Word.BETTER),
    (0.02, 0.01, 0.03, Word.UNCLEAR),  # inside the floor, however sure
    (0.045, 0.02, 0.03, Word.UNCLEAR),  # the interval touches the floor
    (0.01, 0.02, 0.0, Word.UNCLEAR),
    (0.01, 0.005, 0.0, Word.WORSE)])
def test_a_word_needs_the_whole_interval_beyond_the_floor(value: float, half: float, floor: float,
                                                          expected: Word) -> None:
    assert word(change(value, half), floor) is expected
    opposite = {Word.WORSE: Word.BETTER, Word.BETTER: Word.WORSE}.get(expected, Word.UNCLEAR)
    assert word(change(value, half), floor, higher_is_better=True) is opposite


def test_sentences_say_what_the_numbers_support() -> None:
    assert said("news", change(0.1), FLOOR).startswith("Forgot some of news: loss rose by 0.100 nats a token (+0.100")
    assert said("news", change(-0.1), FLOOR).startswith("Became better at news: loss fell")
    assert said("news", change(0.02, 0.001), FLOOR).endswith(
        "which lies within the noise floor of 0.030 (what rounding to 4 bits alone changes).")
    assert said("news", change(0.035), FLOOR).endswith(
        "which is not clear of the noise floor of 0.030 (what rounding to 4 bits alone changes).")
    assert said("news", change(0.005), NONE).endswith("which is not clear of zero.")


def test_a_domain_that_was_trained_on_is_never_forgotten() -> None:
    found = PanelChange(before=4.7, after=4.9, change=change(0.2), trained_on=True)
    assert sentence("usenet", found, NONE).startswith("The run was trained on Usenet posts: its loss went from 4.700")
    assert "Forgot" not in sentence("usenet", found, NONE)


def test_the_floor_is_what_was_measured_or_what_another_seed_changes() -> None:
    own = {"panel": {"news": 0.002}, "pooled": 0.001, "from": "precision"}
    seeds = [result(panel={"news": PanelChange(before=4.0, after=4.0 + v, change=change(v))}, noise_floor=own)
             for v in (0.10, 0.12, 0.17)]
    assert forgetting.floor_of(seeds[0], "news") == Floor(value=0.002, source="precision")
    by_seeds = forgetting.floor_of(seeds[0], "news", seeds=seeds)
    assert by_seeds.source == "seeds" and by_seeds.value == pytest.approx(2 * np.std([0.10, 0.12, 0.17], ddof=1))
    assert forgetting.floor_of(seeds[0], seeds=seeds) == Floor(value=0.001, source="precision")
    assert forgetting.floor_of(result(), "news") == NONE


def test_of_a_null_at_most_five_of_a_hundred_sentences_assert_a_change() -> None:
    rng, asserted, tries = np.random.default_rng(1), 0, 800
    for _ in range(tries):
        tokens = rng.integers(120, 260, 20)
        found = a_token(tokens * rng.normal(0, 0.05, 20), tokens, seed=int(rng.integers(2**31)), samples=500)
        # two precisions differ by half as much as the texts do: no more than chance may lie beyond that
        asserted += not said("news", found, Floor(value=0.005, source="precision")).startswith("Whether ")
    assert asserted / tries <= 0.05


def test_results_of_before_open_and_new_ones_travel() -> None:
    old = codec.to_json(result())
    for name in ("panel", "panel_change", "panel_version", "kl", "noise_floor", "base"):
        del old[name]
    assert codec.read(Result, old) == result()
    found = result(panel={"news": PanelChange(before=4.0, after=4.1, change=change(0.1), kl=change(0.2))},
                   panel_change=change(0.1), kl={"task": change(0.3)}, base={"test": {"loss": change(3.0)}},
                   noise_floor={"panel": {"news": 0.1}, "pooled": 0.1, "target": 0.2, "from": "precision"})
    assert codec.read(Result, codec.to_json(found)) == found
    assert [row["word"] for row in forgetting.rows(found)] == ["cannot tell"]
