"""Sentences and warnings made from the numbers, which never claim more than those support."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from core.metrics.paired import compare
from core.metrics.words import signed
from core.shift.arrays import State
from core.shift.blocks import BlockShift
from core.shift.sides import AlignedFeatures


@dataclass(frozen=True, kw_only=True)
class Caution:
    """Something that limits what the numbers can tell."""

    code: str
    """`no-labels`, `different-widths`, `few-rows-for-classes`, `few-rows-for-width`, `not-finite`, `collapsed`,
    `frozen-moved`."""
    message: str


def sentences(blocks: Sequence[BlockShift], labels: NDArray[np.int64] | None, *, base: str, run: str,
              rows: int, at: int | None = None) -> tuple[str, ...]:
    """What changed where, in at most twenty words: the page's headline. Then by how much, with its doubt; and of block
    `at` (the last by default) whether it helped, and whom it touched.

    labels: classes of the labelled target rows; rows: target rows. base, run: what the two sides are called.
    """
    usable = [b for b in blocks if b.cka is not None]
    if not usable:
        return (f"The features of {base} and {run} cannot be compared: they are not finite or have collapsed.",)
    moved = [b for b in usable if b.state is not State.IDENTICAL]
    if not moved:
        return (f"{_up(base)} and {run} are identical: every feature of all {len(usable)} blocks is equal "
                "to the last bit.",)
    out = list(_where(moved, blocks))
    chosen = blocks[-1 if at is None else at]
    out += [text for text in (_helped(chosen, labels, base, run), _rotated(chosen), _whom(chosen, rows)) if text]
    return tuple(out)


def _where(moved: Sequence[BlockShift], blocks: Sequence[BlockShift]) -> tuple[str, str]:
    """The block that changed most by CKA, or that this sample cannot rank several; then the numbers behind it."""
    lowest = min(moved, key=lambda b: _value(b))
    bound = lowest.cka.high if lowest.cka else 1.0
    tied = [b for b in moved if b is lowest or (b.cka is not None and b.cka.low <= bound)]
    still = len(blocks) - len(moved)
    rest = (f" {still} of {len(blocks)} blocks {'is' if still == 1 else 'are'} identical to the last bit." if still
            else "")
    if len(tied) == 1 and lowest.cka is not None:
        only = f"Only {lowest.name} changed" if len(moved) == 1 else f"Features changed most in {lowest.name}"
        numbers = (f"By CKA: {lowest.cka.value:.3f} in {lowest.name}, 95 % interval {lowest.cka.low:.3f} to "
                   f"{lowest.cka.high:.3f}.")
        return (f"{only} (CKA {lowest.cka.value:.2f}, where 1 is unchanged).",
                f"{numbers}{_kept(lowest)}{_otherwise(moved, tied)}{rest}")
    names = [b.name for b in tied]
    values = f"{min(_value(b) for b in tied):.3f} to {max(_value(b) for b in tied):.3f}"
    which = _list(names) if len(names) < 4 else f"{names[0]} and {len(names) - 1} others"
    return (f"Features changed most in {which}, which this sample cannot rank.",
            f"By CKA: {values} in {_list(names)}; 1 = unchanged.{_otherwise(moved, tied)}{rest}")


def _otherwise(moved: Sequence[BlockShift], named: Sequence[BlockShift]) -> str:
    """Where neighbours kept point to another block than CKA does, and rows compared one by one support it."""
    known = [b for b in moved if b.knn_overlap is not None]
    if not known:
        return ""
    least = min(known, key=lambda b: b.knn_overlap or 0.0)
    rows = least.rows.target
    for other in named:
        gap = other.rows.kept[rows] - least.rows.kept[rows]
        if other is least or not np.mean(gap) > 1.96 * np.std(gap) / np.sqrt(len(gap)):
            return ""
    return f" By neighbours kept it is {least.name}: {10 * (least.knn_overlap or 0.0):.1f} of 10."


def _kept(block: BlockShift) -> str:
    if block.knn_overlap is None:
        return ""
    return (f" There, rows keep {10 * block.knn_overlap:.1f} of their 10 nearest neighbours (by chance "
            f"{10 * block.knn_overlap_chance:.1f}).")


def _helped(last: BlockShift, labels: NDArray[np.int64] | None, base: str, run: str) -> str:
    """Whether classes lie more together in a block, by a paired test of k-NN accuracy."""
    if labels is None or last.knn_base is None or last.knn_tuned is None:
        return ""
    old, new = last.base.knn_accuracy, last.tuned.knn_accuracy
    if old is None or new is None:
        return ""
    test = compare(labels, last.knn_tuned, last.knn_base)
    if last.state is State.IDENTICAL:
        return f"In {last.name} nothing moved: k-NN accuracy is {old.value:.3f} in both."
    numbers = f"k-NN accuracy in {last.name} is {old.value:.3f} in {base}, {new.value:.3f} in {run}"
    if test.p_value < 0.05 and (test.difference.low > 0 or test.difference.high < 0):
        verdict = ("Rows of one class lie closer together" if test.difference.value > 0
                   else "Rows of one class lie less close together")
        return (f"{verdict} in {run}: {numbers} (difference {signed(test.difference.low, 3)} to "
                f"{signed(test.difference.high, 3)}, 95 % interval).")
    return (f"Whether classes lie closer together cannot be told on {test.n} rows: {numbers}.")


def _rotated(block: BlockShift) -> str:
    """Only where features moved visibly and yet a rotation explains nearly all of it."""
    turn, moved = block.procrustes, block.displacement
    if turn is None or moved is None or not turn.determined or moved < 0.1 or not turn.residual < 0.02:
        return ""
    return (f"In {block.name} the typical row moved {moved:.2f} typical distances, but a rotation and one "
            f"scale explain it: {turn.residual / 2:.1%} of the difference between unrelated features is left.")


def _whom(last: BlockShift, rows: int) -> str:
    """Target rows against shift rows, where a rank test tells their movements apart."""
    if last.displacement is None or last.displacement_shift is None or last.state is State.IDENTICAL:
        return ""
    from scipy.stats import mannwhitneyu

    inside, outside = last.rows.distance[last.rows.target], last.rows.distance[~last.rows.target]
    test = mannwhitneyu(inside, outside)
    further = last.displacement > last.displacement_shift
    numbers = (f"typical move in {last.name} {last.displacement:.2f} typical distances for target rows, "
               f"{last.displacement_shift:.2f} for shift rows")
    if not test.pvalue < 0.05 or further != (test.statistic > len(inside) * len(outside) / 2):
        return f"Whether target or shift rows moved more cannot be told: {numbers}."
    more = "Target rows moved more than shift rows" if further else "Shift rows moved more than target rows"
    return f"{more}: {numbers} ({rows} target rows)."


def warnings(blocks: Sequence[BlockShift], both: AlignedFeatures) -> tuple[Caution, ...]:
    """States of the page and limits of the sample."""
    n, out = int(both.target.sum()), []
    if not both.labelled.any():
        out.append(Caution(code="no-labels",
                           message="There are no labels of at least two classes: numbers that need them are left out."))
    else:
        count = len(np.unique(np.asarray(both.labels)[both.target][both.labelled]))
        if n < 4 * count:
            out.append(Caution(code="few-rows-for-classes",
                               message=f"{n} rows are few for {count} classes: use at least {4 * count}."))
    wide = [b for b in blocks if np.shape(both.base[b.base_block])[1] != np.shape(both.tuned[b.index])[1]]
    if wide:
        names = _list([b.name for b in wide])
        out.append(Caution(code="different-widths",
                           message=f"The two models differ in width in {names}: no arrows and no displacement there."))
    widest = max(np.shape(t)[1] for t in both.tuned)
    if n < widest:
        out.append(Caution(code="few-rows-for-width",
                           message=f"{n} rows are fewer than the {widest} dimensions: what is left after rotation "
                                   "reads too large, and effective rank is bounded by the rows."))
    for code, found, words in (("not-finite", State.NOT_FINITE, "holds numbers that are not finite"),
                               ("collapsed", State.COLLAPSED, "has collapsed: every row has the same feature")):
        hit = [b.name for b in blocks if b.state is found]
        if hit:
            out.append(Caution(code=code, message=f"{_up(_list(hit))} {words}; its numbers are left out."))
    return (*out, *_frozen_check(blocks))


def _frozen_check(blocks: Sequence[BlockShift]) -> list[Caution]:
    """Blocks below the first trained one must be identical: the page's self-test."""
    for block in blocks:
        if not block.frozen:
            return []
        if block.state is State.OK:
            return [Caution(code="frozen-moved",
                            message=f"{_up(block.name)} and all below it were frozen, yet its features changed: "
                                    "they were trained after all, or the two sides were not extracted alike.")]
    return []


def _value(block: BlockShift) -> float:
    return block.cka.value if block.cka is not None else 1.0


def _list(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else ", ".join(names[:-1]) + " and " + names[-1]


def _up(text: str) -> str:
    return text[:1].upper() + text[1:]
