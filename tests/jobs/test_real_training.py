"""The same promises with the real engine: the façade submits, the real supervisor trains a tiny model, or prepares it.
What is killed and resumed is in `test_kills`."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from core import files
from core.api import Thaw
from core.domain import codec
from core.domain.dataset import Dataset
from core.domain.device import Device
from core.domain.recipe import Recipe
from core.domain.run import JobKind, Phase, Status
from core.errors import FailureKind
from core.jobs import process
from core.settings import Settings
from core.store import Store
from tests.conftest import WORKSPACE

pytestmark = pytest.mark.slow


@pytest.fixture
def thaw(settings: Settings, tiny_model: Path) -> Iterator[Thaw]:
    found = Thaw(replace(settings, threads=1, heartbeat_s=0.2, model_folders=(tiny_model.parent,)))
    yield found
    store = Store(settings)
    for row in store.supervisors.list():
        process.end(row.pid, row.pid_created, signal.SIGKILL, row.birth)
    for claim in store.queue.active():
        process.end(claim.pid, claim.pid_created, signal.SIGKILL, claim.birth)


@pytest.fixture
def measured(thaw: Thaw) -> None:
    """The device is known, so that a test need not wait for its measurement."""
    import torch

    device = Device(kind="cpu", name="test", memory_bytes=8_000_000_000, cores=1, fp32_gflops=50.0, bf16_gflops=50.0,
                    precision="fp32", versions={"torch": torch.__version__}, measured=0.0)
    files.write_json(thaw.settings.home / "device.json", codec.to_json(device))


def final(thaw: Thaw, run: str) -> bool:
    return thaw.runs.get(WORKSPACE, run).status.final


def test_stop_keeps_the_best_checkpoint_and_its_result(thaw: Thaw, measured: None, tiny_model: Path,
                                                       tiny_dataset: Dataset,
                                                      waiting: Callable[..., Any]) -> None:
    recipe = Recipe(dataset=tiny_dataset.id, base_model=str(tiny_model), method="lora", epochs=200.0, batch_size=8,
                    max_length=32, evaluations_per_epoch=1, early_stopping_patience=0, precision="fp32")
    run = thaw.experiments.submit(WORKSPACE, [recipe], name="to be stopped")[0]
    thaw.ensure_supervisor()
    waiting(lambda: len(thaw.runs.curves(WORKSPACE, run).evals) > 2, 120)
    thaw.runs.stop(WORKSPACE, run)
    waiting(lambda: final(thaw, run), 60)
    result = thaw.runs.result(WORKSPACE, run)
    assert thaw.runs.get(WORKSPACE, run).status is Status.STOPPED and result is not None
    assert 0 < result.steps < 1400 and "accuracy" in result.metrics["test"]
    phases = [e.data["phase"] for e in thaw.runs.progress(WORKSPACE, run).events if e.kind == "phase"]
    assert phases[-1] == Phase.SAVING


def test_preparing_a_model_and_what_cannot_be_fetched(thaw: Thaw, measured: None, tiny_model: Path,
                                                      waiting: Callable[..., Any]) -> None:
    there = thaw.models.prepare(WORKSPACE, model=str(tiny_model))
    nowhere = thaw.models.prepare(WORKSPACE, model="nobody/has-this-model")
    thaw.ensure_supervisor()
    waiting(lambda: final(thaw, there) and final(thaw, nowhere), 120)
    assert thaw.runs.get(WORKSPACE, there).status is Status.DONE
    facts = thaw.models.facts(str(tiny_model))
    assert facts is not None and len(facts.blocks) == 5
    failed = thaw.runs.get(WORKSPACE, nowhere)
    assert failed.failure is not None and (failed.status, failed.failure.kind) == (Status.FAILED, FailureKind.FETCH)
    assert [run.kind for run in thaw.runs.all(WORKSPACE)] == [JobKind.PREPARE, JobKind.PREPARE]
