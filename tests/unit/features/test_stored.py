"""Reports on disk: made once, and one at a time."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from core.features import stored
from core.shift import report
from core.shift.report import Shift
from core.shift.sides import Sides


def test_many_askers_measure_each_pair_once_and_never_two_at_a_time(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    x = rng.standard_normal((30, 4))
    both = Sides(names=("block 0",), base=[x], tuned=[x + rng.standard_normal((30, 4))], frozen=(False,))
    under_way, most, made = 0, 0, []
    counting = threading.Lock()

    def make(name: str) -> Shift:
        nonlocal under_way, most
        with counting:
            under_way += 1
            most = max(most, under_way)
            made.append(name)
        found = report.measure(both)
        time.sleep(0.02)
        with counting:
            under_way -= 1
        return found

    names = ["one", "two", "three"] * 4
    with ThreadPoolExecutor(len(names)) as pool:
        found = list(pool.map(lambda name: stored.shift(tmp_path / name, lambda: make(name)), names))
    assert most == 1 and sorted(made) == ["one", "three", "two"]
    assert len({shift.blocks[0].cka for shift in found}) == 1
