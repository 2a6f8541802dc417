"""Over training: base against itself is exact, leaving the base shows, labels are optional."""

import numpy as np

from core.shift import geometry, neighbours, over_training


def test_leaving_the_base(block):
    x, y, labels = block()
    saved = [x.copy(), (x + y) / 2, y, np.full_like(x, np.nan)]
    start, half, end, broken = over_training.measure(x, saved, steps=[0, 5, 10, 20], labels=labels)
    assert (start.cka, start.knn_overlap, start.displacement) == (1.0, 1.0, 0.0)
    assert 1 > half.cka > end.cka and 0 < half.displacement < end.displacement and half.knn_overlap > end.knn_overlap
    assert (end.nc1 == geometry.nc1(y, labels) and end.knn_accuracy
            == neighbours.knn_accuracy(neighbours.nearest(y), labels))
    assert [c.step for c in (start, half, end)] == [0, 5, 10] and broken.cka is None


def test_without_labels_and_with_some(block):
    x, y, labels = block()
    (plain,) = over_training.measure(x, [y], steps=[1])
    assert plain.nc1 is plain.knn_accuracy is None and plain.effective_rank > 1
    labels[200:] = -1
    (some,) = over_training.measure(x, [y], steps=[1], labels=labels)
    assert some.nc1 == geometry.nc1(y[:200], labels[:200])
    (one,) = over_training.measure(x, [y], steps=[1], labels=np.zeros(300, int))
    assert one.nc1 is None
