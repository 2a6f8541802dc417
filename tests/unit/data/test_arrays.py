"""Pictures as arrays: `.npz`, idx files, records of CIFAR and STL."""

from __future__ import annotations

import gzip
import io
import pickle
import struct
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from core.data import browse, first_rows, new_rows, tables
from core.data.check import check_file
from core.data.ingest import ingest
from core.data.readers.table import Table
from core.data.shapes import choose
from core.domain.dataset import Split, Task
from core.errors import DataError
from core.settings import Settings

Archive = Callable[..., Path]


def drawn(n: int = 24, side: int = 28, channels: int = 3, seed: int = 0) -> Any:
    """Smooth pictures (n, side, side + 4, channels), uint8: no square, so that a wrong turn is seen."""
    y, x = np.mgrid[:side, : side + 4]
    spots = [255 * np.exp(-((x - (3 + i + 5 * c + seed) % side) ** 2 + (y - i % side) ** 2) / side)
             for i in range(n) for c in range(channels)]
    return np.rint(np.stack(spots).reshape(n, channels, side, side + 4).transpose(0, 2, 3, 1)).astype(np.uint8)


def shown(table: Table) -> Any:
    assert table.pictures is not None
    return np.stack([np.asarray(Image.open(io.BytesIO(table.pictures.read(name))))
                     for name in table.data[table.image_column].to_pylist()])


def npz(path: Path, **arrays: Any) -> Path:
    np.savez_compressed(path, **arrays)
    return path


def rows(table: Table) -> Counter[tuple[str, ...]]:
    return Counter(zip(*(table.data[name].to_pylist() for name in table.columns[1:]), strict=True))


def test_medmnist(tmp_path: Path, settings: Settings) -> None:
    parts = {"train": 24, "val": 6, "test": 12}
    arrays = {f"{name}_images": drawn(n, seed=n) for name, n in parts.items()}
    labels = {f"{name}_labels": (np.arange(n) % 3)[:, None].astype(np.uint8) for name, n in parts.items()}
    path = npz(tmp_path / "bloodmnist.npz", **arrays, **labels)
    table = tables.read(path, settings=settings)
    np.testing.assert_array_equal(shown(table), np.concatenate(list(arrays.values())))
    assert rows(table) == {(label, split): n // 3 for label in "012"
                           for split, n in (("train", 24), ("validation", 6), ("test", 12))}
    report = check_file(path, settings=settings)
    assert report.classes == {"0": 14, "1": 14, "2": 14} and "pictures-of-numbers" in {f.code for f in report.findings}
    assert first_rows.read(path, settings=settings).table.pictures is not None
    assert browse.preview(path, settings=settings).pictures
    dataset, _ = ingest(table, roles=choose(table).roles, name="Blood", settings=settings, workspace="w" * 16)
    assert {split: dataset.rows(split) for split in (Split.TRAIN, Split.VALIDATION, Split.TEST)} == {
        Split.TRAIN: 24, Split.VALIDATION: 6, Split.TEST: 12}
    found = new_rows.read(path, task=Task.IMAGE_CLASSIFICATION, source=None, text=None, settings=settings)
    assert len(found.content) == 42


@pytest.mark.parametrize("names", [("x_train", "y_train"), ("X", "y"), ("images", "labels"), ("data", "target"),
                                   ("arr_0", "arr_1"), ("X_train", "Y_train")])
def test_usual_names_of_arrays(names: tuple[str, str], tmp_path: Path, settings: Settings) -> None:
    pictures = drawn(channels=1)[..., 0]
    path = npz(tmp_path / "t.npz", **{names[0]: pictures, names[1]: np.asarray(["cat", "dog"] * 12)})
    table = tables.read(path, settings=settings)
    np.testing.assert_array_equal(shown(table), pictures)
    assert Counter(table.data["label"].to_pylist()) == {"cat": 12, "dog": 12}


@pytest.mark.parametrize("form", ["behind", "before", "flat", "flat-planes", "grey-before", "one-behind"])
def test_colours_wherever_they_stand(form: str, tmp_path: Path, settings: Settings) -> None:
    whole = drawn()[:, :, :28]
    grey = whole[..., 0]
    array, wanted = {"behind": (whole, whole), "before": (whole.transpose(0, 3, 1, 2), whole),
                     "flat": (whole.reshape(24, -1), whole),
                     "flat-planes": (whole.transpose(0, 3, 1, 2).reshape(24, -1), whole),
                     "grey-before": (grey[:, None], grey), "one-behind": (grey[..., None], grey)}[form]
    path = npz(tmp_path / "t.npz", images=array, labels=np.arange(24) % 2)
    np.testing.assert_array_equal(shown(tables.read(path, settings=settings)), wanted)


@pytest.mark.parametrize("kind", [np.float32, np.float64, bool, np.int64, np.int16, "minus"])
def test_black_and_white_whatever_the_numbers(kind: Any, tmp_path: Path, settings: Settings) -> None:
    whole = drawn(channels=1)[..., 0]
    array, wanted = (whole / 127.5 - 1, whole) if kind == "minus" else (
        (whole > 99, 255 * (whole > 99)) if kind is bool else
        (whole.astype(kind), whole) if np.issubdtype(kind, np.integer) else ((whole / 255).astype(kind), whole))
    path = npz(tmp_path / "t.npz", x=array, y=np.arange(24) % 2)
    np.testing.assert_array_equal(shown(tables.read(path, settings=settings)), wanted)


def test_one_hot_labels_are_classes_and_several_are_refused(tmp_path: Path, settings: Settings) -> None:
    hot = np.eye(3)[np.arange(24) % 3]
    table = tables.read(npz(tmp_path / "a.npz", x=drawn(), y=hot), settings=settings)
    assert Counter(table.data["label"].to_pylist()) == {"0": 8, "1": 8, "2": 8}
    hot[0] = 1
    with pytest.raises(DataError, match="several classes a picture"):
        tables.read(npz(tmp_path / "b.npz", x=drawn(), y=hot), settings=settings)


class Program:
    def __reduce__(self) -> tuple[Any, ...]:
        return (open, ("/tmp/thaw-was-here", "w"))


@pytest.mark.parametrize(("arrays", "words"), [
    ({"x": np.asarray([Program()], dtype=object), "y": np.arange(1)}, "Python objects, which may run programs"),
    ({"x": drawn(), "y": np.arange(9)}, "24 pictures and 9 classes"),
    ({"x": drawn()[..., :2], "y": np.arange(24)}, "24 x 28 x 32 x 2"),
    ({"x": 1000.0 * drawn(), "y": np.arange(24)}, "black and white cannot be told"),
    ({"weights": np.zeros((3, 4)), "bias": np.zeros(4)}, "no arrays of pictures. It holds: bias 4, weights 3x4")])
def test_other_arrays_are_refused_with_the_reason(arrays: dict[str, Any], words: str, tmp_path: Path,
                                                  settings: Settings) -> None:
    with pytest.raises(DataError) as caught:
        tables.read(npz(tmp_path / "t.npz", **arrays), settings=settings)
    assert words in str(caught.value) and caught.value.remedy
    assert not Path("/tmp/thaw-was-here").exists()


def test_more_pictures_than_rows_are_allowed_are_refused(tmp_path: Path, settings: Settings) -> None:
    import dataclasses

    path = npz(tmp_path / "t.npz", x=drawn(), y=np.arange(24) % 2)
    with pytest.raises(DataError, match="more than 20 rows"):
        tables.read(path, settings=dataclasses.replace(settings, max_rows=20))


def test_an_array_that_says_more_than_it_holds_is_damaged(archive: Archive, settings: Settings) -> None:
    out = io.BytesIO()
    np.lib.format.write_array_header_1_0(out, {"descr": "|u1", "fortran_order": False, "shape": (10**9, 28, 28)})
    with pytest.raises(DataError, match="damaged"):
        tables.read(archive({"images.npy": out.getvalue(), "labels.npy": out.getvalue()}), settings=settings)


def test_pictures_without_classes_can_be_predicted_and_not_learned_from(tmp_path: Path, settings: Settings) -> None:
    path = npz(tmp_path / "t.npz", images=drawn())
    found = new_rows.read(path, task=Task.IMAGE_CLASSIFICATION, source=None, text=None, settings=settings)
    assert len(found.content) == 24
    with pytest.raises(DataError, match="looks like the label"):
        check_file(path, settings=settings)


# -- idx ---------------------------------------------------------------------------------------------------------------


def idx(array: Any) -> bytes:
    return struct.pack(">HBB", 0, 8, array.ndim) + struct.pack(f">{array.ndim}I", *array.shape) + array.tobytes()


@pytest.mark.parametrize(("names", "packed"), [
    ("{split}-{kind}-idx{n}-ubyte.gz", True), ("MNIST/raw/{split}-{kind}-idx{n}-ubyte", False),
    ("{split}-{kind}.idx{n}-ubyte", False), ("emnist-letters-{split}-{kind}-idx{n}-ubyte.gz", True)])
def test_mnist(names: str, packed: bool, archive: Archive, settings: Settings) -> None:
    test = "test" if "emnist" in names else "t10k"
    pictures = {"train": drawn(24, channels=1)[..., 0], test: drawn(12, channels=1, seed=5)[..., 0]}
    files = {}
    for split, array in pictures.items():
        for kind, n, data in (("images", 3, array), ("labels", 1, (np.arange(len(array)) % 4).astype(np.uint8))):
            data = idx(data)
            files[names.format(split=split, kind=kind, n=n)] = gzip.compress(data) if packed else data
    path = archive(files)
    table = tables.read(path, settings=settings)
    whole = dict(zip(table.data["split"].to_pylist(), range(len(table)), strict=True))
    turned = "emnist" in names
    found = shown(table)
    first = pictures["train"][0].T if turned else pictures["train"][0]
    np.testing.assert_array_equal(found[table.data["split"].to_pylist().index("train")], first)
    assert set(whole) == {"train", "test"} and rows(table) == {
        (label, split): n for label in "0123" for split, n in (("train", 6), ("test", 3))}
    assert check_file(path, settings=settings).rows_kept > 0


def test_an_idx_file_alone_says_what_belongs_to_it(tmp_path: Path, archive: Archive, settings: Settings) -> None:
    for name, array, words in (("train-images-idx3-ubyte", drawn(channels=1)[..., 0], "pictures without their classes"),
                               ("train-labels-idx1-ubyte", np.arange(24, dtype=np.uint8), "classes alone")):
        path = tmp_path / f"{name}.gz"
        path.write_bytes(gzip.compress(idx(array)))
        with pytest.raises(DataError, match=words) as caught:
            tables.read(path, settings=settings)
        assert "one ZIP" in caught.value.remedy
    with pytest.raises(DataError, match="classes without their pictures"):
        tables.read(archive({"train-labels-idx1-ubyte": idx(np.arange(24, dtype=np.uint8))}), settings=settings)
    with pytest.raises(DataError, match="cut off"):
        tables.read(archive({"train-images-idx3-ubyte": idx(drawn(channels=1)[..., 0])[:-5]}), settings=settings)


# -- records -----------------------------------------------------------------------------------------------------------

SIDE32 = drawn(20, side=32)[:, :, :32]
NAMES = "airplane\nautomobile\nbird\n\n"


def records(pictures: Any, *labels: Any) -> bytes:
    planes = pictures.transpose(0, 3, 1, 2).reshape(len(pictures), -1)
    return np.concatenate([*(np.asarray(label, dtype=np.uint8)[:, None] for label in labels), planes], axis=1).tobytes()


def test_cifar_10_and_100(archive: Archive, settings: Settings) -> None:
    labels = np.arange(20) % 3
    root = "cifar-10-batches-bin"
    files = {f"{root}/data_batch_1.bin": records(SIDE32, labels), f"{root}/readme.html": "<html>",
             f"{root}/test_batch.bin": records(SIDE32[:6], labels[:6]), f"{root}/batches.meta.txt": NAMES}
    table = tables.read(archive(files), settings=settings)
    np.testing.assert_array_equal(shown(table)[:20], SIDE32)
    assert rows(table)["airplane", "train"] == 7 and rows(table)["bird", "test"] == 2
    table = tables.read(archive({"cifar-100-binary/train.bin": records(SIDE32, labels // 2, labels),
                                 "cifar-100-binary/test.bin": records(SIDE32[:6], labels[:6] // 2, labels[:6]),
                                 "cifar-100-binary/coarse_label_names.txt": "machine\nanimal\n",
                                 "cifar-100-binary/fine_label_names.txt": NAMES}), settings=settings)
    assert rows(table)["bird", "train"] == 6, "the finer classes are read"


def test_stl_10(archive: Archive, settings: Settings) -> None:
    pictures = drawn(6, side=96)[:, :, :96]
    files = {"stl10_binary/train_X.bin": pictures.transpose(0, 3, 2, 1).tobytes(),
             "stl10_binary/train_y.bin": (1 + np.arange(6) % 3).astype(np.uint8).tobytes(),
             "stl10_binary/class_names.txt": NAMES}
    table = tables.read(archive(files), settings=settings)
    np.testing.assert_array_equal(shown(table), pictures)
    assert Counter(table.data["label"].to_pylist()) == {"airplane": 2, "automobile": 2, "bird": 2}


def test_pickles_are_refused_by_name(archive: Archive, settings: Settings) -> None:
    batch = pickle.dumps({b"data": SIDE32, b"labels": [0] * 20})
    with pytest.raises(DataError, match="Python pickles") as caught:
        tables.read(archive({"cifar-10-batches-py/data_batch_1": batch, "cifar-10-batches-py/readme.html": "x"}),
                    settings=settings)
    assert "binary version" in caught.value.remedy
