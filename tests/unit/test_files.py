"""Atomic files and folders that vanish at once."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from core import files


def test_json_reads_back_and_a_missing_file_is_none(tmp_path: Path) -> None:
    path = tmp_path / "new folder" / "a.json"
    assert files.read_json(path) is None
    files.write_json(path, {"text": "größer ≥", "list": [1, 2]})
    assert files.read_json(path) == {"text": "größer ≥", "list": [1, 2]}
    assert [p.name for p in path.parent.iterdir()] == ["a.json"], "no temporary file stays"


def test_a_write_that_fails_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    files.write_json(path, {"old": True})
    with pytest.raises(TypeError):
        files.write_bytes(path, "text is not bytes")  # type: ignore[arg-type]
    assert files.read_json(path) == {"old": True}
    assert len(list(tmp_path.iterdir())) == 1


def test_a_reader_never_sees_part_of_a_file(tmp_path: Path) -> None:
    path, stop, seen = tmp_path / "a.json", threading.Event(), []
    files.write_json(path, ["0"] * 20_000)

    def write() -> None:
        for i in range(40):
            files.write_json(path, [str(i)] * 20_000)
        stop.set()

    thread = threading.Thread(target=write)
    thread.start()
    while not stop.is_set():
        seen.append(set(files.read_json(path)))
    thread.join()
    assert seen and all(len(values) == 1 for values in seen)


def test_what_was_not_finished_is_told_by_its_name(tmp_path: Path) -> None:
    """The temporary path keeps the suffix, by which numpy and others tell what to write."""
    path = tmp_path / "a.npz"
    with files.replacing(path, durable=True) as temporary:
        assert temporary.suffix == ".npz" and files.is_temporary(temporary.name)
        temporary.write_bytes(b"x")
    assert path.read_bytes() == b"x" and not files.is_temporary(path.name)
    with files.temporary_folder(tmp_path) as folder:
        assert files.is_temporary(folder.name, folder=True)
    assert [p.name for p in tmp_path.iterdir()] == ["a.npz"]
    for name in ("labels.tmp", "rows.tmp.npy", ".recipe.json-abc"):
        assert (files.is_temporary(name)
                and not files.is_temporary(name, folder=True)), "as the versions before called files"


def test_a_new_folder_is_whole_or_absent(tmp_path: Path) -> None:
    target = tmp_path / "home" / "set"
    with pytest.raises(FileNotFoundError), files.new_folder(target, last="end") as folder:
        (folder / "missing" / "start").touch()
    assert list(target.parent.iterdir()) == []
    with files.new_folder(target, last="end") as folder:
        with files.new_folder(target, last="end") as faster:
            (faster / "end").write_text("first", encoding="utf-8")
        (folder / "end").write_text("second", encoding="utf-8")
    assert (target / "end").read_text(encoding="utf-8") == "first", "whoever was first stays"
    assert list(target.parent.iterdir()) == [target]
    (target / "end").unlink()
    (target / "start").touch()
    with pytest.raises(OSError), files.new_folder(target, last="end"):
        pass


def test_remove_folder_and_sweep(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    (folder / "deep").mkdir(parents=True)
    (folder / "deep" / "file").write_bytes(b"x" * 10)
    assert files.size_bytes(tmp_path) == 10
    assert files.remove_folder(folder)
    assert not files.remove_folder(folder)
    assert list(tmp_path.iterdir()) == []
    (tmp_path / ".deleted-run-1234").mkdir()
    assert files.sweep(tmp_path) == 1
    assert list(tmp_path.iterdir()) == []
    assert files.size_bytes(tmp_path / "nowhere") == 0


def test_lines_that_were_cut_off_are_left_out(tmp_path):
    path = tmp_path / "lines.jsonl"
    assert list(files.read_json_lines(path)) == []
    path.write_bytes(b'{"step": 0}\n\n{broken\n\xff\n{"step": 1}\n{"step": 2')
    assert list(files.read_json_lines(path)) == [{"step": 0}, {"step": 1}]
