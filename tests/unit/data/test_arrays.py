"""Pictures as arrays: `.npz`, idx files, records of CIFAR and STL."""

from __future__ import annotations

import dataclasses
import gzip
import io
import pickle
import struct
import tracemalloc
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
from tests.data_files import tar

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
    path = npz(tmp_path / "t.npz", x=drawn(), y=np.arange(24) % 2)
    with pytest.raises(DataError, match="more than 20 rows"):
        tables.read(path, settings=dataclasses.replace(settings, max_rows=20))


GREY = drawn(channels=1)[..., 0]
CLASSES = np.arange(24) % 3


def test_pictures_without_a_split_beside_those_of_one(tmp_path: Path, settings: Settings) -> None:
    table = tables.read(npz(tmp_path / "a.npz", images=GREY, labels=CLASSES, test_images=GREY[:6],
                            test_labels=CLASSES[:6]), settings=settings)
    assert Counter(table.data["split"].to_pylist()) == {"train": 24, "test": 6}
    with pytest.raises(DataError, match="beside those for train"):
        tables.read(npz(tmp_path / "b.npz", images=GREY, labels=CLASSES, x_train=GREY, y_train=CLASSES),
                    settings=settings)


def test_several_files_go_by_their_names(archive: Archive, settings: Settings) -> None:
    """Kuzushiji-49 is four files of one array each."""
    def saved(**arrays: Any) -> bytes:
        out = io.BytesIO()
        np.savez_compressed(out, **arrays)
        return out.getvalue()

    sizes = {"train": 24, "test": 6}
    for files in ({f"k49-{split}-{kind}.npz": saved(arr_0=array[:n]) for split, n in sizes.items()
                   for kind, array in (("imgs", GREY), ("labels", CLASSES))},
                  {f"{split}.npz": saved(x=GREY[:n], y=CLASSES[:n]) for split, n in sizes.items()}):
        table = tables.read(archive(files), settings=settings)
        assert rows(table) == {(label, split): n // 3 for label in "012" for split, n in sizes.items()}
        np.testing.assert_array_equal(shown(table)[:24], GREY)
    one = saved(train_images=GREY, train_labels=CLASSES)
    with pytest.raises(DataError, match="several sets of pictures") as caught:
        tables.read(archive({"pathmnist.npz": one, "bloodmnist.npz": one}), settings=settings)
    assert "pathmnist/train_images" in str(caught.value)
    with pytest.raises(DataError, match="more than 0 MB"):
        tables.read(archive({"train.npz": one, "test.npz": one}),
                    settings=dataclasses.replace(settings, max_upload_mb=0.004))      # type: ignore[arg-type]


@pytest.mark.parametrize(("array", "classes"), [
    (CLASSES[None], {"0": 8, "1": 8, "2": 8}), (np.where(CLASSES == 0, np.nan, CLASSES), {None: 8, "1": 8, "2": 8}),
    (CLASSES / 2, {"0.0": 8, "0.5": 8, "1.0": 8}), (CLASSES > 0, {"0": 8, "1": 16}),
    (np.asarray([b"caf\xc3\xa9", b"tea"] * 12), {"café": 12, "tea": 12}),
    (np.asarray([f"{'a long class ' * 8}{i}" for i in CLASSES % 2]),
     {f"{'a long class ' * 8}{i}": n for i, n in ((0, 16), (1, 8))})],
    ids=["a-row", "not-known", "halves", "yes-and-no", "bytes", "long"])
def test_classes_stay_as_they_are(array: Any, classes: dict[str, int], tmp_path: Path, settings: Settings) -> None:
    path = npz(tmp_path / "t.npz", data=GREY, target=array, target_names=np.asarray(["a", "b"]))
    assert Counter(tables.read(path, settings=settings).data["label"].to_pylist()) == classes


def npy(shape: str, kind: str, data: bytes = b"") -> bytes:
    """An array whose header says what it likes."""
    head = f"{{'descr': '{kind}', 'fortran_order': False, 'shape': {shape}}}".encode()
    head += b" " * (63 - (10 + len(head)) % 64) + b"\n"
    return b"\x93NUMPY\x01\0" + struct.pack("<H", len(head)) + head + data


@pytest.mark.parametrize(("pictures", "labels", "words"), [
    (npy("(-1, 28, 28)", "|u1", bytes(64)), b"", "damaged"),
    (npy(f"({2**200}, 8, 8)", "|u1", bytes(64)), b"", "damaged"),
    (npy(f"({2**62}, 4, 4)", "|u1", bytes(64)), b"", "damaged"),
    (npy("(24, 8, 8)", "<U100000000", bytes(64)), b"", "damaged"),
    (b"\x93NUMPY\x01\0\x28\x23" + b"(" * 9000, b"", "damaged"), (npy("(24, 0, 8)", "|u1"), b"", "without pixels"),
    (npy("(1000000000, 0, 0)", "|u1"), b"", "more than 200,000 rows"),
    (npy("(24, 8, 8)", "|u1", bytes(24 * 64)), npy("(10000000000,)", "|S0"), "10,000,000,000 classes"),
    (npy("(24, 8, 8)", "|u1", bytes(24 * 64)), npy("(24, 8, 8)", "|u1", bytes(24 * 64)), "as outlines have"),
    (npy("(0, 8, 8)", "|u1"), b"", "no rows")])
def test_what_a_header_says_is_not_believed(pictures: bytes, labels: bytes, words: str, archive: Archive,
                                            settings: Settings) -> None:
    files = {"images.npy": pictures, **({"labels.npy": labels} if labels else {})}
    for name in ("t.zip", "t.npz"):
        for read in (tables.read, first_rows.read):
            with pytest.raises(DataError) as caught:
                read(archive(files, name), settings=settings)
            assert words in str(caught.value) and caught.value.remedy


@pytest.mark.parametrize("data", [np.random.default_rng(0).bytes(5000), b"text,label\na,b\n", b"\x93NUMPY" + bytes(99)])
def test_an_npz_that_is_none_is_not_read_as_something_else(data: bytes, tmp_path: Path, settings: Settings) -> None:
    path = tmp_path / "t.npz"
    path.write_bytes(data)
    with pytest.raises(DataError, match="not those of a ZIP"):
        tables.read(path, settings=settings)


def test_pictures_are_made_when_they_are_looked_at(tmp_path: Path, settings: Settings) -> None:
    """40 MB of pictures on disk, of which none is held."""
    noise = np.random.default_rng(0).integers(0, 256, (13_000, 32, 32, 3), dtype=np.uint8)
    path = npz(tmp_path / "t.npz", images=noise, labels=np.arange(13_000) % 10)
    table = tables.read(path, settings=settings)                     # what is imported late is not counted
    del table
    tracemalloc.start()
    try:
        table = tables.read(path, settings=settings)
        most = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert table.pictures is not None and most < 20e6
    np.testing.assert_array_equal(np.asarray(Image.open(io.BytesIO(table.pictures.read("0012346.png")))), noise[12_345])


def test_a_run_on_texts_refuses_them(tmp_path: Path, settings: Settings) -> None:
    for arrays in ({"images": GREY, "labels": CLASSES}, {"images": GREY}):
        with pytest.raises(DataError, match="holds pictures, and this run reads texts"):
            new_rows.read(npz(tmp_path / "t.npz", **arrays), task=Task.TEXT_CLASSIFICATION, source=None, text=None,
                          settings=settings)


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


def of_mnist(prefix: str = "", packed: bool = True) -> dict[str, bytes]:
    pack, ending = (gzip.compress, ".gz") if packed else (bytes, "")
    return {f"{prefix}{split}-{kind}-ubyte{ending}": pack(idx(array))
            for split, n in (("train", 24), ("t10k", 6))
            for kind, array in (("images-idx3", GREY[:n]), ("labels-idx1", CLASSES[:n].astype(np.uint8)))}


def folder(path: Path, files: dict[str, bytes]) -> Path:
    for name, data in files.items():
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        (path / name).write_bytes(data)
    return path


@pytest.mark.parametrize("files", [of_mnist(), of_mnist("MNIST/raw/") | of_mnist("MNIST/raw/", packed=False)],
                         ids=["plain", "unpacked-beside-packed"])
def test_mnist_in_a_tar_archive_or_a_folder(files: dict[str, bytes], tmp_path: Path, settings: Settings) -> None:
    for path in (tar(tmp_path / "t.tar.gz", files), folder(tmp_path / "t", files)):
        table = tables.read(path, settings=settings)
        assert rows(table) == {(label, split): n for label in "012" for split, n in (("train", 8), ("test", 2))}
        np.testing.assert_array_equal(shown(table), np.concatenate([GREY, GREY[:6]]))
        assert len(first_rows.read(path, settings=settings).table) == 30
        found = new_rows.read(path, task=Task.IMAGE_CLASSIFICATION, source=None, text=None, settings=settings)
        assert len(found.content) == 30


@pytest.mark.parametrize("prefixes", [("gzip/emnist-letters-", "gzip/emnist-digits-"), ("mnist/", "fashion/")])
def test_of_several_sets_none_is_taken_in_silence(prefixes: tuple[str, str], archive: Archive,
                                                  settings: Settings) -> None:
    """EMNIST's gzip.zip holds six."""
    with pytest.raises(DataError, match="several sets of pictures") as caught:
        tables.read(archive(of_mnist(prefixes[0]) | of_mnist(prefixes[1])), settings=settings)
    assert all(f"{prefix}t10k" in str(caught.value) for prefix in prefixes) and "one set alone" in caught.value.remedy


@pytest.mark.parametrize(("mapping", "classes"), [
    ("0 65 97\n1 66 98\n2 67 99\n", {"A": 10, "B": 10, "C": 10}),
    ("0 48\n1 65\n2 97\n", {"0": 10, "1": 10, "2": 10})])
def test_characters_of_emnist(mapping: str, classes: dict[str, int], archive: Archive, settings: Settings) -> None:
    """Codes become characters, but not where `A` and `a` are two classes."""
    table = tables.read(archive({**of_mnist("emnist-letters-"), "emnist-letters-mapping.txt": mapping}),
                        settings=settings)
    assert Counter(table.data["label"].to_pylist()) == classes
    assert "rows and columns swapped" in table.findings[0].message


def test_a_part_of_a_set_alone_is_refused_by_a_prediction_too(tmp_path: Path, settings: Settings) -> None:
    path = tmp_path / "t10k-images-idx3-ubyte.gz"
    path.write_bytes(gzip.compress(idx(GREY)))
    with pytest.raises(DataError, match="without their classes"):
        new_rows.read(path, task=Task.IMAGE_CLASSIFICATION, source=None, text=None, settings=settings)


@pytest.mark.parametrize(("files", "words"), [
    ({"train-images-idx3-ubyte": idx(GREY), "train-labels-idx1-ubyte": idx(CLASSES[:5].astype(np.uint8))},
     "24 pictures and 5 classes for train"),
    ({"train-images-idx3-ubyte.gz": gzip.compress(bytes(50_000_000))}, "more than 200 times its size"),
    ({"train-images-idx3-ubyte.gz": gzip.compress(idx(GREY))[:-40]}, "cut off"),
    ({"train-images-idx3-ubyte": b"\0\0\x08\x03" + struct.pack(">3I", 2**31, 0, 0)}, "more than 200,000 rows"),
    *(({"train-images-idx3-ubyte": data}, "no idx file of bytes")
      for data in (b"\0\0\x0d\x03" + idx(GREY)[4:], b"\0\0\x08\x03\0\0", b"\0\0", b"\0\0\x08\0"))])
def test_idx_files_that_say_what_is_not_so(files: dict[str, bytes], words: str, archive: Archive,
                                           settings: Settings) -> None:
    with pytest.raises(DataError, match=words):
        tables.read(archive(files), settings=settings)


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
    assert "finer-classes" in {finding.code for finding in table.findings}


def test_records_that_are_cut_off_are_no_texts(archive: Archive, settings: Settings) -> None:
    """Class names lie beside them."""
    cut = {"c/data_batch_1.bin": records(SIDE32, CLASSES[:20]), "c/test_batch.bin": records(SIDE32, CLASSES[:20])[:-7],
           "c/batches.meta.txt": NAMES}
    with pytest.raises(DataError, match="cannot be read") as caught:
        tables.read(archive(cut), settings=settings)
    assert "test_batch.bin (61,453)" in str(caught.value)
    with pytest.raises(DataError, match="no pictures that Thaw reads"):
        tables.read(archive({"train.bin": b"tokens of a text" * 99, "val.bin": b"others" * 99}), settings=settings)


def test_records_alone_say_what_belongs_to_them(tmp_path: Path, settings: Settings) -> None:
    path = tmp_path / "data_batch_1.bin"
    path.write_bytes(records(1 + SIDE32 // 2, 1 + CLASSES[:20]))     # without a zero byte, as a text has none
    with pytest.raises(DataError, match="a file of bytes") as caught:
        tables.read(path, settings=settings)
    assert "CIFAR" in caught.value.remedy


def test_stl_10(archive: Archive, settings: Settings) -> None:
    pictures = drawn(6, side=96)[:, :, :96]
    files = {"stl10_binary/train_X.bin": pictures.transpose(0, 3, 2, 1).tobytes(),
             "stl10_binary/train_y.bin": (1 + np.arange(6) % 3).astype(np.uint8).tobytes(),
             "stl10_binary/unlabeled_X.bin": bytes(2 * 3 * 96 * 96), "stl10_binary/class_names.txt": NAMES}
    table = tables.read(archive(files), settings=settings)
    np.testing.assert_array_equal(shown(table), pictures)
    assert Counter(table.data["label"].to_pylist()) == {"airplane": 2, "automobile": 2, "bird": 2}
    assert any("2 pictures in unlabeled_X.bin have no class" in finding.message for finding in table.findings)


def test_pickles_are_refused_by_name(archive: Archive, settings: Settings) -> None:
    batch = pickle.dumps({b"data": SIDE32, b"labels": [0] * 20})
    with pytest.raises(DataError, match="Python pickles") as caught:
        tables.read(archive({"cifar-10-batches-py/data_batch_1": batch, "cifar-10-batches-py/readme.html": "x"}),
                    settings=settings)
    assert "binary version" in caught.value.remedy


@pytest.mark.parametrize("files", [dict.fromkeys(("c/train", "c/test", "c/meta", "c/file.txt~"), b"\x80\x02"),
                                   {"MNIST/processed/training.pt": b"PK"}, {"mnist.pkl": b"(lp0"}],
                         ids=["cifar-100", "torch", "pkl"])
def test_pickles_in_an_archive_are_called_so(files: dict[str, bytes], tmp_path: Path, settings: Settings) -> None:
    for path in (tar(tmp_path / "t.tar.gz", files), folder(tmp_path / "t", files)):
        with pytest.raises(DataError, match="holds Python pickles"):
            tables.read(path, settings=settings)


@pytest.mark.parametrize("protocol", range(6))
def test_a_pickle_is_never_opened(protocol: int, tmp_path: Path, settings: Settings) -> None:
    data = pickle.dumps([Program(), "a,b\nc,d"], protocol=protocol)
    names = ["t.pkl", "t.pt", *(["data_batch_1"] if protocol > 1 else [])]
    for name, content in [*((name, data) for name in names), ("t.pkl.gz", gzip.compress(data))]:
        path = tmp_path / name
        path.write_bytes(content)
        for read in (tables.read, first_rows.read):
            with pytest.raises(DataError, match=r"a Python pickle|a file of PyTorch") as caught:
                read(path, settings=settings)
            assert "may run programs" in str(caught.value) and "binary version" in caught.value.remedy
    assert not Path("/tmp/thaw-was-here").exists()


def test_an_array_alone_says_what_belongs_to_it(tmp_path: Path, settings: Settings) -> None:
    np.save(tmp_path / "images.npy", GREY)
    with pytest.raises(DataError, match="a file of NumPy") as caught:
        tables.read(tmp_path / "images.npy", settings=settings)
    assert "labels.npy" in caught.value.remedy
