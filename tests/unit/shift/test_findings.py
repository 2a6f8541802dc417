"""Sentences claim no more than the numbers: ranked blocks need separate bands, verdicts need a paired test."""

import dataclasses

import numpy as np
import pytest

from core.domain.run import Interval
from core.shift import blocks, findings, words
from core.shift.arrays import State
from core.shift.procrustes import Procrustes
from core.shift.sides import SideNumbers


@pytest.fixture
def one():
    """A block with given CKA band."""

    def make(name, low, value, high, **changes):
        empty = np.zeros((0, 0), np.int64)
        rows = blocks.BlockRows(target=np.ones(100, bool), kept=np.ones(100), distance=np.linspace(0, 1, 100),
                                near_base=empty, near_tuned=empty)
        values = {"index": 0, "name": name, "frozen": False, "state": State.OK, "base_block": 0, "rows": rows,
                  "base": SideNumbers(), "tuned": SideNumbers(), "cka": Interval(value=value, low=low, high=high),
                  "knn_overlap": 0.73, "knn_overlap_chance": 0.005}
        return blocks.BlockShift(**{**values, **changes})

    return make


def say(found, labels=None):
    return findings.sentences(found, labels, base="base", run="tuned", rows=100)


def test_a_single_lowest_block_is_named_with_its_interval(one):
    said, text = say([one("block 0", 0.9, 0.91, 0.92), one("block 1", 0.6, 0.65, 0.7)])[:2]
    assert said == "Features changed most in block 1 (CKA 0.65, where 1 is unchanged)."
    assert text.startswith("By CKA: 0.650 in block 1, 95 % interval 0.600 to 0.700.")
    assert "keep 7.3 of their 10 nearest neighbours (by chance 0.1)" in text


def test_overlapping_bands_are_not_ranked(one):
    text = say([one("block 0", 0.64, 0.69, 0.74), one("block 1", 0.6, 0.65, 0.7), one("block 2", 0.9, 0.91, 0.92)])[0]
    assert "block 0 and block 1, which this sample cannot rank" in text and "block 2" not in text


def test_the_headline_has_at_most_twenty_words_however_many_blocks_are_tied(one):
    said, numbers = say([one(f"block {i}", 0.5, 0.6, 0.7) for i in range(30)])[:2]
    assert len(said.split()) <= 20 and "block 0 and 29 others" in said
    assert "block 28 and block 29" in numbers


def test_neighbours_kept_may_name_another_block_when_the_rows_support_it(one):
    low = one("block 1", 0.6, 0.65, 0.7)
    low = dataclasses.replace(low, knn_overlap=0.9, rows=dataclasses.replace(low.rows, kept=np.tile([0.8, 1.0], 50)))
    for drop, told in ((0.3, True), (0.0, False)):
        high = one("block 2", 0.9, 0.91, 0.92)
        kept = np.tile([1.0, 0.78], 50) - drop
        high = dataclasses.replace(high, knn_overlap=float(kept.mean()), rows=dataclasses.replace(high.rows, kept=kept))
        assert ("By neighbours kept it is block 2" in say([low, high])[1]) == told


def test_only_one_block_changed(one):
    still = one("embeddings", 1, 1, 1, state=State.IDENTICAL)
    assert say([still, one("block 0", 0.6, 0.65, 0.7)])[0].startswith("Only block 0 changed")
    assert "1 of 2 blocks is identical" in say([still, one("block 0", 0.6, 0.65, 0.7)])[1]


@pytest.mark.parametrize(("fixed", "broken", "start"), [
    (30, 2, "Rows of one class lie closer together"), (2, 30, "Rows of one class lie less close together"),
    (6, 4, "Whether classes lie closer together cannot be told")])
def test_verdict_on_classes_needs_the_paired_test(one, fixed, broken, start):
    labels = np.zeros(100, int)
    old, new = (np.r_[np.ones(fixed), np.zeros(100 - fixed)].astype(int),
                np.r_[np.zeros(100 - broken), np.ones(broken)].astype(int))
    share = [SideNumbers(knn_accuracy=Interval(value=1 - wrong / 100, low=0, high=1)) for wrong in (fixed, broken)]
    block = one("block 5", 0.6, 0.65, 0.7, knn_base=old, knn_tuned=new, base=share[0], tuned=share[1])
    assert any(text.startswith(start) for text in say([block], labels))


def test_rotation_is_named_only_when_it_explains_a_visible_move(one):
    turn = Procrustes(residual=0.004, angle=40, scale=1, determined=True)
    moved = one("block 5", 0.6, 0.65, 0.7, displacement=0.8, procrustes=turn)
    assert any("a rotation and one scale explain it" in t for t in say([moved]))
    for change in ({"displacement": 0.01}, {"procrustes": dataclasses.replace(turn, residual=0.2)},
                   {"procrustes": dataclasses.replace(turn, determined=False)}):
        assert not any("rotation" in t for t in say([dataclasses.replace(moved, **change)]))


def test_target_against_shift_rows_needs_a_rank_test(one):
    target = np.arange(100) < 50
    for distance, start in ((np.where(target, 1.0, 0.2) + np.linspace(0, 0.01, 100), "Target rows moved more"),
                            (np.where(target, 0.2, 1.0) + np.linspace(0, 0.01, 100), "Shift rows moved more"),
                            (np.tile([0.4, 0.6], 50), "Whether target or shift rows moved more cannot be told")):
        block = one("block 5", 0.6, 0.65, 0.7)
        block = dataclasses.replace(block, rows=dataclasses.replace(block.rows, target=target, distance=distance),
                                    displacement=float(np.median(distance[target])),
                                    displacement_shift=float(np.median(distance[~target])))
        assert any(text.startswith(start) for text in say([block]))


def test_every_number_has_a_card_with_a_meaning_and_a_baseline(one):
    assert all(card.label and card.meaning.endswith((".", "?")) and card.baseline.endswith(".")
               for card in words.CARDS.values())
    keys = {key.removesuffix("_base") for key in one("b", 0.6, 0.65, 0.7).to_json() if key.endswith("_base")}
    named = {k for k in keys if not k.endswith(("_low", "_high", "_p", "_ceiling", "_split_half"))}
    assert named <= set(words.CARDS)
