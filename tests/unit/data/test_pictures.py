"""Picture archives and folders: layouts, tables beside pictures, the report, the dataset that is kept, and hostile
archives."""

from __future__ import annotations

import dataclasses
import io
import os
import stat
import tarfile
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from PIL import Image

from core.data import attach, ingest, library, roles, tables
from core.data.check import Options, check_file
from core.data.report import ImportReport
from core.domain.dataset import Dataset, Task
from core.errors import DataError
from core.settings import Settings

Draw = Callable[..., bytes]
Archive = Callable[..., Path]


@pytest.fixture
def two_classes(picture: Draw) -> dict[str, bytes]:
    return {f"{name}/{i}.{'JPG' if i % 2 else 'png'}": picture(i + 100 * k, format="JPEG" if i % 2 else "PNG")
            for k, name in enumerate(("cat", "dog")) for i in range(12)}


def keep(path: Path, settings: Settings, options: Options | None = None, **chosen: str) -> tuple[Dataset, ImportReport]:
    table = tables.read(path, settings=settings)
    proposals = roles.choose(table, **chosen)
    return ingest.ingest(table, roles={n: p.role for n, p in proposals.items()},
                         evidence={n: p.evidence for n, p in proposals.items()},
                         name=path.name, settings=settings, workspace="w", options=options)


def codes(report: ImportReport) -> set[str]:
    return {finding.code for finding in report.findings}


def adds_up(report: ImportReport) -> bool:
    return report.rows_read == report.rows_kept + len(report.left_out)


def write_tar(path: Path, files: Mapping[str, bytes], mode: str = "w:gz") -> Path:
    with tarfile.open(path, mode) as bundle:
        for name, data in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            bundle.addfile(member, io.BytesIO(data))
    return path


def write_folder(path: Path, files: Mapping[str, bytes]) -> Path:
    for name, data in files.items():
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        (path / name).write_bytes(data)
    return path


def test_rows_come_back_as_documented(two_classes: dict[str, bytes], archive: Archive, settings: Settings) -> None:
    dataset, report = keep(archive(two_classes), settings)
    assert ((dataset.task, dataset.classes, dataset.rows_kept, dataset.mean_length)
            == (Task.IMAGE_CLASSIFICATION, ("cat", "dog"), 24, 0.0))
    assert adds_up(report) and not report.left_out and report.classes == {"cat": 12, "dog": 12}
    folder = library.folder(dataset, settings=settings, workspace="w")
    rows = pq.read_table(folder / "rows.parquet").to_pylist()
    assert len({row["row_id"] for row in rows}) == 24
    for row in rows:
        with Image.open(folder / row["image"]) as kept:
            assert kept.mode == "RGB" and kept.size == (40, 30)
            original = Image.open(io.BytesIO(two_classes[row["file"]])).convert("RGB")
            assert np.array_equal(np.asarray(kept), np.asarray(original))
        assert row["file"].split("/")[0] == dataset.classes[row["label"]]
    assert {row["split"] for row in rows} == {"train", "validation", "test"}


def test_the_same_pictures_from_every_container_are_one_dataset(two_classes: dict[str, bytes], archive: Archive,
                                                                settings: Settings, tmp_path: Path) -> None:
    clutter = {"__MACOSX/cat/._1.JPG": b"x", "my set/.DS_Store": b"x", "my set/cat/Thumbs.db": b"x"}
    wrapped = {f"my set/{name}": data for name, data in two_classes.items()} | clutter
    paths = [archive(two_classes), archive(wrapped, "wrapped.zip"), write_tar(tmp_path / "a.tar.gz", two_classes),
             write_tar(tmp_path / "b.tar", {f"./{n}": d for n, d in wrapped.items()}, "w"),
             write_tar(tmp_path / "c.tar.xz", two_classes, "w:xz"), write_folder(tmp_path / "folder", wrapped)]
    found = [keep(path, settings) for path in paths]
    assert all(adds_up(report) and report.rows_kept == 24 for _, report in found)
    assert all(report.rows_read == 24 and not report.left_out for _, report in found), "clutter is no row"
    notes = [[finding.count for finding in report.findings if finding.code == "system-files"] for _, report in found]
    assert notes == [[], [3], [], [3], [], [3]]
    assert len({dataset.id for dataset, _ in found}) == 1


def test_check_and_ingest_give_the_same_report(two_classes: dict[str, bytes], archive: Archive,
                                               settings: Settings) -> None:
    path = archive(two_classes | {"cat/notes.txt": b"x", "cat/broken.jpg": b"x"})
    checked, (_, kept) = check_file(path, settings=settings), keep(path, settings)
    assert (dataclasses.replace(checked, read_seconds=0, check_seconds=0)
            == dataclasses.replace(kept, read_seconds=0, check_seconds=0))


def test_other_files_and_broken_pictures_are_counted_with_name_and_reason(two_classes: dict[str, bytes],
                                                                          archive: Archive, picture: Draw,
                                                                          settings: Settings) -> None:
    whole = picture(50, size=(200, 200))
    bad = {"cat/drawing.svg": b"<svg/>", "cat/more.zip": b"PK", "cat/notes.txt": b"hello", "cover.png": whole,
           "cat/cut.png": whole[:300], "cat/fake.jpg": b"<script>alert(1)</script>", "dog/empty.gif": b""}
    report = check_file(archive(two_classes | bad), settings=settings)
    assert adds_up(report) and report.rows_read == 31
    reasons = {item.file: item.reason for item in report.left_out}
    assert set(reasons) == set(bad)
    for name, words in {"cat/drawing.svg": "SVG", "cat/more.zip": "archive inside", "cat/notes.txt": "no picture",
                        "cover.png": "class folder", "cat/cut.png": "cut off", "cat/fake.jpg": "no JPEG",
                        "dog/empty.gif": "empty"}.items():
        assert words in reasons[name], name
    assert "cover.png" in report.left_out_csv()


@pytest.mark.parametrize("wrap", ["", "set/"])
def test_split_folders_are_kept(picture: Draw, archive: Archive, settings: Settings, wrap: str) -> None:
    files = {f"{wrap}{part}/{name}/{i}.png": picture(hash((part, name, i)) % 10_000)
             for part, n in (("Train", 8), ("val", 3), ("test", 4)) for name in ("cat", "dog") for i in range(n)}
    dataset, report = keep(archive(files), settings)
    assert ({split: sum(counts.values()) for split, counts in dataset.counts.items()}
            == {"train": 16, "validation": 6, "test": 8})
    assert report.columns == {"image": "image", "label": "label", "split": "split"}


def test_a_table_names_the_pictures(picture: Draw, archive: Archive, settings: Settings) -> None:
    files = {f"set/img/{i}.PNG": picture(i) for i in range(21)}
    lines = ["file,kind", *(f"{('img/', '')[i % 2]}{i}.png,{'ab'[i % 2]}" for i in range(20)), "gone.png,a",
             "img/1.png,"]
    dataset, report = keep(archive(files | {"set/labels.csv": "\n".join(lines).encode()}), settings)
    assert (report.rows_read, report.rows_kept, dataset.classes) == (22, 20, ("a", "b"))
    assert ({item.reason for item in report.left_out}
            == {"no picture of the archive has this name", "the label is empty"})
    assert report.columns == {"file": "image", "kind": "label"}
    unused = next(f for f in report.findings if f.code == "unused-pictures")
    assert (unused.count, unused.example) == (1, "set/img/20.PNG")


def test_roles_of_a_table_with_pictures_can_be_chosen(picture: Draw, archive: Archive, settings: Settings) -> None:
    files = {f"{i}.png": picture(i) for i in range(20)}
    table = "left,right,label\n" + "".join(f"{i}.png,{(i + 1) % 20}.png,{'ab'[i % 2]}\n" for i in range(20))
    path = archive(files | {"t.csv": table.encode()})
    chosen = roles.choose(tables.read(path, settings=settings), text="right")
    assert chosen["right"].role == "image" and chosen["left"].role == "ignore"
    assert keep(path, settings, text="right")[0].id != keep(path, settings)[0].id


def coloured(archive: Archive, *, wrong: int, noise: bool = False) -> Path:
    """120 pictures, reddish cats and bluish dogs, of which so many lie in the wrong folder; with noise, colours say
    nothing."""
    files = {}
    for i in range(120):
        random = np.random.default_rng(i)
        pixels = random.integers(0, 120, (24, 24, 3))
        pixels[..., 0 if (random.random() < 0.5 if noise else i % 2) else 2] += 100
        out = io.BytesIO()
        Image.fromarray(pixels.astype(np.uint8)).save(out, "PNG")
        files[f"{('dog', 'cat')[(i % 2) ^ (i < wrong)]}/{i}.png"] = out.getvalue()
    return archive(files, f"coloured-{wrong}-{noise}.zip")


def test_suspected_label_noise_among_pictures(archive: Archive, settings: Settings) -> None:
    report = check_file(coloured(archive, wrong=3), settings=settings)
    found = next(f for f in report.findings if f.code == "label-noise")
    assert found.count == 3 and found.severity == "info" and "right on 9" in found.message
    names = sorted(tables.read(coloured(archive, wrong=3), settings=settings).data["image"].to_pylist())
    assert {names[row - 1] for row in found.rows} == {"dog/1.png", "cat/0.png", "cat/2.png"}
    assert "labelled " in found.example and ", looks like " in found.example


def test_a_model_that_knows_too_little_doubts_no_picture(archive: Archive, settings: Settings) -> None:
    assert "label-noise" not in codes(check_file(coloured(archive, wrong=0, noise=True), settings=settings))
    assert "label-noise" not in codes(check_file(coloured(archive, wrong=0), settings=settings))


def test_wrong_layouts_draw_the_expected_tree(picture: Draw, archive: Archive, settings: Settings,
                                              tmp_path: Path) -> None:
    for files in ({"1.png": picture(1), "2.png": picture(2)}, {"train/1.png": picture(1), "test/2.png": picture(2)}):
        with pytest.raises(DataError) as caught:
            check_file(archive(files), settings=settings)
        assert "cat/" in caught.value.remedy and "1.jpg" in caught.value.remedy and "1.png" in caught.value.why


def test_one_class_or_too_few_is_an_error_finding(picture: Draw, archive: Archive, settings: Settings) -> None:
    path = archive({f"cat/{i}.png": picture(i) for i in range(5)})
    assert [f.code for f in check_file(path, settings=settings).errors] == ["one-class"]
    with pytest.raises(DataError, match="same label"):
        keep(path, settings)


def test_duplicates_near_duplicates_blanks_and_contradictions(picture: Draw, two_classes: dict[str, bytes],
                                                              archive: Archive, settings: Settings) -> None:
    again = io.BytesIO()
    Image.open(io.BytesIO(two_classes["dog/0.png"])).resize((60, 45),
                                                            Image.Resampling.BICUBIC).save(again, "JPEG", quality=80)
    blank = io.BytesIO()
    Image.new("RGB", (20, 20), "grey").save(blank, "PNG")
    copy = io.BytesIO()
    Image.open(io.BytesIO(two_classes["cat/2.png"])).save(copy, "BMP")
    files = two_classes | {"cat/zz-copy.bmp": copy.getvalue(), "dog/zz-copy.bmp": copy.getvalue(),
                           "dog/zz-again.jpg": again.getvalue(), "dog/blank.png": blank.getvalue()}
    report = check_file(archive(files), settings=settings)
    found = {finding.code: finding for finding in report.findings}
    assert found["exact-duplicates"].count == 2 and "picture" in found["exact-duplicates"].message
    assert found["near-duplicates"].count == 1 and found["near-duplicates"].example == "dog/zz-again.jpg"
    assert found["contradicting-labels"].count == 3
    assert (found["blank-pictures"].count, found["blank-pictures"].example) == (1, "dog/blank.png")
    assert "leakage" not in found and "near-leakage" not in found    # twins stay together in splits made here


def test_leakage_across_given_splits_is_found_and_fixed(picture: Draw, archive: Archive, settings: Settings) -> None:
    files = {f"{part}/{name}/{i}.png": picture(1_000 * k + 100 * j + i)
             for k, part in enumerate(("train", "val", "test"))
             for j, name in enumerate(("cat", "dog")) for i in range(6)}
    files["test/cat/leak.png"] = files["train/cat/3.png"]
    path = archive(files)
    found = next(f for f in check_file(path, settings=settings).findings if f.code == "leakage")
    assert (found.count, found.example) == (1, "test/cat/leak.png")
    fixed, report = keep(path, settings, Options(fix_leaks=True))
    assert "leakage" not in codes(report)
    assert (fixed.counts["train"]["cat"], fixed.counts["test"]["cat"]) == (7, 6)


def test_sizes_extremes_and_sizes_that_give_the_label_away(picture: Draw, archive: Archive, settings: Settings) -> None:
    files = {f"cat/{i}.png": picture(i, size=(64, 64)) for i in range(10)} | {
        f"dog/{i}.jpg": picture(20 + i, size=(600, 100), format="JPEG") for i in range(10)}
    found = {f.code: f for f in check_file(archive(files), settings=settings).findings}
    assert found["size-giveaway"].severity == "warning"
    assert (found["stretched-pictures"].count, found["stretched-pictures"].example) == (10, "dog/0.jpg: 600 × 100")
    assert "10 made smaller" in found["picture-sizes"].message and "512 pixels" in found["picture-sizes"].remedy


def test_varied_sizes_are_no_giveaway(picture: Draw, archive: Archive, settings: Settings) -> None:
    files = {f"{'cat' if i % 2 else 'dog'}/{i}.png": picture(i, size=(40 + 8 * (i // 2 % 3), 40)) for i in range(24)}
    assert "size-giveaway" not in codes(check_file(archive(files), settings=settings))


def test_hostile_zip_members(two_classes: dict[str, bytes], archive: Archive, settings: Settings,
                             tmp_path: Path) -> None:
    for name in ("../evil.png", "/etc/evil.png", "C:\\evil.png", "cat/../../evil.png"):
        with pytest.raises(DataError, match="was not opened"):
            check_file(archive(two_classes | {name: b"x"}), settings=settings)
    link = zipfile.ZipInfo("cat/link.png")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    path = archive(two_classes)
    with zipfile.ZipFile(path, "a") as bundle:
        bundle.writestr(link, "/etc/passwd")
    with pytest.raises(DataError, match="was not opened") as caught:
        check_file(path, settings=settings)
    assert "symbolic link" in caught.value.why and caught.value.remedy
    bomb = tmp_path / "bomb.zip"
    with zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as bundle:
        for i in range(3):
            bundle.writestr(f"cat/{i}.png", b"\0" * 20_000_000)
    with pytest.raises(DataError) as caught:
        check_file(bomb, settings=settings)
    assert "zip bomb" in caught.value.why


@pytest.mark.parametrize("kind", ["traversal", "absolute", "symlink", "hardlink", "device", "bomb", "header",
                                  "many", "cut"])
def test_hostile_tar_members(two_classes: dict[str, bytes], settings: Settings, tmp_path: Path, kind: str) -> None:
    path = write_tar(tmp_path / "a.tar.gz", two_classes)
    if kind == "cut":
        path.write_bytes(path.read_bytes()[:-2_000])
    elif kind == "many":
        settings = Settings(home=settings.home, max_archive_files=5)
    else:
        member = tarfile.TarInfo({"traversal": "../evil.png", "absolute": "/tmp/evil.png"}.get(kind, "cat/x.png"))
        member.type = {"symlink": tarfile.SYMTYPE, "hardlink": tarfile.LNKTYPE, "device": tarfile.CHRTYPE,
                       "header": tarfile.GNUTYPE_LONGNAME}.get(kind, tarfile.REGTYPE)
        member.linkname = "/etc/passwd"
        body = b"\0" * {"bomb": 30_000_000, "header": 5_000_000}.get(kind, 1)
        member.size = len(body) if member.type in (tarfile.REGTYPE, tarfile.GNUTYPE_LONGNAME) else 0
        with tarfile.open(path, "w:gz") as bundle:
            bundle.addfile(member, io.BytesIO(body))
    with pytest.raises(DataError) as caught:
        check_file(path, settings=settings)
    assert caught.value.what and caught.value.why and caught.value.remedy
    assert not (tmp_path / "evil.png").exists() and not Path("/tmp/evil.png").exists()


def test_symbolic_links_in_a_folder_are_not_followed(two_classes: dict[str, bytes], settings: Settings,
                                                     tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "folder", two_classes)
    os.symlink("/etc/passwd", folder / "cat" / "secret.png")
    os.symlink("/etc", folder / "etc")
    report = check_file(folder, settings=settings)
    assert adds_up(report) and report.rows_kept == 24
    assert {item.file for item in report.left_out} == {"cat/secret.png", "etc"}


@pytest.mark.parametrize(("files", "says"), [({"a/1.svg": b"<svg/>", "b/2.svg": b"<svg/>"}, "SVG drawings"),
                                             ({"inner.zip": b"PK", "inner.tar.gz": b"x"}, "another archive"),
                                             ({"a.exe": b"MZ"}, "no pictures")])
def test_archives_without_pictures(archive: Archive, settings: Settings, tmp_path: Path, files: dict[str, bytes],
                                   says: str) -> None:
    for path in (archive(files), write_tar(tmp_path / "t.tar.gz", files)):
        with pytest.raises(DataError) as caught:
            check_file(path, settings=settings)
        assert says in caught.value.what and caught.value.remedy


def test_encrypted_zip(archive: Archive, two_classes: dict[str, bytes], settings: Settings) -> None:
    path = archive(two_classes)
    raw = bytearray(path.read_bytes())
    at = raw.find(b"PK\x01\x02")
    raw[at + 8] |= 1
    path.write_bytes(raw)
    with pytest.raises(DataError, match="password"):
        check_file(path, settings=settings)


def test_limits_come_from_the_settings(archive: Archive, two_classes: dict[str, bytes], settings: Settings) -> None:
    path = archive(two_classes)
    for name, words in (("max_archive_files", "limit of 5"), ("max_rows", "more than 5")):
        with pytest.raises(DataError) as caught:
            check_file(path, settings=Settings(home=settings.home, **{name: 5}))
        assert words in str(caught.value)
    report = check_file(path, settings=Settings(home=settings.home, max_pixels=1_000))
    assert report.rows_kept == 0 and adds_up(report) and "no-rows" in codes(report)


def test_a_damaged_member_costs_one_row(archive: Archive, two_classes: dict[str, bytes], settings: Settings) -> None:
    path = archive(two_classes)
    raw = bytearray(path.read_bytes())
    at = raw.find(two_classes["dog/4.png"])
    raw[at + 60 : at + 64] = b"\xff\xff\xff\xff"                     # the checksum of the archive no longer fits
    path.write_bytes(raw)
    report = check_file(path, settings=settings)
    assert adds_up(report) and [item.file for item in report.left_out] == ["dog/4.png"]


names = st.one_of(st.sampled_from(["cat/1.png", "cat/2.JPG", "dog/1.png", "dog/x/2.gif", "1.png", "train/cat/1.png",
                                   "test/dog/1.png", "labels.csv", "cat/a.svg", ".hidden/1.png", "__MACOSX/1.png",
                                   "notes.txt"]),
                  st.text(alphabet="ab/.png\u0634é 1", min_size=1, max_size=12).map(lambda name: name + ".png"))


@hypothesis_settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(files=st.dictionaries(names, st.one_of(st.integers(0, 5), st.binary(max_size=40)), max_size=12),
       wrap=st.sampled_from(["", "my set/"]), as_tar=st.booleans())
def test_any_archive_gets_a_true_report_or_a_refusal(archive: Archive, picture: Draw, settings: Settings,
                                                     tmp_path: Path, files: dict[str, int | bytes], wrap: str,
                                                     as_tar: bool) -> None:
    content = {wrap + name: picture(value) if isinstance(value, int) else value for name, value in files.items()}
    path = write_tar(tmp_path / "h.tar.gz", content) if as_tar else archive(content, "h.zip")
    refusal = None
    try:
        report = check_file(path, settings=settings)
    except DataError as error:
        refusal = error
    if refusal is not None:
        assert refusal.what and refusal.remedy
    else:
        assert adds_up(report)
        assert sum(report.classes.values()) == report.rows_kept


def test_a_shift_set_of_pictures_brings_its_files_along(picture: Draw, archive: Archive, two_classes: dict[str, bytes],
                                                        settings: Settings) -> None:
    base, _ = keep(archive(two_classes), settings)
    shift = {f"{name}/{i}.png": picture(500 + i + 50 * k) for k, name in enumerate(("Cat", "dog", "bird"))
             for i in range(5)}
    other, _ = keep(archive(shift | {"Cat/same.png": two_classes["cat/0.png"]}, "shift.zip"), settings)
    attached = attach.attach(base, other, settings=settings, workspace="w")
    assert (attached.matched, attached.unmatched) == ({"Cat": "cat", "dog": "dog"}, {"bird": 5})
    assert (attached.dataset.counts["shift"] == {"cat": 6, "dog": 5} and attached.dataset.task
            is Task.IMAGE_CLASSIFICATION)
    assert attached.repeated == (1 if base_split(base, settings, "cat/0.png") == "train" else 0)
    for dataset in (base, other):
        library.delete(dataset.id, settings=settings, workspace="w")
    folder = library.folder(attached.dataset, settings=settings, workspace="w")
    rows = library.read_rows(attached.dataset, settings=settings, workspace="w").to_pylist()
    assert len(rows) == 35 and all((folder / row["image"]).is_file() for row in rows)
    text = archive({}, "t.zip").with_name("t.csv")
    text.write_text("text,label\n" + "".join(f"words {i} here,{'cat' if i % 2 else 'dog'}\n" for i in range(20)))
    texts, _ = keep(text, settings)
    with pytest.raises(DataError, match="cannot be the shift set"):
        attach.attach(texts, attached.dataset, settings=settings, workspace="w")


def base_split(dataset: Dataset, settings: Settings, file: str) -> str:
    rows = library.read_rows(dataset, settings=settings, workspace="w").to_pylist()
    return next(str(row["split"]) for row in rows if row["file"] == file)
