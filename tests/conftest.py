"""Fixtures shared by all tests: an empty data folder, a tiny inspected base model, a tiny dataset, and an observer that
keeps notes."""

from __future__ import annotations

import gc
import json
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import hypothesis
import pytest

from core import files
from core.domain import codec
from core.domain.dataset import Dataset, Task
from core.domain.device import Device
from core.domain.model import ModelFacts
from core.domain.run import Phase
from core.settings import Settings
from tests import tiny

os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
# Tiny models gain nothing from a second thread, and two spinning threads stall each other on a busy machine. Workers
# set their own.
os.environ.setdefault("OMP_NUM_THREADS", "1")
WORKSPACE = "test-workspace"
# The same examples every time, so that a commit that passed goes on passing; `pytest --hypothesis-profile search` looks
# for new ones.
hypothesis.settings.register_profile("steady", derandomize=True, deadline=None)
hypothesis.settings.register_profile("search", deadline=None, print_blob=True)
hypothesis.settings.load_profile("steady")


@pytest.fixture(autouse=True, scope="module")
def long_lived() -> None:
    """What is there before a module's tests is not looked through for cycles any more: a run ends with two whole
    collections, and the libraries alone are a million objects."""
    gc.collect()
    gc.freeze()


_DEVICES: dict[int, Device] = {}
_FACTS: dict[tuple[object, ...], ModelFacts] = {}


@pytest.fixture(autouse=True)
def measured_once(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """This machine, and files of one content, are measured once a process, whatever empty data folder asks: it is half
    of a tiny run. Not in tests of measuring itself."""
    if request.path.is_relative_to(Path(__file__).with_name("unit") / "models") or request.path.stem == "test_device":
        return
    if "torch" not in sys.modules:
        return
    from core.models import inspect
    from core.training import device

    measure_device, measure_model = device.measure, inspect._measured

    def device_of(settings: Settings) -> Device:
        there = settings.home / "device.json"
        if settings.threads in _DEVICES and not there.exists():
            files.write_json(there, codec.to_json(_DEVICES[settings.threads]))
        else:
            _DEVICES[settings.threads] = measure_device(settings)
        return _DEVICES[settings.threads]

    def facts_of(model_id: str, body: Any, folder: Path, *, revision: str, source: dict[str, str]) -> ModelFacts:
        key = (model_id, revision, *source.items())
        if key not in _FACTS:
            _FACTS[key] = measure_model(model_id, body, folder, revision=revision, source=source)
        return _FACTS[key]

    monkeypatch.setattr(device, "measure", device_of)
    monkeypatch.setattr(inspect, "_measured", facts_of)


def ready(home: Path, *models: Path) -> None:
    """A data folder in which this machine is measured and these models are inspected, so that no process of its own
    does it first."""
    from core.models.inspect import inspect_model
    from core.training import device

    settings = Settings(home=home, hub=False)
    device.read(settings)
    for model in models:
        inspect_model(str(model), settings=settings)


@pytest.fixture(autouse=True)
def no_fetched_panel(monkeypatch: pytest.MonkeyPatch) -> None:
    """Training a tiny language model fetches no texts of the forgetting panel: their package has 38 MB."""
    from core.data import fetch, panel
    from core.errors import FetchError

    def there_already(requirement: str, *, dest: Path, **options: Any) -> Path:
        if found := fetch._existing(requirement, dest):
            return found
        raise FetchError(f"{requirement} is not fetched in tests.")

    monkeypatch.setattr(panel, "fetch_package", there_already)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """Settings on an empty data folder that never ask the hub."""
    return Settings(home=tmp_path / "home", hub=False)


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of a tiny BERT with four blocks."""
    return tiny.bert(tmp_path_factory.mktemp("base") / "tiny-bert")


@pytest.fixture
def tiny_facts(tiny_model: Path, settings: Settings) -> ModelFacts:
    """The tiny model, inspected."""
    from core.models.inspect import inspect_model

    return inspect_model(str(tiny_model), settings=settings)


@pytest.fixture
def tiny_dataset(settings: Settings) -> Dataset:
    """90 short texts of three classes, split 54/18/18, ingested in `WORKSPACE`."""
    return write_dataset(settings, n_rows=90)


def write_dataset(settings: Settings, *, n_rows: int, shift_rows: int = 0, without: Sequence[str] = ()) -> Dataset:
    """A dataset folder as ingestion leaves it: of every five rows three train, one validates, one tests. without:
    splits that train."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    texts, names = tiny.make_texts(n_rows + shift_rows)
    classes = tuple(sorted(set(names)))
    pattern = ["train" if split in without else split for split in ("train", "train", "train", "validation", "test")]
    splits = [pattern[(row // 3) % 5] for row in range(n_rows)] + ["shift"] * shift_rows
    content_hash = f"{n_rows:08x}{shift_rows:06x}{len(without):x}{sum(map(len, without)) % 16:x}"
    counts: dict[str, dict[str, int]] = {}
    for split, name in zip(splits, names, strict=True):
        counts.setdefault(split, dict.fromkeys(classes, 0))[name] += 1
    dataset = Dataset(id=content_hash, name="tiny", task=Task.TEXT_CLASSIFICATION, content_hash=content_hash,
                      classes=classes, counts=counts, source="made in memory", rows_read=len(texts),
                      rows_kept=len(texts), mean_length=sum(map(len, texts)) / len(texts))
    folder = settings.workspace(WORKSPACE) / "datasets" / dataset.id
    folder.mkdir(parents=True)
    pq.write_table(pa.table({"row_id": pa.array(range(len(texts)), pa.int64()), "text": texts,
                             "label": pa.array([classes.index(name) for name in names], pa.int32()), "split": splits}),
                   folder / "rows.parquet")
    (folder / "dataset.json").write_text(json.dumps(codec.to_json(dataset)), encoding="utf-8")
    return dataset


def write_picture_dataset(settings: Settings, *, n_rows: int, shift_rows: int = 0) -> Dataset:
    """Pictures of three shapes in a dataset folder as ingestion leaves it, with paths relative to the folder."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    classes = tuple(sorted(tiny.SHAPES))
    labels = [row % len(classes) for row in range(n_rows + shift_rows)]
    pattern = ["train", "train", "train", "validation", "test"]
    splits = [pattern[(row // 3) % 5] for row in range(n_rows)] + ["shift"] * shift_rows
    content_hash = f"{n_rows:08x}{shift_rows:06x}ff"
    counts: dict[str, dict[str, int]] = {}
    for split, label in zip(splits, labels, strict=True):
        counts.setdefault(split, dict.fromkeys(classes, 0))[classes[label]] += 1
    dataset = Dataset(id=content_hash, name="shapes", task=Task.IMAGE_CLASSIFICATION, content_hash=content_hash,
                      classes=classes, counts=counts, source="made in memory", rows_read=len(labels),
                      rows_kept=len(labels))
    folder = settings.workspace(WORKSPACE) / "datasets" / dataset.id
    (folder / "images").mkdir(parents=True)
    for row, label in enumerate(labels):
        tiny.make_picture(classes[label], seed=row).save(folder / "images" / f"{row}.png")  # type: ignore[attr-defined]
    paths = [f"images/{row}.png" for row in range(len(labels))]
    pq.write_table(pa.table({"row_id": pa.array(range(len(labels)), pa.int64()), "image": paths,
                             "label": pa.array(labels, pa.int32()), "split": splits}), folder / "rows.parquet")
    (folder / "dataset.json").write_text(json.dumps(codec.to_json(dataset)), encoding="utf-8")
    return dataset


@dataclass
class Notes:
    """An Observer that keeps what it is told, and asks to stop once `stop_at` steps are done."""

    stop_at: int | None = None
    phases: list[Phase] = field(default_factory=list)
    steps: list[dict[str, Any]] = field(default_factory=list)
    evaluations: list[dict[str, Any]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    done: float = 0

    def phase(self, phase: Phase) -> None:
        self.phases.append(phase)

    def progress(self, done: float, total: float | None, unit: str, note: str = "") -> None:
        if unit == "steps":
            self.done = done

    def step(self, **data: Any) -> None:
        self.steps.append(data)

    def evaluation(self, **data: Any) -> None:
        self.evaluations.append(data)

    def note(self, text: str) -> None:
        self.notes.append(text)

    def should_stop(self) -> bool:
        return self.stop_at is not None and self.done >= self.stop_at


@pytest.fixture
def notes() -> Notes:
    """An observer that keeps notes."""
    return Notes()


def write_language_dataset(settings: Settings, *, n_rows: int = 20, shift_rows: int = 0, chat: bool = False) -> Dataset:
    """Passages of documents, or conversations with a closed set of answers, in a dataset folder as ingestion leaves
    it."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    from core.data import conversations
    from core.data.conversations import Turn
    from core.domain.dataset import Shape

    texts, answers = tiny.make_texts(n_rows + shift_rows)
    if chat:
        texts = [conversations.dump([Turn("user", text), Turn("assistant", answer)])
                 for text, answer in zip(texts, answers, strict=True)]
    pattern = ["train", "train", "train", "validation", "test"]
    splits = [pattern[(row // 4) % 5] for row in range(n_rows)] + ["shift"] * shift_rows
    counts = {split: {"": splits.count(split)} for split in dict.fromkeys(splits)}
    columns = {"prompt": "prompt", "response": "response"} if chat else {"text": "text"}
    content_hash = f"{n_rows:08x}{shift_rows:06x}{'c' if chat else 'a'}a"
    dataset = Dataset(id=content_hash, name="talk" if chat else "tales", task=Task.LANGUAGE_MODELLING, counts=counts,
                      content_hash=content_hash, classes=(), source="made in memory", rows_read=len(texts),
                      rows_kept=len(texts), columns=columns, shape=Shape.CHAT if chat else Shape.TEXT,
                      groups=0 if chat else -(-len(texts) // 4), answers=tuple(sorted(set(answers))) if chat else (),
                      mean_length=sum(map(len, texts)) / len(texts))
    folder = settings.workspace(WORKSPACE) / "datasets" / dataset.id
    folder.mkdir(parents=True)
    rows = {"row_id": pa.array(range(len(texts)), pa.int64()), "text": texts, "split": splits}
    rows |= {} if chat else {"group": pa.array([row // 4 for row in range(len(texts))], pa.int32())}
    pq.write_table(pa.table(rows), folder / "rows.parquet")
    (folder / "dataset.json").write_text(json.dumps(codec.to_json(dataset)), encoding="utf-8")
    return dataset
