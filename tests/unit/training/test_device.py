"""The device is measured once, and a busy first start does not make it slow for good."""

from __future__ import annotations

import dataclasses
import json
import sys
import time
from pathlib import Path

import pytest
import torch

from core import files
from core.domain import codec
from core.domain.device import Device
from core.jobs.engines import local
from core.jobs.engines.local import LocalEngine
from core.settings import Settings
from core.training import device


@pytest.fixture
def share() -> list[float]:
    """What the measurement gets of the processor."""
    return [1.0]


@pytest.fixture
def rates(monkeypatch: pytest.MonkeyPatch, share: list[float]) -> dict[torch.dtype, float]:
    found = {torch.float32: 100.0, torch.bfloat16: 20.0}
    monkeypatch.setattr(device, "_rate", lambda dtype, kind: (found[dtype], share[0]))
    return found


def test_the_fastest_rate_stays(rates: dict[torch.dtype, float], tmp_path: Path) -> None:
    settings = Settings(home=tmp_path)
    rates[torch.float32], rates[torch.bfloat16] = 0.5, 0.4  # everything else was busy
    assert device.measure(settings).fp32_gflops == 0.5
    rates[torch.float32], rates[torch.bfloat16] = 100.0, 20.0
    assert device.measure(settings).fp32_gflops == 100.0
    rates[torch.float32] = 30.0
    later = device.measure(settings)
    assert (later.fp32_gflops, later.bf16_gflops) == (100.0, 20.0)
    assert device.read(settings) == later


@pytest.mark.parametrize(("bf16", "chosen"), [(20.0, "fp32"), (114.0, "fp32"), (116.0, "bf16"), (300.0, "bf16")])
def test_bf16_only_where_it_is_faster(rates: dict[torch.dtype, float], tmp_path: Path, bf16: float,
                                      chosen: str) -> None:
    if torch.cuda.is_available():
        pytest.skip("about a CPU")
    rates[torch.bfloat16] = bf16
    assert device.measure(Settings(home=tmp_path)).precision == chosen


def test_an_unreadable_file_is_measured_anew(rates: dict[torch.dtype, float], tmp_path: Path) -> None:
    (tmp_path / "device.json").write_text("{}", encoding="utf-8")
    assert device.read(Settings(home=tmp_path)).fp32_gflops == 100.0


def test_what_was_measured_beside_other_work_gives_way_and_never_comes_back(rates: dict[torch.dtype, float],
                                                                             share: list[float],
                                                                             tmp_path: Path) -> None:
    settings = Settings(home=tmp_path)
    share[0], rates[torch.float32] = 0.1, 140.0  # one core times the cores: more than all of them give together
    assert not device.measure(settings).was_quiet
    share[0], rates[torch.float32] = 1.0, 100.0
    assert device.measure(settings).fp32_gflops == 100.0
    share[0], rates[torch.float32] = 0.1, 140.0
    again = device.measure(settings)
    assert again.fp32_gflops == 100.0 and again.was_quiet


def test_a_busy_machine_is_measured_by_its_own_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    """The wall's clock runs twenty times too fast, as it does for a process that gets a twentieth of the processor."""
    product = 2 * 256 * 384 * 1536 / 1e9
    own = product / min(device._by_its_own_clock(torch.randn(256, 384), torch.randn(384, 1536)) for _ in range(3))

    class Clock:
        perf_counter = staticmethod(lambda: 20 * time.perf_counter())
        process_time, thread_time = staticmethod(time.process_time), staticmethod(time.thread_time)

    monkeypatch.setattr(device, "time", Clock)
    rate, share = device._rate(torch.float32, "cpu")
    assert share <= 1 / 20 * 1.05
    assert rate > 0.5 * own


def test_an_engine_measures_again_in_a_quiet_moment_what_was_measured_beside_other_work(
        monkeypatch: pytest.MonkeyPatch, cpu: Device, tmp_path: Path) -> None:
    settings = Settings(home=tmp_path)
    path = tmp_path / "device.json"
    files.write_json(path, codec.to_json(dataclasses.replace(cpu, share=0.1)))
    quiet = json.dumps(codec.to_json(cpu))
    engine = LocalEngine(settings, measure=(sys.executable, "-c", f"open({str(path)!r}, 'w').write({quiet!r})"))
    monkeypatch.setattr(local, "MEASURE_QUIETLY_S", 0.0)
    load = [9.0]
    monkeypatch.setattr(local.psutil, "getloadavg", lambda: (load[0], 0.0, 0.0))
    assert engine.ready()  # still busy
    load[0] = 0.0
    assert not engine.ready()
    while not engine.ready():
        time.sleep(0.02)
    assert engine.ready() and json.loads(path.read_text(encoding="utf-8"))["share"] == 1.0
