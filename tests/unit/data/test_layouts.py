"""Archives and folders as people make them: every member is kept or left out with a reason, counted here by Python's
own readers."""

from __future__ import annotations

import io
import tarfile
import unicodedata
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from core.data import roles, tables
from core.data.check import Options, check_file
from core.data.layout import arrange
from core.data.member_names import decoded
from core.data.report import ImportReport
from core.data.rows import build
from core.data.source import is_hidden, is_system
from core.data.splits import folder_meanings, from_column, meanings
from core.errors import DataError
from core.settings import Settings

Draw = Callable[..., bytes]
Files = dict[str, bytes]
WORDS = "rain match bank goal rate market team song river mountain train green paper window early late".split()


def texts(*folders: str, count: int = 6) -> Files:
    return {f"{folder}/{i}.txt": " ".join(WORDS[(hash_of(folder) + i * k) % 16] for k in range(1, 9)).encode()
            + b" %d" % i
            for folder in folders for i in range(count)}


def hash_of(text: str) -> int:
    return sum(map(ord, text))


@pytest.fixture
def pictures(picture: Draw) -> Callable[..., Files]:
    """pictures("cat", "dog", count=6): so many small pictures in each of these folders."""

    def make(*folders: str, count: int = 6) -> Files:
        return {f"{folder}/{i}.png": picture(hash_of(folder) * 100 + i, size=(9, 8)) for folder in folders
                for i in range(count)}

    return make


def as_zip(path: Path, files: Mapping[str, bytes], folders: tuple[str, ...] = ()) -> Path:
    with zipfile.ZipFile(path, "w") as bundle:
        for name in folders:
            bundle.writestr(name + "/", b"")
        for name, data in files.items():
            bundle.writestr(name, data)
    return path


def as_tar(path: Path, files: Mapping[str, bytes], folders: tuple[str, ...] = ()) -> Path:
    with tarfile.open(path, "w:gz") as bundle:
        for name in folders:
            member = tarfile.TarInfo(name)
            member.type = tarfile.DIRTYPE
            bundle.addfile(member)
        for name, data in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            bundle.addfile(member, io.BytesIO(data))
    return path


def as_folder(path: Path, files: Mapping[str, bytes], folders: tuple[str, ...] = ()) -> Path:
    for name in folders:
        (path / name).mkdir(parents=True, exist_ok=True)
    for name, data in files.items():
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        (path / name).write_bytes(data)
    return path


def members(path: Path) -> int:
    """Files in an archive or folder, counted without Thaw."""
    if path.is_dir():
        return sum(1 for found in path.rglob("*") if found.is_file())
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as bundle:
            return sum(not info.is_dir() for info in bundle.infolist())
    with tarfile.open(path) as bundle:
        return sum(member.isfile() for member in bundle)


def read(path: Path, settings: Settings) -> tuple[ImportReport, dict[str, dict[str, int]]]:
    """(report, split -> class -> rows as the folders say), after counting what came in."""
    report = check_file(path, settings=settings, options=Options(thorough=False))
    of_systems = sum(finding.count for finding in report.findings if finding.code == "system-files")
    assert report.rows_read == report.rows_kept + len(report.left_out) == members(path) - of_systems
    table = tables.read(path, settings=settings)
    rows = build(table, {name: p.role for name, p in roles.choose(table).items()})
    said: dict[str, dict[str, int]] = {}
    for split, label in zip(rows.split or ("",) * len(rows), rows.label.tolist(), strict=True):
        counts = said.setdefault(split, {})
        counts[rows.classes[label]] = counts.get(rows.classes[label], 0) + 1
    return report, said


CONTAINERS = [(as_zip, "mine.zip"), (as_tar, "mine.tar.gz"), (as_folder, "mine")]
SIX = {"cat": 6, "dog": 6}
TWO = {"train": SIX, "test": SIX}
LAYOUTS: list[tuple[str, tuple[str, ...], dict[str, dict[str, int]]]] = [
    ("plain", ("cat", "dog"), {"": SIX}),
    ("one folder round all", ("set/cat", "set/dog"), {"": SIX}),
    ("class folders at depth three", ("a/b/c/cat", "a/b/c/dog"), {"": SIX}),
    ("docs beside the one folder", ("set/cat", "set/dog", "docs"), {"": SIX}),
    ("splits above", ("train/cat", "train/dog", "test/cat", "test/dog"), TWO),
    ("splits above, other names", ("Training/cat", "Training/dog", "Testing/cat", "Testing/dog"), TWO),
    ("splits above, capitals", ("Train/cat", "Train/dog", "TEST/cat", "TEST/dog"), TWO),
    ("splits above, longer names", ("training_set/cat", "training_set/dog", "test_set/cat", "test_set/dog"), TWO),
    ("splits above, twice the same",
     ("s/seg_train/seg_train/cat", "s/seg_train/seg_train/dog", "s/seg_test/seg_test/cat",
      "s/seg_test/seg_test/dog", "s/seg_pred/seg_pred"), TWO),
    ("splits above, images between", ("train/images/cat", "train/images/dog", "test/images/cat", "test/images/dog"),
     TWO),
    ("splits with extra folders beside", ("train/cat", "train/dog", "holdout/cat", "holdout/dog", "docs", "samples"),
     TWO),
    ("eval beside test", ("train/cat", "train/dog", "eval/cat", "eval/dog", "test/cat", "test/dog"),
     TWO | {"validation": SIX}),
    ("dev", ("train/cat", "train/dog", "dev/cat", "dev/dog", "test/cat", "test/dog"), TWO | {"validation": SIX}),
    ("valid", ("d/train/cat", "d/train/dog", "d/valid/cat", "d/valid/dog", "d/test/cat", "d/test/dog"),
     TWO | {"validation": SIX}),
    ("splits below", ("cat/train", "cat/test", "dog/train", "dog/test"), TWO),
    ("splits below, in a folder", ("all/cat/Train", "all/cat/Val", "all/dog/Train", "all/dog/Val"),
     {"train": SIX, "validation": SIX}),
    ("test files without a class", ("train/cat", "train/dog", "test"), {"train": SIX}),
    ("test files without a class, one deeper",
     ("abc_train/abc_train/cat", "abc_train/abc_train/dog", "abc_test/abc_test"), {"train": SIX}),
    ("only train, and another folder", ("train/cat", "train/dog", "unlabelled"), {"": SIX}),
    ("a class called train", ("train", "bus", "car"), {"": {"train": 6, "bus": 6, "car": 6}}),
    ("classes that begin with a dot", (".net", "java"), {"": {".net": 6, "java": 6}}),
    ("folders inside the classes", ("dog/puppies", "dog/adults", "cat"), {"": {"dog": 12, "cat": 6}}),
    ("hidden folders", ("cat", "dog", ".git/objects", ".ipynb_checkpoints", "cat/.thumbs", "__MACOSX/cat", "@eaDir"),
     {"": SIX}),
]


@pytest.mark.parametrize("kind", ["pictures", "texts"])
@pytest.mark.parametrize(("folders", "said"), [case[1:] for case in LAYOUTS], ids=[case[0] for case in LAYOUTS])
def test_every_usual_layout_is_read_and_every_member_counted(kind: str, folders: tuple[str, ...],
                                                             said: dict[str, dict[str, int]],
                                                             pictures: Callable[..., Files], settings: Settings,
                                                             tmp_path: Path) -> None:
    files = (pictures if kind == "pictures" else texts)(*folders)
    clutter = dict.fromkeys(["README.md", ".DS_Store", f"{folders[0]}/.DS_Store", f"__MACOSX/{folders[0]}/._0.png",
                             "Thumbs.db"], b"x")
    for write, name in CONTAINERS if hash_of(folders[0]) % 3 == 0 else CONTAINERS[:1]:
        path = write(tmp_path / f"{kind}-{name}", files | clutter)
        report, found = read(path, settings)
        assert found == said, name
        assert not any(is_system(item.file) for item in report.left_out), "clutter is mentioned, not left out"
        assert [finding.count for finding in report.findings if finding.code == "system-files"] == [
            sum(is_system(file) for file in files | clutter)]


@pytest.mark.parametrize(("name", "system"), [
    (".DS_Store", True), ("cat/Thumbs.db", True), ("cat/desktop.ini", True), ("__MACOSX/cat/._1.jpg", True),
    ("cat/._1.jpg", True), ("cat/@eaDir/1.jpg/thumb.jpg", True), (".git/objects/1", True), (".Trash-1000/1.jpg", True),
    ("cat/.nfs0001", True), ("~$labels.xlsx", True), (".~lock.labels.csv#", True), ("cat/.gitkeep", True),
    ("cat/.directory", True), ("Icon\r", True), ("cat/.1.jpg", False), (".hidden/1.jpg", False), (".net/1.txt", False),
    ("cat/1.jpg", False), ("cat/~1.jpg", False)])
def test_files_of_systems_and_programs_are_told_from_hidden_ones_of_a_person(name: str, system: bool) -> None:
    assert is_system(name) == system
    assert is_hidden(name) == (system or name in ("cat/.1.jpg", ".hidden/1.jpg"))


STRAY: dict[str, bytes] = {
    "classes.json": b'["cat", "dog"]', "cat_to_name.json": b'{"1": "rose"}',
    "manifest.json": b'{"version": 1, "files": ["a"]}', "metadata.json": b'[{"name": "set", "licence": "MIT"}]',
    "notes.csv": b"a,a\n1,2\n", "empty.csv": b"", "broken.json": b'{"a": ',
    "class_names.csv": b"id,name\n0,cat\n1,dog\n", "stats.tsv": b"class\tcount\ncat\t6\ndog\t6\n",
    "sheet.xlsx": b"PK\x03\x04 no sheet", "rows.parquet": b"PAR1 no rows",
    "files.csv": b"file\ncat/0.png\ncat/1.png\ndog/0.png\n",
    "sizes.csv": b"file,bytes\ncat/0.png,812\ncat/1.png,913\ndog/0.png,1044\n", "cat/labels.csv": b"x,y\n1,2\n",
    "instances.json": b'{"images": [], "annotations": [], "categories": []}',
    "imagenet_class_index.json": b'{"0": ["n01", "tench"]}',
}


@pytest.mark.parametrize("name", STRAY)
def test_stray_tables_beside_class_folders_are_left_out(name: str, pictures: Callable[..., Files], settings: Settings,
                                                        tmp_path: Path) -> None:
    for kind, files in (("pictures", pictures("cat", "dog")), ("texts", texts("cat", "dog"))):
        report, said = read(as_zip(tmp_path / f"{kind}.zip", files | {name: STRAY[name]}), settings)
        assert said == {"": SIX} and [item.file for item in report.left_out] == [name]


def test_several_stray_tables_are_all_left_out(pictures: Callable[..., Files], settings: Settings,
                                               tmp_path: Path) -> None:
    for kind, files in (("pictures", pictures("cat", "dog")), ("texts", texts("cat", "dog"))):
        report, said = read(as_zip(tmp_path / f"{kind}.zip", files | STRAY), settings)
        assert said == {"": SIX} and {item.file for item in report.left_out} == set(STRAY)


def test_empty_class_folders_are_named(pictures: Callable[..., Files], settings: Settings, tmp_path: Path) -> None:
    files = pictures("set/cat", "set/dog") | {"set/fish/scan.psd": b"x"}
    for write, name in CONTAINERS:
        report, _ = read(write(tmp_path / name, files, ("set", "set/bird")), settings)
        finding = next(item for item in report.findings if item.code == "empty-folders")
        assert (finding.count, finding.example, finding.severity) == (2, "bird, fish", "warning")
    whole, _ = read(as_zip(tmp_path / "whole.zip", pictures("cat", "dog"), ("cat",)), settings)
    assert not [item for item in whole.findings if item.code == "empty-folders"]


def test_inner_folders_and_dotted_classes_are_pointed_at(pictures: Callable[..., Files], settings: Settings,
                                                         tmp_path: Path) -> None:
    report, _ = read(as_zip(tmp_path / "a.zip", pictures("cat/young", "cat/old", ".net")), settings)
    found = {item.code: item for item in report.findings}
    assert found["nested-folders"].count == 12 and found["dotted-classes"].example == ".net"


# -- annotations -------------------------------------------------------------------------------------------------------

BOXES: list[tuple[str, str, Files]] = [
    ("COCO", "annotations/instances_train2017.json", {
        "annotations/instances_train2017.json": b'{"images": [{"id": 1, "file_name": "1.jpg"}], "annotations": [], '
                                                b'"categories": []}'}),
    ("YOLO", "labels/0.txt",
     {f"labels/{i}.txt": b"0 0.5 0.5 0.2 0.1\n1 0.1 0.1 0.2 0.2\n" for i in range(6)} | {"classes.txt": b"cat\n"}),
    ("Pascal VOC", "Annotations/0.xml",
     {f"Annotations/{i}.xml": b"<annotation><object><name>cat</name></object></annotation>"
      for i in range(6)}),
    ("CVAT", "annotations.xml", {"annotations.xml": b'<annotations><image id="0" name="0.png"></image></annotations>'}),
    ("VIA", "via.json", {"via.json": b'{"0.png": {"regions": [{"shape_attributes": {"name": "rect"}}]}}'}),
    ("LabelMe", "images/0.json", {f"images/{i}.json": b'{"shapes": [], "imagePath": "0.png"}' for i in range(6)}),
]


@pytest.mark.parametrize(("what", "file", "files"), BOXES)
def test_pictures_with_boxes_are_refused_by_name(what: str, file: str, files: Files, pictures: Callable[..., Files],
                                                 settings: Settings, tmp_path: Path) -> None:
    for write, name in CONTAINERS[:2]:
        with pytest.raises(DataError) as caught:
            check_file(write(tmp_path / name, pictures("images") | files), settings=settings)
        assert (what in caught.value.what and file in caught.value.why
                and "folder named after its class" in caught.value.remedy)


# -- tables beside pictures --------------------------------------------------------------------------------------------

NAMES = ["café 1", "Straße_2", "IMG.3", "naïve", "日本", "x5"]
CELLS: list[tuple[str, Callable[[str], str]]] = [
    ("as they are", lambda name: f"{name}.png"), ("without the ending", lambda name: name),
    ("another case", lambda name: f"{name}.PNG".upper()),
    ("decomposed", lambda name: unicodedata.normalize("NFD", f"{name}.png")),
    ("another folder", lambda name: f"data/train/{name}.png"),
    ("a Windows path", lambda name: f"C:\\Users\\me\\pictures\\{name}.png"),
    ("an absolute path", lambda name: f"/home/me/{name}.png"), ("a dot in front", lambda name: f"./images/{name}.png"),
    ("blanks around", lambda name: f"  {name}.png "),
    ("percent signs", lambda name: "https://x.org/images/" + "".join(c if c.isascii() and c != " " else "".join(
        f"%{byte:02X}" for byte in c.encode()) for c in name) + ".png"),
    ("decomposed, without ending, in a folder", lambda name: unicodedata.normalize("NFD", f"images\\{name}")),
]


@pytest.mark.parametrize("cell", [case[1] for case in CELLS], ids=[case[0] for case in CELLS])
@pytest.mark.parametrize("form", ["NFC", "NFD"])
def test_a_table_names_pictures_in_any_of_the_usual_ways(cell: Callable[[str], str], form: str, picture: Draw,
                                                         settings: Settings, tmp_path: Path) -> None:
    files = {unicodedata.normalize(form, f"images/{name}.png"): picture(i, size=(9, 8)) for i, name in enumerate(NAMES)}
    table = "id,label\n" + "".join(f'"{cell(name)}",{"ab"[i % 2]}\n' for i, name in enumerate(NAMES))
    found = tables.read(as_zip(tmp_path / "t.zip", files | {"labels.csv": table.encode()}), settings=settings)
    assert found.image_column == "id" and found.data["id"].to_pylist() == list(files)
    assert not found.left_out and not [f for f in found.findings if f.code.startswith("unused")]


def test_ids_of_float_numbers_name_their_pictures(picture: Draw, settings: Settings, tmp_path: Path) -> None:
    files = {f"img/{i}.png": picture(i, size=(9, 8)) for i in range(1, 13)}
    table = "id,label\n" + "".join(f"{i}.0,{i % 3 + 1}\n" for i in range(1, 13))
    found = tables.read(as_zip(tmp_path / "t.zip", files | {"t.csv": table.encode()}), settings=settings)
    assert found.image_column == "id" and found.data["id"].to_pylist() == list(files)


def test_names_that_several_pictures_share_name_none(picture: Draw, settings: Settings, tmp_path: Path) -> None:
    files = {name: picture(i, size=(9, 8))
             for i, name in enumerate(["Cat/1.png", "cat/1.png", "cat/2.png", "dog/2.png", "cat/3.png"])}
    table = "file,label\ncat/1.png,a\nCAT/1.png,a\nx/cat/2.png,b\n2.png,b\n3.png,a\n"
    found = tables.read(as_zip(tmp_path / "t.zip", files | {"t.csv": table.encode()}), settings=settings)
    assert found.data["file"].to_pylist() == ["cat/1.png", "CAT/1.png", "cat/2.png", "2.png", "cat/3.png"]


def test_ids_that_repeat_in_another_folder_are_of_the_folder_that_the_table_is_called_after(
    picture: Draw, settings: Settings,
                                                                                            tmp_path: Path) -> None:
    files = {f"{part}/{i}.png": picture(i + 100 * k, size=(9, 8)) for k, part in enumerate(("train", "test"))
             for i in range(12 + 30 * k)}
    for name in ("train.csv", "train_labels.csv", "train-labels.csv", "labels.csv"):
        table = "id,label\n" + "".join(f"{i},{['cat', 'dog'][i % 2]}\n" for i in range(12))
        found = tables.read(as_zip(tmp_path / "t.zip", files | {name: table.encode()}), settings=settings)
        assert found.data["id"].to_pylist() == [f"train/{i}.png" for i in range(12)]


def test_a_name_that_several_pictures_have_is_called_that(picture: Draw, settings: Settings, tmp_path: Path) -> None:
    files = {f"{part}/{i}.png": picture(i + 100 * k, size=(9, 8)) for k, part in enumerate(("a", "b"))
             for i in range(3)}
    files |= {f"c/x{i}.png": picture(200 + i, size=(9, 8)) for i in range(9)}
    names = [*(f"x{i}.png" for i in range(9)), "1.png", "gone.png"]
    table = "file,label\n" + "".join(f"{name},{'ab'[i % 2]}\n" for i, name in enumerate(names))
    report = check_file(as_zip(tmp_path / "t.zip", files | {"t.csv": table.encode()}), settings=settings)
    assert ({item.file: item.reason.split(" of ")[0] for item in report.left_out}
            == {"1.png": "several pictures", "gone.png": "no picture"})


def test_names_on_disk_that_are_no_utf8_read_right(picture: Draw, settings: Settings, tmp_path: Path) -> None:
    home = tmp_path / "set"
    for k, label in enumerate(("кошка", "собака")):
        (Path(str(home)) / label.encode("cp1251").decode("utf-8", "surrogateescape")).mkdir(parents=True)
        for i in range(6):
            (home / label.encode("cp1251").decode("utf-8", "surrogateescape")
             / f"{i}.png").write_bytes(picture(i + 100 * k, size=(9, 8)))
    report, _ = read(home, settings)
    assert report.classes == {"кошка": 6, "собака": 6} and not report.left_out


def test_a_table_for_each_split_is_joined(picture: Draw, settings: Settings, tmp_path: Path) -> None:
    for form in ("{0}/metadata.csv", "{0}.csv", "data/{0}/metadata.csv"):
        beside = "data/" if form.startswith("data/") else ""
        files = {f"{beside}{part}/{i}.png": picture(i + 100 * k, size=(9, 8))
                 for k, part in enumerate(("train", "test")) for i in range(6)}
        for part in ("train", "test"):
            place = "" if "/" in form else f"{part}/"
            files[form.format(part)] = ("file_name,label\n"
                                        + "".join(f"{place}{i}.png,{'ab'[i % 2]}\n" for i in range(6))).encode()
        table = tables.read(as_zip(tmp_path / "t.zip", files), settings=settings)
        rows = build(table, {name: p.role for name, p in roles.choose(table).items()})
        assert ((len(rows), rows.split.count("train"), rows.split.count("test")) == (12, 6, 6))  # type: ignore[union-attr]
        assert table.row_numbers.tolist() == list(range(1, 13)) and rows.pictures is not None


def test_of_several_tables_the_one_with_labels_counts(picture: Draw, settings: Settings, tmp_path: Path) -> None:
    files = {f"train/{i}.png": picture(i, size=(9, 8)) for i in range(12)}
    files |= {f"test/t{i}.png": picture(50 + i, size=(9, 8)) for i in range(6)}
    files["train.csv"] = ("id,label\n" + "".join(f"{i},{['cat', 'dog'][i % 2]}\n" for i in range(12))).encode()
    files["test.csv"] = ("id\n" + "".join(f"t{i}\n" for i in range(6))).encode()
    files["sample_submission.csv"] = ("id,label\n" + "".join(f"t{i},cat\n" for i in range(6))).encode()
    report = check_file(as_zip(tmp_path / "t.zip", files), settings=settings)
    assert (report.rows_read, report.rows_kept, report.classes) == (12, 12, {"cat": 6, "dog": 6})
    found = {item.code: item.count for item in report.findings}
    assert found["unused-pictures"] == 6 and found["unused-files"] == 2


def test_a_table_without_a_label_says_so(picture: Draw, settings: Settings, tmp_path: Path) -> None:
    files = {f"images/{i}.png": picture(i, size=(9, 8)) for i in range(12)}
    table = "file_name,caption\n" + "".join(f"images/{i}.png,a caption of {i}\n" for i in range(12))
    with pytest.raises(DataError) as caught:
        check_file(as_zip(tmp_path / "t.zip", files | {"metadata.csv": table.encode()}), settings=settings)
    assert "looks like the label" in caught.value.what and "'caption'" in caught.value.why


def test_other_files_beside_a_lone_table_are_said(settings: Settings, tmp_path: Path) -> None:
    rows = "text,label\n" + "".join(f"words about {i},{'ab'[i % 2]}\n" for i in range(20))
    for write, name in CONTAINERS:
        path = write(tmp_path / name, {"x/rows.csv": rows.encode(), "x/README.txt": b"hi", "LICENSE": b"MIT"})
        report = check_file(path, settings=settings)
        assert report.rows_read == 20 and next(f for f in report.findings if f.code == "unused-files").count == 2


# -- names -------------------------------------------------------------------------------------------------------------

SYSTEMS = [("cp437", ["café", "Äpfel"]), ("cp850", ["maçã", "limão"]), ("cp1252", ["café", "maçã"]),
           ("cp932", ["ねこ", "日本の表"]), ("cp866", ["кошка", "Собака"]), ("cp1251", ["кошка", "Собака"]),
           ("gbk", ["图片猫咪", "小狗"]), ("euc_kr", ["고양이", "강아지"]), ("big5", ["小貓", "臺灣"]),
           ("utf-8", ["café", "日本"]), ("utf-8", [unicodedata.normalize("NFD", "café"), "가"])]


def raw_zip(path: Path, files: Mapping[str, bytes], encoding: str) -> Path:
    """A ZIP whose names are bytes of an encoding, without the UTF-8 flag, as tools of the system write them."""
    stand_ins = {f"{number:03}{'x' * (len(name.encode(encoding)) - 3)}": name.encode(encoding)
                 for number, name in enumerate(files)}
    as_zip(path, dict(zip(stand_ins, files.values(), strict=True)))
    data = path.read_bytes()
    for stand_in, name in stand_ins.items():
        data = data.replace(stand_in.encode(), name)
    path.write_bytes(data)
    return path


@pytest.mark.parametrize(("encoding", "labels"), SYSTEMS)
@pytest.mark.parametrize("slash", ["/", "\\"])
def test_names_of_every_system_read_right(encoding: str, labels: list[str], slash: str, pictures: Callable[..., Files],
                                          settings: Settings, tmp_path: Path) -> None:
    for kind, files in (("pictures", pictures(*labels)), ("texts", texts(*labels))):
        path = raw_zip(tmp_path / f"{kind}.zip", {name.replace("/", slash): data for name, data in files.items()},
                       encoding)
        report, _ = read(path, settings)
        assert report.classes == dict.fromkeys(sorted(labels), 6) and not report.left_out


def test_names_with_the_flag_the_extra_field_and_in_tar(pictures: Callable[..., Files], settings: Settings,
                                                        tmp_path: Path) -> None:
    import zlib

    files = pictures("日本", "café")
    assert set(read(as_zip(tmp_path / "flag.zip", files), settings)[0].classes) == {"日本", "café"}
    with zipfile.ZipFile(tmp_path / "extra.zip", "w") as bundle:
        for number, (name, data) in enumerate(files.items()):
            info = zipfile.ZipInfo(f"{number}/x.png")
            body = b"\x01" + zlib.crc32(info.filename.encode()).to_bytes(4, "little") + name.encode()
            info.extra = (0x7075).to_bytes(2, "little") + len(body).to_bytes(2, "little") + body
            bundle.writestr(info, data)
    assert set(read(tmp_path / "extra.zip", settings)[0].classes) == {"日本", "café"}
    with tarfile.open(tmp_path / "old.tar", "w", encoding="cp932", format=tarfile.GNU_FORMAT) as tar:
        for name, data in pictures("日本の表", "ねこ").items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
    assert set(read(tmp_path / "old.tar", settings)[0].classes) == {"日本の表", "ねこ"}


def test_odd_names_are_kept_and_counted(picture: Draw, settings: Settings, tmp_path: Path) -> None:
    odd = ["cat/1.png ", "cat/" + "n" * 300 + ".png", "cat/a:b?.png", "cat/con.png", "cat/A.png", "cat/a.png",
           "./cat/2.png", "cat//3.png", "dog/\u202egnp.1.png", "dog/café.png",
           unicodedata.normalize("NFD", "dog/café.png"), "dog/ x.png", "dog/4.PNG"]
    files = {name: picture(i, size=(9, 8)) for i, name in enumerate(odd)}
    for write, name in CONTAINERS[:2]:
        report, said = read(write(tmp_path / name, files), settings)
        assert said == {"": {"cat": 8, "dog": 5}}
    same = {f"{name}/{i}.txt": f"words number {i} {name}".encode() for name in ("Cat", "cat", "dog ", "dog")
            for i in range(4)}
    report, said = read(as_zip(tmp_path / "same.zip", same), settings)
    assert said == {"": {"Cat": 4, "cat": 4, "dog ": 4, "dog": 4}}
    assert next(f for f in report.findings if f.code == "label-spelling").count == 2


def test_a_folder_entry_with_a_backslash_is_a_folder(pictures: Callable[..., Files], settings: Settings,
                                                     tmp_path: Path) -> None:
    files = {name.replace("/", "\\"): data for name, data in pictures("set/cat", "set/dog").items()}
    path = as_zip(tmp_path / "w.zip", {"set\\": b"", "set\\cat\\": b""} | files)
    report = check_file(path, settings=settings)
    assert (report.rows_read, report.rows_kept, len(report.left_out)) == (12, 12, 0)


def test_a_damaged_text_costs_one_row(settings: Settings, tmp_path: Path) -> None:
    files = texts("cat", "dog")
    path = as_zip(tmp_path / "t.zip", files)
    data = path.read_bytes()
    path.write_bytes(data.replace(files["cat/3.txt"], b"x" * len(files["cat/3.txt"])))
    report, _ = read(path, settings)
    assert [item.file for item in report.left_out] == ["cat/3.txt"] and "cannot be read" in report.left_out[0].reason


def test_member_names_fall_back_on_what_can_be_read() -> None:
    assert decoded([]) == [] and decoded([b"plain.txt"]) == ["plain.txt"]
    assert len(decoded([b"\x81\x8d\x8f\x90\x9d\xff", b"\xff\xfe/\x00"])) == 2


# -- splits ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("names", "found"), [
    (["train", "val", "test"], ["train", "validation", "test"]), (["TrainSet", "DevSet"], ["train", "validation"]),
    (["train2017", "val2017"], ["train", "validation"]), (["images_train", "images_val"], ["train", "validation"]),
    (["asl_alphabet_train", "asl_alphabet_test"], ["train", "test"]),
    (["Training", "Test", "test-multiple_fruits"], ["train", "test", ""]),
    (["train", "hold-out"], ["train", "test"]), (["train", "eval"], ["train", "test"]),
    (["train", "eval", "test"], ["train", "validation", "test"]), (["train (1)", "test (1)"], ["train", "test"]),
    (["bus", "car"], ["", ""]), (["test", "val"], ["", ""]), (["train_test", "x"], ["", ""])])
def test_folders_are_splits_by_any_usual_name(names: list[str], found: list[str]) -> None:
    assert [folder_meanings(names).get(name, "") for name in names] == found


def test_eval_in_a_column_is_validation_beside_test() -> None:
    assert meanings(["Train", "eval", "TEST"]) == {"Train": "train", "eval": "validation", "TEST": "test"}
    assert from_column(["train", "eval", "test"] * 4, [0, 1] * 6).tolist() == ["train", "validation", "test"] * 4
    assert set(from_column(["train"] * 20 + ["eval"] * 4, [0, 1] * 12).tolist()) == {"train", "validation", "test"}


def test_files_without_a_class_have_no_layout() -> None:
    for names in (["1.png", "2.png"], ["train/1.png", "test/1.png"], ["train/1.png", "test/1.png", "docs/1.png"], []):
        assert arrange(names) is None


