"""Break it: each break does what its switch says, and the named number is the one that is fooled."""

import numpy as np
import pytest

from core.shift import breakit, cka, displacement, neighbours, procrustes
from core.shift.breakit import BREAKS


def numbers(broken):
    moved = displacement.measure(broken.base, broken.tuned)
    return cka.linear(broken.base, broken.tuned), neighbours.overlap(broken.base, broken.tuned), moved.typical()


def test_rotation_fools_displacement_only(block):
    x, y, _ = block(noise=0.1)
    before, after = numbers(breakit.Broken(base=x, tuned=y, order=np.arange(300))), numbers(breakit.rotate(x, y))
    assert after[:2] == pytest.approx(before[:2]) and after[2] > 2 * before[2]
    assert (procrustes.measure(x, breakit.rotate(x, y).tuned).residual
            == pytest.approx(procrustes.measure(x, y).residual, abs=0.01))


def test_scale_is_named_by_procrustes(block):
    x, y, _ = block()
    after = breakit.scale(x, y)
    assert cka.linear(x, after.tuned) == pytest.approx(cka.linear(x, y))
    assert procrustes.measure(x, after.tuned).scale == pytest.approx(3 * procrustes.measure(x, y).scale)


def test_shuffle_keeps_the_rows_and_tells_their_order(block):
    x, y, _ = block()
    dealt = breakit.shuffle(x, y, 5)
    np.testing.assert_array_equal(dealt.tuned, y[dealt.order])
    assert sorted(dealt.order) == list(range(300)) and (dealt.order != np.arange(300)).any()


def test_outlier_moves_one_row_far(block):
    x, y, _ = block()
    moved = np.linalg.norm(breakit.outlier(x, y).tuned - y, axis=1)
    assert np.sum(moved > 0) == 1 and moved.max() > 100 * np.linalg.norm(y - y.mean(axis=0), axis=1).mean()


def test_rogue_dimension_is_the_same_on_both_sides(block):
    x, y, _ = block()
    broken = breakit.rogue(x, y)
    np.testing.assert_array_equal(broken.base[:, 0], broken.tuned[:, 0])
    np.testing.assert_array_equal(broken.base[:, 1:], x[:, 1:])


@pytest.mark.parametrize("switch", BREAKS, ids=lambda b: b.name)
def test_every_switch_repeats_with_its_seed_and_leaves_its_input_alone(block, switch):
    x, y, _ = block()
    kept = x.copy(), y.copy()
    one, two = switch.apply(x, y, 1), switch.apply(x, y, 1)
    np.testing.assert_array_equal(one.tuned, two.tuned)
    np.testing.assert_array_equal(x, kept[0])
    np.testing.assert_array_equal(y, kept[1])
    assert not np.array_equal(one.tuned, y) and switch.label and switch.expect.endswith(".")
