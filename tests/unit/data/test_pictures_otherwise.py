"""Pictures as other programs keep them: in a column of Parquet or Arrow, beside one-hot classes, with the class in
their names."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from core.data import first_rows, new_rows, tables
from core.data.check import check_file
from core.data.readers import by_name
from core.domain.dataset import Content, Task
from core.errors import DataError
from core.settings import Settings

Draw = Callable[..., bytes]
Archive = Callable[..., Path]
N = 24
LABELS = [("cat", "dog")[i % 2] for i in range(N)]


@pytest.fixture(scope="module")
def drawn(picture: Draw) -> list[bytes]:
    return [picture(seed) for seed in range(N)]


def saved(drawn: list[bytes], folder: Path, kind: str) -> Path:
    """What the `datasets` library writes."""
    from datasets import ClassLabel, Dataset, DatasetDict, Features, Image

    features = Features({"image": Image(), "label": ClassLabel(names=["cat", "dog"])})
    whole = Dataset.from_dict({"image": [{"bytes": data, "path": f"../{i}.png"} for i, data in enumerate(drawn)],
                               "label": [i % 2 for i in range(N)]}, features=features)
    if kind == "parquet":
        whole.to_parquet(folder / "t.parquet")
        return folder / "t.parquet"
    DatasetDict(train=whole.select(range(16)), test=whole.select(range(16, N))).save_to_disk(folder / "saved")
    return folder / "saved"


@pytest.mark.parametrize("kind", ["parquet", "arrow"])
def test_pictures_in_a_column(drawn: list[bytes], settings: Settings, tmp_path: Path, kind: str) -> None:
    path = saved(drawn, tmp_path, kind)
    table = tables.read(path, settings=settings)
    names = table.data["image"].to_pylist()
    assert table.pictures is not None and [table.pictures.read(name) for name in names] == drawn
    assert table.data["label"].to_pylist() == LABELS and all(name.endswith(".png") for name in names)
    assert kind == "parquet" or Counter(table.data["split"].to_pylist()) == {"train": 16, "test": 8}
    assert check_file(path, settings=settings).classes == {"cat": 12, "dog": 12}
    assert first_rows.read(path, settings=settings).table.pictures is not None


def test_pictures_in_a_column_are_predicted_row_by_row(drawn: list[bytes], settings: Settings, tmp_path: Path) -> None:
    def read(name: str) -> new_rows.NewRows:
        return new_rows.read(tmp_path / name, source=None, task=Task.on(Content.PICTURE), text=None, settings=settings)

    cells = [None if i == 3 else {"bytes": data, "path": None} for i, data in enumerate(drawn)]
    kind = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    pq.write_table(pa.table({"image": pa.array(cells, kind), "label": LABELS}), tmp_path / "t.parquet")
    found = read("t.parquet")
    assert found.rows_read == N and len(found.content) == N - 1
    assert [(item.row, item.reason) for item in found.left_out] == [(4, "its cell holds no picture")]
    pq.write_table(pa.table({"text": ["a", "b"]}), tmp_path / "u.parquet")
    with pytest.raises(DataError, match="is none"):
        read("u.parquet")


def test_captions_with_pictures_stay_texts(drawn: list[bytes], settings: Settings, tmp_path: Path) -> None:
    cells = pa.array([{"bytes": data, "path": None} for data in drawn],
                     pa.struct([("bytes", pa.binary()), ("path", pa.string())]))
    texts = [f"a picture of the thing with number {i}" for i in range(N)]
    pq.write_table(pa.table({"image": cells, "text": texts}), tmp_path / "t.parquet")
    table = tables.read(tmp_path / "t.parquet", settings=settings)
    assert table.pictures is None and "nested" in table.unusable["image"]


def test_one_hot_classes_beside_pictures(drawn: list[bytes], settings: Settings, archive: Archive) -> None:
    """As of the ISIC challenges: a column a diagnosis, names without an ending."""
    frame = pd.get_dummies(pd.Series(LABELS)).astype(float)
    frame.insert(0, "image", [f"ISIC_{i:07}" for i in range(N)])
    path = archive({**{f"input/ISIC_{i:07}.png": data for i, data in enumerate(drawn)},
                    "GroundTruth.csv": frame.to_csv(index=False).encode()})
    assert check_file(path, settings=settings).classes == {"cat": 12, "dog": 12}


def test_the_class_in_the_name(drawn: list[bytes], settings: Settings, archive: Archive) -> None:
    members = {f"train/{label}.{i}.png": data for i, (label, data) in enumerate(zip(LABELS, drawn, strict=True))}
    path = archive(members | {f"test1/{i}.png": data for i, data in enumerate(drawn[:5])})
    report = check_file(path, settings=settings)
    assert report.classes == {"cat": 12, "dog": 12} and report.rows_read == N + 5
    assert {item.reason for item in report.left_out} == {"its name says no class"}
    assert [f.example for f in report.findings if f.code == "classes-of-names"] == ["cat.0.png is 'cat'"]


def test_splits_of_folders_with_the_class_in_the_name(drawn: list[bytes], settings: Settings, archive: Archive) -> None:
    members = {f"{'train' if i < 16 else 'test'}/{label}_{i}.png": data
               for i, (label, data) in enumerate(zip(LABELS, drawn, strict=True))}
    table = tables.read(archive(members), settings=settings)
    assert Counter(table.data["split"].to_pylist()) == {"train": 16, "test": 8}
    assert Counter(table.data["label"].to_pylist()) == {"cat": 12, "dog": 12}


@pytest.mark.parametrize("names", [
    [f"IMG_{i}.jpg" if i % 2 else f"DSC{i}.jpg" for i in range(20)], [f"{i}.jpg" for i in range(20)],
    [f"cat_{i}.jpg" for i in range(20)], [f"name {chr(97 + i)} {i}.jpg" for i in range(20)],
    [f"train_{i}.jpg" if i % 2 else f"test_{i}.jpg" for i in range(20)]],
    ids=["cameras", "numbers", "one class", "a class a picture", "splits"])
def test_names_that_say_no_class(names: list[str]) -> None:
    assert by_name.classes(names) == {}


@pytest.mark.parametrize(("name", "says"), [("american_bulldog_3.jpg", "american_bulldog"), ("a/cat.17.JPG", "cat"),
                                            ("cat (3).png", "cat"), ("T-shirt-2.png", "T-shirt"), ("b2b 7.png", "b2b")])
def test_what_a_name_says(name: str, says: str) -> None:
    others = [f"{label} {i}.png" for label in (says, "zebra") for i in range(20, 24)]
    assert by_name.classes([name, *others])[name] == says


def test_a_table_of_names_counts_before_the_names_themselves(drawn: list[bytes], settings: Settings,
                                                             archive: Archive) -> None:
    members = {f"{label}_{i}.png": data for i, (label, data) in enumerate(zip(LABELS, drawn, strict=True))}
    rows = "\n".join(json.dumps({"file_name": name, "label": "xy"[i % 2]}) for i, name in enumerate(members))
    assert check_file(archive({**members, "metadata.jsonl": rows.encode()}), settings=settings).classes == {
        "x": 12, "y": 12}


def placed(drawn: list[bytes], **more: str) -> dict[str, bytes | str]:
    """The pictures in one folder, and the other files."""
    return {f"images/{i:04d}.png": data for i, data in enumerate(drawn)} | {
        name.replace("__", "/"): text for name, text in more.items()}


def in_classes(drawn: list[bytes]) -> dict[str, bytes | str]:
    return {f"food/images/{LABELS[i]}/{i:04d}.png": data for i, data in enumerate(drawn)}


def listed(*, start: int = 0, stop: int = N, form: str = "images/{i:04d}.png {k}") -> str:
    return "\n".join(form.format(i=i, k=i % 2, label=LABELS[i]) for i in range(start, stop)) + "\n"


@pytest.mark.parametrize("form", ["images/{i:04d}.png {k}", "{i:04d}.png\t{k}", "/data/mine/images/{i:04d}.png, {k}",
                                  "{i:04d} {k}"])
def test_a_list_of_paths_tells_classes_and_splits(drawn: list[bytes], archive: Archive, settings: Settings,
                                                  form: str) -> None:
    files = placed(drawn, **{"train.txt": listed(stop=16, form=form), "test.txt": listed(start=16, form=form)})
    path = archive(files)
    report = check_file(path, settings=settings)
    assert report.classes == {"0": 12, "1": 12} and report.rows_kept == N
    table = tables.read(path, settings=settings)
    assert Counter(table.data["split"].to_pylist()) == {"train": 16, "test": 8}
    assert first_rows.read(path, settings=settings).table.columns == table.columns


@pytest.mark.parametrize("form", ["{label}/{i:04d}", "{label}/{i:04d}.png", "{label}/{i:04d}.png {k}"])
def test_a_list_beside_class_folders_tells_the_splits_alone(drawn: list[bytes], archive: Archive, settings: Settings,
                                                            form: str) -> None:
    files = in_classes(drawn) | {"food/meta/train.txt": listed(stop=16, form=form), "food/meta/classes.txt": "cat\ndog",
                                 "food/meta/test.txt": listed(start=16, form=form)}
    table = tables.read(archive(files), settings=settings)
    assert Counter(table.data["label"].to_pylist()) == {"cat": 12, "dog": 12} and table.by_folder
    assert Counter(table.data["split"].to_pylist()) == {"train": 16, "test": 8}
    assert table.rows_read == N + 1 and [left.file for left in table.left_out] == ["food/meta/classes.txt"]


@pytest.mark.parametrize("lists", [{"train": (0, N), "test": (4, 9)}, {"train": (0, 4), "test": (4, 8)},
                                   {"part": (0, 12), "rest": (12, N)}])
def test_lists_that_do_not_split_are_left_out(drawn: list[bytes], archive: Archive, settings: Settings,
                                              lists: dict[str, tuple[int, int]]) -> None:
    """They contradict each other, name few pictures, or mean no split."""
    files = in_classes(drawn) | {f"food/{name}.txt": listed(start=start, stop=stop, form="{label}/{i:04d}")
                                 for name, (start, stop) in lists.items()}
    table = tables.read(archive(files), settings=settings)
    assert table.columns == ("image", "label") and len(table.left_out) == 2


def test_a_text_for_each_picture_is_no_list(drawn: list[bytes], archive: Archive, settings: Settings) -> None:
    files = in_classes(drawn) | {f"food/images/{LABELS[i]}/{i:04d}.txt": "a cat\non a\nmat" for i in range(N)}
    assert check_file(archive(files), settings=settings).classes == {"cat": 12, "dog": 12}


@pytest.mark.parametrize("whole", [
    {f"{i:04d}.png": LABELS[i] for i in range(N)},
    {f"{i:04d}": LABELS[i] for i in range(N)},
    {f"{i:04d}.png": {"label": LABELS[i], "age": i} for i in range(N)},
    {label: [f"{i:04d}.png" for i in range(N) if LABELS[i] == label] for label in ("cat", "dog")}],
    ids=["a-class-for-each", "ids", "objects", "a-list-a-class"])
def test_a_json_object_tells_the_classes(drawn: list[bytes], archive: Archive, settings: Settings,
                                         whole: object) -> None:
    path = archive(placed(drawn, **{"labels.json": json.dumps(whole)}))
    assert check_file(path, settings=settings).classes == {"cat": 12, "dog": 12}
