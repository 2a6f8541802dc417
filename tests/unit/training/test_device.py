"""The device is measured once, and a busy first start does not make it slow for good."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from core.settings import Settings
from core.training import device


@pytest.fixture
def rates(monkeypatch: pytest.MonkeyPatch) -> dict[torch.dtype, float]:
    found = {torch.float32: 100.0, torch.bfloat16: 20.0}
    monkeypatch.setattr(device, "_rate", lambda dtype, kind: found[dtype])
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
