"""Settings on an empty folder, and files made on the spot."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from core.settings import Settings


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(home=tmp_path / "home")


@pytest.fixture
def file(tmp_path: Path) -> Callable[[str, str | bytes], Path]:
    """file(name, content) writes a file and returns its path."""

    def write(name: str, content: str | bytes) -> Path:
        path = tmp_path / "files" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    return write


@pytest.fixture(scope="session")
def picture() -> Callable[..., bytes]:
    """picture(seed, size=(40, 30), format="PNG", mode="RGB", …) draws a smooth random picture and returns the file's
    bytes."""

    def draw(seed: int, size: tuple[int, int] = (40, 30), format: str = "PNG", mode: str = "RGB",
             **options: Any) -> bytes:
        rng = np.random.default_rng(seed)
        coarse = Image.fromarray(rng.integers(0, 256, (6, 6, 3), dtype=np.uint8))
        out = io.BytesIO()
        coarse.resize(size, Image.Resampling.BICUBIC).convert(mode).save(out, format, **options)
        return out.getvalue()

    return draw


@pytest.fixture
def archive(tmp_path: Path) -> Callable[..., Path]:
    """archive({path: bytes}, name="pictures.zip") writes a ZIP."""

    def write(files: Mapping[str, bytes], name: str = "pictures.zip") -> Path:
        path = tmp_path / name
        with zipfile.ZipFile(path, "w") as bundle:
            for member, data in files.items():
                bundle.writestr(member, data)
        return path

    return write
