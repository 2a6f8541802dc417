"""Files that are two things at once, or another thing than their name says, and pictures far larger than their
bytes."""

from __future__ import annotations

import io
import struct
import subprocess
import sys
import tarfile
import warnings
import zipfile
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from core.data import first_rows, tables
from core.data.check import check_file
from core.errors import DataError
from core.settings import Settings

Draw = Callable[..., bytes]
File = Callable[[str, str | bytes], Path]

ROWS = "text,label\n" + "".join(f"row number {i} says something of its own,{'ab'[i % 2]}\n" for i in range(40))
PAGE = b"<!DOCTYPE html><html><script>alert(1)</script></html>"


def packed(members: Sequence[tuple[str, bytes]]) -> bytes:
    """A ZIP with these members, equal names allowed."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as bundle, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for name, data in members:
            bundle.writestr(name, data)
    return out.getvalue()


@pytest.fixture
def members(picture: Draw) -> list[tuple[str, bytes]]:
    return [(f"{name}/{i}.png", picture(i + 100 * k)) for k, name in enumerate(("cat", "dog")) for i in range(12)]


def refusal(path: Path, settings: Settings) -> DataError:
    """What import says; the preview says the same."""
    with pytest.raises(DataError) as caught:
        tables.read(path, settings=settings)
    with pytest.raises(DataError) as looked:
        first_rows.read(path, settings=settings)
    assert str(looked.value) == str(caught.value)
    assert caught.value.what and caught.value.why and caught.value.remedy
    return caught.value


@pytest.mark.parametrize("format", ["PNG", "JPEG", "GIF", "WEBP", "BMP", "TIFF"])
@pytest.mark.parametrize("name", ["mine.zip", "mine.csv", "mine.tar", "mine.xlsx", "mine"])
def test_a_picture_is_a_picture_whatever_its_name_and_whatever_is_behind_it(
        file: File, settings: Settings, picture: Draw, members: list[tuple[str, bytes]], format: str,
        name: str) -> None:
    for behind in (b"", packed(members), ROWS.encode()):
        error = refusal(file(name, picture(1, format=format) + behind), settings)
        assert "a single picture" in error.what and "cat/" in error.remedy


def test_a_tar_archive_that_begins_like_a_picture_is_not_opened(tmp_path: Path, settings: Settings,
                                                                picture: Draw) -> None:
    path = tmp_path / "p.tar"
    with tarfile.open(path, "w", encoding="latin-1", format=tarfile.GNU_FORMAT) as bundle:
        for name in ("\x89PNG/cat/1.png", "dog/1.png"):
            member, data = tarfile.TarInfo(name), picture(1)
            member.size = len(data)
            bundle.addfile(member, io.BytesIO(data))
    assert tarfile.is_tarfile(path) and "a single picture" in refusal(path, settings).what


def test_an_archive_behind_other_bytes_is_not_opened(file: File, settings: Settings,
                                                     members: list[tuple[str, bytes]]) -> None:
    for start in (ROWS.encode(), b"#!/bin/sh\n", b"\0" * 64):
        error = refusal(file("mine.zip", start + packed(members)), settings)
        assert "cannot be opened" in error.what and "first bytes" in error.why


@pytest.mark.parametrize(("name", "says"),
                         [("rows.png", ""), ("rows", ""), ("rows.dat", ""), ("rows.zip", "cannot be opened"),
                          ("rows.xlsx", "cannot be opened"), ("rows.parquet", "cannot be read as Parquet"),
                          ("rows.json", "not valid JSON"), ("rows.jsonl", "not valid JSON")])
def test_a_table_under_another_name_is_read_or_told_its_ending(file: File, settings: Settings, name: str,
                                                               says: str) -> None:
    path = file(name, ROWS)
    if says:
        error = refusal(path, settings)
        assert says in error.what and ".csv" in error.remedy
    else:
        report = check_file(path, settings=settings)
        assert (report.rows_read, report.rows_kept) == (40, 40)


def test_an_archive_under_another_name_is_read(file: File, settings: Settings,
                                               members: list[tuple[str, bytes]]) -> None:
    for name in ("mine.csv", "mine.png", "mine.tar.gz"):
        report = check_file(file(name, packed(members)), settings=settings)
        assert (report.rows_read, report.rows_kept) == (24, 24)


@pytest.mark.parametrize(("content", "says"), [(PAGE, "a web page"), (b"\xef\xbb\xbf\n <HTML><body>", "a web page"),
                                               (b"<?xml version='1.0'?><svg onload='x()'/>", "SVG"),
                                               (b"%PDF-1.7", "a PDF")])
def test_pages_and_drawings_are_no_tables(file: File, settings: Settings, content: bytes, says: str) -> None:
    assert says in refusal(file("rows.csv", content + b"\n" * 40), settings).what


def test_markup_tables_and_archives_that_are_called_pictures_are_left_out(
        file: File, settings: Settings, picture: Draw, members: list[tuple[str, bytes]]) -> None:
    odd = [("cat/page.png", PAGE), ("cat/rows.jpg", ROWS.encode()), ("dog/drawing.png", b"<svg onload='x()'/>"),
           ("dog/inner.png", packed(members)), ("dog/inner.zip", packed(members))]
    kept = [("cat/behind.png", picture(500) + packed(members)), ("dog/behind.jpg", picture(501, format="JPEG") + PAGE)]
    report = check_file(file("mine.zip", packed([*members, *odd, *kept])), settings=settings)
    assert (report.rows_read, report.rows_kept) == (31, 26)
    assert {item.file for item in report.left_out} == {name for name, _ in odd}
    assert all("whatever its name says" in item.reason or "not opened" in item.reason for item in report.left_out)


def test_a_picture_that_is_called_a_table_is_named(file: File, settings: Settings, picture: Draw,
                                                   members: list[tuple[str, bytes]]) -> None:
    odd = ("labels.csv", picture(1))
    assert ([item.file for item in check_file(file("mine.zip", packed([*members, odd])), settings=settings).left_out]
            == ["labels.csv"])
    flat = [(name.replace("/", "-"), data) for name, data in members]
    assert "labels.csv is a single picture" in refusal(file("flat.zip", packed([*flat, odd])), settings).what


@pytest.mark.parametrize("second", ["cat/0.png", "./cat/0.png", "cat\\0.png", "cat//0.png"])
def test_two_members_of_one_name_are_refused(file: File, tmp_path: Path, settings: Settings, picture: Draw,
                                             members: list[tuple[str, bytes]], second: str) -> None:
    both = [*members, (second, picture(999))]
    assert "twice under the same name" in refusal(file("mine.zip", packed(both)), settings).why
    path = tmp_path / "mine.tar.gz"
    with tarfile.open(path, "w:gz") as bundle:
        for name, data in both:
            member = tarfile.TarInfo(name)
            member.size = len(data)
            bundle.addfile(member, io.BytesIO(data))
    assert "twice under the same name" in refusal(path, settings).why


def png(width: int, height: int, body: bytes) -> bytes:
    """A PNG of one bit a pixel."""
    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", body) + chunk(b"IEND", b"")


def test_gigantic_pictures_cost_a_row_each_and_no_memory(file: File, settings: Settings,
                                                         members: list[tuple[str, bytes]]) -> None:
    """50,000 x 50,000 pixels: one only says so in its header, one really unpacks to 312 MB (2.5 GB once decoded)."""
    side = 50_000
    rows, packer = b"\0" * (1 + side // 8) * 1_000, zlib.compressobj(9)
    body = b"".join(packer.compress(rows) for _ in range(side // 1_000)) + packer.flush()
    assert len(body) < 400_000
    huge = [("cat/says.png", png(side, side, zlib.compress(b"\0" * 100))), ("dog/is.png", png(side, side, body))]
    small, large = file("small.zip", packed(members)), file("large.zip", packed([*members, *huge]))
    code = ("import resource, sys\nfrom pathlib import Path\nfrom core.data.check import check_file\nfrom "
            "core.settings import Settings\nsettings = Settings(home=Path(sys.argv[3]))\n"
            "def most(): return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
            "check_file(Path(sys.argv[1]), settings=settings)\nbefore = most()\n"
            "report = check_file(Path(sys.argv[2]), settings=settings)\n"
            "print((most() - before) // 1024, report.rows_read, report.rows_kept, *(item.reason for item in "
            "report.left_out), sep='|')")
    done = subprocess.run([sys.executable, "-c", code, str(small), str(large), str(settings.home)], capture_output=True,
                          text=True, check=False, cwd=Path(__file__).parents[3])
    assert done.returncode == 0, done.stderr
    grown_mb, read, kept, *reasons = done.stdout.strip().split("|")
    assert (read, kept, len(reasons)) == ("26", "24", 2)
    assert all("2,500,000,000 pixels" in reason for reason in reasons)
    assert int(grown_mb) < 30
