"""Hostile archives are refused before anything is written."""

from __future__ import annotations

import stat
import zipfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.data.archive import unpack_zip, unsafe_name
from core.errors import DataError


def make_zip(path: Path, members: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return path


def test_only_wanted_members_are_written(tmp_path: Path) -> None:
    archive = make_zip(tmp_path / "a.zip", {"x/1.txt": b"one", "x/2.py": b"raise SystemExit", "y/3.txt": b"three"})
    found = unpack_zip(archive, tmp_path / "out", wanted=lambda name: name.endswith(".txt"))
    assert [p.relative_to(tmp_path / "out").as_posix() for p in found] == ["x/1.txt", "y/3.txt"]
    assert found[1].read_bytes() == b"three"
    assert not (tmp_path / "out/x/2.py").exists()


@pytest.mark.parametrize("name", ["../evil.txt", "a/../../evil.txt", "/etc/evil", "C:/evil.txt", "..\\evil.txt"])
def test_paths_outside_are_refused(tmp_path: Path, name: str) -> None:
    archive = make_zip(tmp_path / "a.zip", {"good.txt": b"x", name: b"evil"})
    with pytest.raises(DataError, match="not opened"):
        unpack_zip(archive, tmp_path / "out")
    assert not (tmp_path / "out").exists()
    assert not (tmp_path / "evil.txt").exists()


def test_symbolic_links_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w") as archive:
        link = zipfile.ZipInfo("link")
        link.external_attr = (stat.S_IFLNK | 0o777) << 16
        archive.writestr(link, "/etc/passwd")
    with pytest.raises(DataError) as caught:
        unpack_zip(path, tmp_path / "out")
    assert "symbolic link" in caught.value.why


def test_bombs_are_refused(tmp_path: Path) -> None:
    bomb = make_zip(tmp_path / "bomb.zip", {"zeros": b"\0" * 30_000_000})
    with pytest.raises(DataError) as caught:
        unpack_zip(bomb, tmp_path / "out")
    assert "zip bomb" in caught.value.why
    with pytest.raises(DataError) as caught:
        unpack_zip(bomb, tmp_path / "out", max_bytes=1_000_000)
    assert "more than the limit" in caught.value.why
    many = make_zip(tmp_path / "many.zip", {f"{i}.txt": b"" for i in range(20)})
    with pytest.raises(DataError) as caught:
        unpack_zip(many, tmp_path / "out", max_files=10)
    assert "20 files" in caught.value.why


def test_encrypted_and_broken_archives_are_named(tmp_path: Path) -> None:
    archive = make_zip(tmp_path / "a.zip", {"a.txt": b"hello"})
    data = bytearray(archive.read_bytes())
    central = data.index(b"PK\x01\x02")
    data[central + 8] |= 1
    archive.write_bytes(bytes(data))
    with pytest.raises(DataError, match="password"):
        unpack_zip(archive, tmp_path / "out")
    archive.write_bytes(b"PK\x03\x04 not really")
    with pytest.raises(DataError, match="cannot be opened"):
        unpack_zip(archive, tmp_path / "out")


def test_a_member_that_lies_about_its_size_is_refused(tmp_path: Path) -> None:
    archive = make_zip(tmp_path / "a.zip", {"a.txt": b"hello hello hello"})
    data = bytearray(archive.read_bytes())
    central = data.index(b"PK\x01\x02")
    data[central + 24 : central + 28] = (3).to_bytes(4, "little")
    archive.write_bytes(bytes(data))
    with pytest.raises(DataError):
        unpack_zip(archive, tmp_path / "out")


@given(st.text(min_size=1, max_size=40))
def test_a_safe_name_stays_inside(name: str) -> None:
    if unsafe_name(name) is None:
        base = Path("/base/folder")
        assert base in (base / name.replace("\\", "/")).parents
