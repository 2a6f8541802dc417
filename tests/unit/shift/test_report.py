"""The whole report: page properties, every state, the same seed, the document's fixed keys, memory and time."""

import json
import subprocess
import sys

import numpy as np
import pytest

from core.errors import DataError
from core.shift import report
from core.shift.arrays import State
from core.shift.sides import AlignedFeatures

NAMES = ("embeddings", "block 0", "block 1")
BLOCK_KEYS = {"index", "name", "frozen", "cka", "cka_low", "cka_high", "cka_unrelated", "cka_p", "knn_overlap",
              "knn_overlap_chance", "knn_overlap_unrelated", "knn_overlap_p",
              "displacement", "probe_accuracy_base", "probe_accuracy_tuned"}
MAP_KEYS = {"variance_shown", "movement_captured", "trustworthiness", "continuity", "null_step"}


@pytest.fixture
def made(block):
    """Three blocks: the first frozen and identical, the next two moved more and more."""

    def make(n=240, shift=0, labelled=True, **changes):
        base, tuned = [], []
        for index in range(3):
            x, y, labels = block(n=n, noise=0.3 * index, apart=0.2, seed=index)
            if shift:
                x[-shift:] += 0.4
                y[-shift:] = x[-shift:] + 0.01 * (y[-shift:] - x[-shift:])
            base.append(x.astype(np.float16))
            tuned.append(x.astype(np.float16) if index == 0 else y.astype(np.float16))
        labels = np.arange(n) % 4 if not labelled else block(n=n, apart=0.2, seed=0)[2]
        values = {"names": NAMES, "base": base, "tuned": tuned, "frozen": (True, False, False),
                  "labels": labels if labelled else None, "shift": np.arange(n) >= n - shift if shift else None}
        return AlignedFeatures(**{**values, **changes})

    return make


def test_the_document_has_its_fixed_keys_and_no_nan(made):
    out = report.measure(made(), run="r1", base="minilm").to_json()
    json.dumps(out, allow_nan=False)
    assert out["run"] == "r1" and out["base"] == "minilm" and out["rows"] == 240
    assert all(set(b) >= BLOCK_KEYS for b in out["blocks"]) and set(out["map"]) >= MAP_KEYS
    assert [b["name"] for b in out["blocks"]] == list(NAMES)
    assert np.shape(out["block_map"]) == (3, 3) and out["map"]["null_step"] == 0.0


def test_frozen_blocks_read_exactly_one_and_zero_and_the_others_not(made):
    first, second, third = report.measure(made()).to_json()["blocks"]
    assert first["state"] == "identical"
    assert (first["cka"] == first["cka_low"] == first["cka_high"] == first["knn_overlap"]
            == first["displacement_cosine"] == 1.0)
    assert first["displacement"] == first["procrustes_residual"] == first["procrustes_angle"] == 0.0
    assert first["probe_accuracy_base"] == first["probe_accuracy_tuned"] and first["nc1_base"] == first["nc1_tuned"]
    assert 1 > second["cka"] > third["cka"] > 0 < second["displacement"] < third["displacement"]
    assert third["cka_low"] <= third["cka"] <= third["cka_high"]


def test_same_seed_same_document_whatever_the_workers(made):
    assert (report.measure(made(shift=40), seed=3, workers=1).to_json()
            == report.measure(made(shift=40), seed=3, workers=3).to_json())


def test_base_against_base_says_identical(made):
    sides = made()
    found = report.measure(made(tuned=[b.copy() for b in sides.base], frozen=(False,) * 3))
    assert found.identical and "identical" in found.findings[0] and len(found.findings) == 1
    assert not found.map.arrows and found.map.drawn_step == 0.0
    assert (np.diag(found.block_map) == 1.0).all()


def test_shift_rows_are_measured_apart(made):
    found = report.measure(made(shift=60))
    last = found.blocks[-1]
    assert found.rows == 240 and found.shift_rows == 60
    assert last.displacement_shift < 0.1 * last.displacement
    assert last.cka_shift > last.cka.value and last.knn_overlap_shift > last.knn_overlap
    assert last.tuned.gap.p_value < 0.01 and last.base.gap.mmd > 0
    assert any(f.startswith("Target rows moved more than shift rows") for f in found.findings)
    near = last.rows.near_base
    assert (near[:180] < 180).all() and (near[180:] >= 180).all()


def test_without_labels_those_numbers_are_left_out(made):
    found = report.measure(made(labelled=False))
    assert [w.code for w in found.warnings] == ["no-labels"] and found.classes is None
    block = found.to_json()["blocks"][1]
    assert (block["probe_accuracy_base"] is block["knn_accuracy_tuned"] is block["nc1_base"]
            is block["silhouette_tuned"] is None)
    assert block["cka"] and block["effective_rank_base"]


def test_some_rows_without_a_label(made):
    labels = made().labels.copy()
    labels[::2] = -1
    found = report.measure(made(labels=labels))
    assert found.classes in (2, 4) and found.blocks[1].knn_base.shape == (120,)
    assert report.measure(made(labels=np.zeros(240, int))).warnings[0].code == "no-labels"


def test_different_widths_and_depths(made):
    sides = made()
    found = report.measure(made(tuned=[t[:, :20] for t in sides.tuned]))
    block = found.to_json()["blocks"][1]
    assert found.map is None and block["displacement"] is block["procrustes_residual"] is None and 0 < block["cka"] < 1
    assert "different-widths" in [w.code for w in found.warnings]
    deep = report.measure(made(base=[*sides.base, sides.base[2], sides.base[2]]))
    assert [b.base_block for b in deep.blocks] == [0, 2, 4] and deep.block_map.shape == (5, 3)


def test_collapsed_and_not_finite_blocks_say_so(made):
    sides = made()
    bad = sides.tuned[2].copy()
    bad[5, 3] = np.nan
    found = report.measure(made(tuned=[sides.tuned[0], np.ones_like(sides.tuned[1]), bad]))
    assert [b.state for b in found.blocks] == [State.IDENTICAL, State.COLLAPSED, State.NOT_FINITE]
    assert {"collapsed", "not-finite"} <= {w.code for w in found.warnings} and found.map is None
    json.dumps(found.to_json(), allow_nan=False)
    nothing = report.measure(made(tuned=[np.ones_like(t) for t in sides.tuned]))
    assert "cannot be compared" in nothing.findings[0]


def test_few_rows_are_warned_of(made):
    codes = [w.code for w in report.measure(made(n=14)).warnings]
    assert codes == ["few-rows-for-classes", "few-rows-for-width"]
    with pytest.raises(DataError, match="too small"):
        made(n=9)


def test_a_frozen_block_that_changed_is_an_alarm(made):
    found = report.measure(made(frozen=(True, True, False)))
    assert "frozen-moved" in [w.code for w in found.warnings]
    assert "frozen-moved" not in [w.code for w in report.measure(made(frozen=(True, False, True))).warnings]


def test_mismatched_input_is_refused(made):
    sides = made()
    uneven = [sides.tuned[0], sides.tuned[1], sides.tuned[2][:-1]]
    for changes in ({"labels": sides.labels[:-1]}, {"names": NAMES[:2]}, {"base": []}, {"tuned": uneven}):
        with pytest.raises(DataError):
            made(**changes)


def test_one_shift_row_or_three_do_not_break(made):
    for count in (1, 3):
        found = report.measure(made(shift=count))
        assert found.blocks[1].tuned.gap is None
        json.dumps(found.to_json(), allow_nan=False)


_LARGE = """
import resource, numpy as np
from core.shift import report
from core.shift.sides import AlignedFeatures
rng = np.random.default_rng(0)
x = (rng.standard_normal((20_000, 768), dtype=np.float32)).astype(np.float16)
y = (x + 0.3 * rng.standard_normal((20_000, 768), dtype=np.float32)).astype(np.float16)
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
rows = np.arange(20_000)
report.measure(AlignedFeatures(names=("block 0",), base=[x], tuned=[y], frozen=(False,), labels=rows % 10,
                               shift=rows % 4 == 0))
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024)
"""


@pytest.mark.slow
def test_twenty_thousand_rows_stay_under_one_gigabyte():
    done = subprocess.run([sys.executable, "-c", _LARGE], capture_output=True, text=True, check=True, timeout=280)
    assert float(done.stdout.split()[-1]) < 1000
