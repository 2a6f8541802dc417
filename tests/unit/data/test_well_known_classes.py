"""More public sets as they are downloaded: classes in lines, in files beside the rows, in lists of pictures."""

from __future__ import annotations

import io
import json
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path

import pandas as pd
import pytest
from PIL import Image

from core.data import first_rows, new_rows, tables
from core.data.check import check_file
from core.data.readers import labelled_lines, split_flags
from core.data.readers.table import Table, whole_table
from core.domain.dataset import Task
from core.errors import DataError
from core.settings import Settings

Archive = Callable[..., Path]
Draw = Callable[..., bytes]
N = 60


def said(i: int, about: str = "plays") -> str:
    return f"what {about} did in place {i}, and what came of it"


def lines(form: str, labels: tuple[str, ...], n: int = N) -> str:
    return "".join(form.format(text=said(i), label=labels[i % len(labels)]) + "\n" for i in range(n))


def cells(table: Table, *columns: str) -> Counter[tuple[str, ...]]:
    return Counter(zip(*(table.data[name].to_pylist() for name in columns), strict=True))


# -- a class in each line ----------------------------------------------------------------------------------------------

TREC = lines("{label} {text} ?", ("DESC:manner", "ENTY:cremat", "HUM:ind"))
BANK = lines("{text} .@{label}", ("neutral", "positive", "negative"))


@pytest.mark.parametrize("name", ["train_5500.label", "train.txt"])
def test_a_class_before_each_question(name: str, tmp_path: Path, settings: Settings) -> None:
    """TREC."""
    path = tmp_path / name
    path.write_text(TREC, encoding="latin-1")
    table = tables.read(path, settings=settings)
    assert table.columns == ("text", "label", "finer label") and table.data["text"][1].as_py() == f"{said(1)} ?"
    assert cells(table, "label", "finer label") == {("DESC", "DESC:manner"): 20, ("ENTY", "ENTY:cremat"): 20,
                                                    ("HUM", "HUM:ind"): 20}
    assert check_file(path, settings=settings).classes == {"DESC": 20, "ENTY": 20, "HUM": 20}
    assert first_rows.read(path, settings=settings).table.columns == table.columns


def test_a_class_behind_each_sentence(tmp_path: Path, archive: Archive, settings: Settings) -> None:
    """The Financial PhraseBank: sentences on which half of the annotators agree, or more, a file each."""
    path = tmp_path / "Sentences_50Agree.txt"
    path.write_bytes(BANK.replace("plays", "ylläs").encode("latin-1"))
    table = tables.read(path, settings=settings)
    assert table.data["text"][0].as_py() == f"{said(0, 'ylläs')} ."
    assert cells(table, "label") == {("neutral",): 20, ("positive",): 20, ("negative",): 20}
    part = "".join(BANK.splitlines(keepends=True)[:30])
    files = {"Bank/Sentences_50Agree.txt": BANK, "Bank/Sentences_AllAgree.txt": part, "Bank/README.txt": "read\n\nme",
             "Bank/License.txt": "free"}
    assert check_file(archive(files), settings=settings).rows_read == N, "sentences of one file are in the other"
    found = new_rows.read(path, task=Task.TEXT_CLASSIFICATION, source=None, text=None, settings=settings)
    assert found.content[0] == f"{said(0, 'ylläs')} ."


def test_trees_of_classes(archive: Archive, settings: Settings) -> None:
    """The Stanford Sentiment Treebank: the class of the whole sentence stands at the root."""
    lines = "".join(f"({i % 5} (2 It) ({i % 4} (2 is) ({i % 3} (3 -LRB-) (2 film{i}))))\n" for i in range(40))
    path = archive({f"trees/{name}.txt": lines for name in ("train", "dev", "test")})
    table = tables.read(path, settings=settings)
    assert table.data["text"][7].as_py() == "It is ( film7" and table.data["label"][7].as_py() == "2"
    assert cells(table, "label", "split") == {(str(label), split): 8 for label in range(5)
                                              for split in ("train", "validation", "test")}


@pytest.mark.parametrize("text", [
    "".join(f"{said(i)}: write to someone{i}@example.org\n" for i in range(N)),
    "".join(f"{who}:{chr(97 + i % 26)}{said(i)}\n" for i in range(N // 2) for who in ("ROMEO", "JULIET")),
    "".join(f"NOTE:{said(i).split()[0]}{i} {said(i)}\n" for i in range(N)),
    "".join(f"{said(i)} @friend\n" if i % 2 else f"{said(i)}\n" for i in range(N))],
    ids=["addresses", "a-play", "words-that-never-come-again", "half-of-the-lines"])
def test_marks_that_are_no_classes(text: str, tmp_path: Path) -> None:
    path = tmp_path / "t.txt"
    path.write_text(text)
    assert labelled_lines.form_of(path) is None


# -- texts and classes in files of their own ---------------------------------------------------------------------------


def tweets(names: Mapping[str, int] = {"train": 40, "val": 12, "test": 12}) -> dict[str, str]:
    texts = {f"emotion/{name}_text.txt": "".join(f"{said(i, name)}\n" for i in range(n)) for name, n in names.items()}
    return texts | {f"emotion/{name}_labels.txt": "".join(f"{i % 3}\n" for i in range(n)) for name, n in names.items()}


MAPPING = {"emotion/mapping.txt": "0\tanger\n1\tjoy\n2\toptimism\n"}


def test_texts_and_classes_line_by_line(archive: Archive, settings: Settings) -> None:
    """TweetEval."""
    path = archive(tweets() | MAPPING)
    table = tables.read(path, settings=settings)
    assert cells(table, "label", "split")["anger", "train"] == 14 and cells(table, "split") == {
        ("train",): 40, ("validation",): 12, ("test",): 12}
    assert table.data["text"].to_pylist()[40] == said(0, "val") and table.data["label"].to_pylist()[40] == "anger"
    assert check_file(path, settings=settings).classes == {"anger": 22, "joy": 21, "optimism": 21}
    assert first_rows.read(path, settings=settings).table.columns == table.columns
    found = new_rows.read(path, task=Task.TEXT_CLASSIFICATION, source=None, text=None, settings=settings)
    assert list(found.content) == table.data["text"].to_pylist()


def test_without_names_the_numbers_are_the_classes(archive: Archive, settings: Settings) -> None:
    assert check_file(archive(tweets()), settings=settings).classes == {"0": 22, "1": 21, "2": 21}


def test_words_and_intents_in_folders_of_splits(archive: Archive, settings: Settings) -> None:
    """SNIPS and ATIS as in Goo et al. 2018."""
    files = {f"snips/{split}/{name}": text for split, n in (("train", 40), ("valid", 12), ("test", 12))
             for name, text in (("seq.in", "".join(f"{said(i, split)}\n" for i in range(n))),
                                ("seq.out", "O O B-x O\n" * n), ("label", "Play\nRate\n" * (n // 2)))}
    table = tables.read(archive(files), settings=settings)
    assert cells(table, "label", "split") == {(label, split): n for label in ("Play", "Rate")
                                              for split, n in (("train", 20), ("validation", 6), ("test", 6))}
    assert table.data["text"][0].as_py() == said(0, "train")


def test_files_that_are_not_equally_long_are_refused(archive: Archive, settings: Settings) -> None:
    files = tweets() | {"emotion/test_labels.txt": "0\n1\n"}
    with pytest.raises(DataError, match=r"test_text\.txt has 12 lines and test_labels\.txt has 2 lines"):
        tables.read(archive(files), settings=settings)


def test_a_list_of_classes_beside_texts_is_no_file_of_classes(archive: Archive, settings: Settings) -> None:
    texts = {"data.txt": "".join(f"{said(i)}\n" for i in range(20)), "classes.txt": "World\nSports\n"}
    assert "label" not in tables.read(archive(texts), settings=settings).columns


@pytest.mark.parametrize("first", [0, 1])
def test_names_of_the_classes_in_a_file_of_their_own(first: int, archive: Archive, settings: Settings) -> None:
    """AG News, DBpedia and others of Zhang et al. 2015."""
    rows = {split: "".join(f'"{first + i % 4}","Title {i}","{said(i, split)}"\n' for i in range(n))
            for split, n in (("train", 40), ("test", 20))}
    files = {f"ag_news_csv/{split}.csv": text for split, text in rows.items()}
    files |= {"ag_news_csv/classes.txt": "World\nSports\nBusiness\nSci/Tech\n", "ag_news_csv/readme.txt": "News"}
    path = archive(files)
    assert check_file(path, settings=settings).classes == dict.fromkeys(("Business", "Sci/Tech", "Sports", "World"), 15)
    assert tables.read(path, settings=settings).data["column 1"].to_pylist()[1] == "Sports"


@pytest.mark.parametrize("names", ["World\nSports\n", "World\nWorld\nSports\nMoney\n", "1\n2\n3\n4\n", "\n"])
def test_names_that_do_not_fit_the_numbers_are_not_given(names: str, archive: Archive, settings: Settings) -> None:
    files = {"train.csv": "".join(f'"{1 + i % 4}","{said(i)}"\n' for i in range(40)), "classes.txt": names}
    assert check_file(archive(files), settings=settings).classes == dict.fromkeys("1234", 10)


@pytest.mark.parametrize("endings", [("pos", "neg"), ("objective", "subjective")])
def test_the_ending_is_the_class(endings: tuple[str, str], archive: Archive, settings: Settings) -> None:
    """Pang and Lee's sentences."""
    files = {f"rt/rt-polarity.{ending}": "".join(f"{said(i, ending)}\n" for i in range(30)) for ending in endings}
    path = archive(files | {"rt.README.1.0.txt": "Sentences\n\nof reviews"})
    assert check_file(path, settings=settings).classes == dict.fromkeys(sorted(endings), 30)
    found = new_rows.read(path, task=Task.TEXT_CLASSIFICATION, source=None, text=None, settings=settings)
    assert len(found.content) == 60


def test_lists_of_pairs_of_a_text_and_its_class(tmp_path: Path, settings: Settings) -> None:
    """CLINC150."""
    sizes = {"val": 12, "train": 40, "test": 12, "oos_val": 4, "oos_test": 4, "oos_train": 4}
    path = tmp_path / "data_full.json"
    path.write_text(json.dumps({name: [[said(i, name), "oos" if "oos" in name else ("pay", "book")[i % 2]]
                                       for i in range(n)] for name, n in sizes.items()}))
    table = tables.read(path, settings=settings)
    assert cells(table, "split") == {("train",): 44, ("validation",): 16, ("test",): 16}
    assert check_file(path, settings=settings).classes == {"book": 32, "oos": 12, "pay": 32}


# -- folders that are no classes ---------------------------------------------------------------------------------------


def test_texts_without_a_class_are_none_of_a_class_of_their_own(archive: Archive, settings: Settings) -> None:
    """IMDb: `train/unsup` beside `train/pos` and `train/neg`."""
    files = {f"aclImdb/{split}/{label}/{i}_7.txt": said(i, f"{split} {label}") for split in ("train", "test")
             for label in ("pos", "neg") for i in range(9)}
    files |= {f"aclImdb/train/unsup/{i}_0.txt": said(i, "unsup") for i in range(12)}
    table = tables.read(archive(files | {"aclImdb/README": "Films"}), settings=settings)
    assert cells(table, "label", "split") == {(label, split): 9 for label in ("pos", "neg")
                                              for split in ("train", "test")}
    assert sum("says no class" in out.reason for out in table.left_out) == 12


@pytest.mark.parametrize("files", [{"README.txt": "Read\n\nme", "reut2-000.sgm": "<REUTERS></REUTERS>"},
                                   {"LICENSE.txt": "free", "x/model.README.2.txt": "what it is", "x/weights.bin": "1"}])
def test_an_archive_whose_only_texts_tell_about_it_is_refused(files: dict[str, str], archive: Archive,
                                                              settings: Settings) -> None:
    with pytest.raises(DataError, match="Found: "):
        tables.read(archive(files), settings=settings)


WORDS = ("n01443537", "n01629819", "n01641577")


@pytest.fixture(scope="module")
def drawn(picture: Draw) -> list[bytes]:
    return [picture(seed) for seed in range(18)]


def tiny(drawn: list[bytes]) -> dict[str, bytes | str]:
    root = "tiny-imagenet-200"
    files: dict[str, bytes | str] = {f"{root}/train/{word}/images/{word}_{i}.JPEG": drawn[i]
                                     for word in WORDS for i in range(6)}
    files |= {f"{root}/train/{word}/{word}_boxes.txt": "".join(f"{word}_{i}.JPEG\t0\t10\t63\t58\n" for i in range(6))
              for word in WORDS}
    for split in ("val", "test"):
        files |= {f"{root}/{split}/images/{split}_{i}.JPEG": drawn[9 + i] for i in range(9)}
    return files | {f"{root}/val/val_annotations.txt": "".join(f"val_{i}.JPEG\t{WORDS[i % 3]}\t0\t32\t44\t62\n"
                                                               for i in range(9)),
                    f"{root}/wnids.txt": "\n".join(WORDS), f"{root}/words.txt": "".join(f"{w}\tfish\n" for w in WORDS)}


def test_a_folder_of_all_pictures_of_a_split_is_no_class(drawn: list[bytes], archive: Archive,
                                                         settings: Settings) -> None:
    """Tiny ImageNet: classes of the validation pictures stand in a list, those of the test pictures nowhere."""
    table = tables.read(archive(tiny(drawn)), settings=settings)
    assert cells(table, "label", "split") == {(word, split): n for word in WORDS
                                              for split, n in (("train", 6), ("validation", 3))}
    told = dict(zip(table.data["image"].to_pylist(), table.data["label"].to_pylist(), strict=True))
    assert told["tiny-imagenet-200/val/images/val_4.JPEG"] == WORDS[1]
    assert sum("'images' says no class" in out.reason for out in table.left_out) == 9


def test_a_list_that_says_other_classes_adds_none(drawn: list[bytes], archive: Archive, settings: Settings) -> None:
    files = tiny(drawn) | {"tiny-imagenet-200/val/val_annotations.txt":
                           "".join(f"val_{i}.JPEG\tn{i % 3}\t0\t32\t44\t62\n" for i in range(9))}
    assert set(tables.read(archive(files), settings=settings).data["label"].to_pylist()) == set(WORDS)


# -- lists of pictures -------------------------------------------------------------------------------------------------


def test_numbers_that_say_the_splits(drawn: list[bytes], archive: Archive, settings: Settings) -> None:
    """CUB-200-2011."""
    names = [f"{label}/{label[4:]}_{i:04}.jpg" for label in ("001.Albatross", "002.Auklet") for i in range(6)]
    files: dict[str, bytes | str] = {f"CUB/images/{name}": drawn[i] for i, name in enumerate(names)}
    files |= {"CUB/images.txt": "".join(f"{i} {name}\n" for i, name in enumerate(names, start=1)),
              "CUB/train_test_split.txt": "".join(f"{i} {i % 3 and 1}\n" for i in range(1, 13)),
              "CUB/image_class_labels.txt": "".join(f"{i} {1 + i // 7}\n" for i in range(1, 13))}
    table = tables.read(archive(files), settings=settings)
    assert cells(table, "label", "split") == {("001.Albatross", "train"): 4, ("001.Albatross", "test"): 2,
                                              ("002.Auklet", "train"): 4, ("002.Auklet", "test"): 2}


def test_class_numbers_take_the_names_that_the_files_have(drawn: list[bytes], archive: Archive,
                                                          settings: Settings) -> None:
    """The Oxford pets: `list.txt` says numbers, the pictures are named after breeds."""
    names = [f"{breed}_{i}" for breed in ("Abyssinian", "american_bulldog") for i in range(6)]
    files: dict[str, bytes | str] = {f"images/{name}.jpg": drawn[i] for i, name in enumerate(names)}
    files["annotations/list.txt"] = "#Image CLASS-ID SPECIES BREED ID\n" + "".join(
        f"{name} {1 + i // 6} {1 + i // 6} 1\n" for i, name in enumerate(names))
    assert check_file(archive(files), settings=settings).classes == {"Abyssinian": 6, "american_bulldog": 6}


def test_several_lists_of_the_same_pictures(drawn: list[bytes], archive: Archive, settings: Settings) -> None:
    """FGVC-Aircraft: makers and variants, one list a split each, with blanks in their names."""
    variants = ("A300 B4", "707-320", "747-100")
    files: dict[str, bytes | str] = {f"data/images/{100 + i:07}.jpg": drawn[i] for i in range(18)}
    for split, places in (("train", range(9)), ("val", range(9, 12)), ("test", range(12, 18))):
        files |= {f"data/images_variant_{split}.txt": "".join(f"{100 + i:07} {variants[i % 3]}\n" for i in places),
                  f"data/images_maker_{split}.txt": "".join(f"{100 + i:07} {('Airbus', 'Boeing')[i % 3 > 0]}\n"
                                                            for i in places)}
    table = tables.read(archive(files), settings=settings)
    assert cells(table, "label", "split") == {(name, split): n for name in variants
                                              for split, n in (("train", 3), ("validation", 1), ("test", 2))}


def test_attributes_of_pictures(drawn: list[bytes], archive: Archive, settings: Settings) -> None:
    """CelebA: a count, the names of the columns, and a path and ones a line."""
    files: dict[str, bytes | str] = {f"img_align_celeba/{i + 1:06}.jpg": data for i, data in enumerate(drawn)}
    files["list_attr_celeba.txt"] = "18\nMale Smiling Young \n" + "".join(
        f"{i + 1:06}.jpg  {(-1, 1)[i % 2]}  {(-1, 1)[i % 3 // 2]} {(-1, 1)[i // 9]}\n" for i in range(18))
    table = tables.read(archive(files), settings=settings)
    assert table.columns == ("image", "Male", "Smiling", "Young")
    assert table.data["Young"].to_pylist() == ["-1"] * 9 + ["1"] * 9


def test_boxes_are_no_classes(drawn: list[bytes], archive: Archive, settings: Settings) -> None:
    files: dict[str, bytes | str] = {f"pics/{i}.jpg": data for i, data in enumerate(drawn)}
    files["boxes.txt"] = "".join(f"{i}.jpg {i % 4} 10 63 58\n" for i in range(18))
    table = tables.read(archive(files), settings=settings)
    assert set(table.data["label"].to_pylist()) == {"pics"}


def test_traffic_signs(drawn: list[bytes], archive: Archive, settings: Settings) -> None:
    """GTSRB: PPM pictures, and a table in each class folder."""
    root = "GTSRB/Final_Training/Images"
    files: dict[str, bytes | str] = {f"{root}/{k:05}/{i:05}_00000.ppm": as_ppm(drawn[9 * k + i])
                                     for k in range(2) for i in range(9)}
    files |= {f"{root}/{k:05}/GT-{k:05}.csv": "Filename;Width;Height;Roi.X1;ClassId\n" + "".join(
        f"{i:05}_00000.ppm;40;30;5;{k}\n" for i in range(9)) for k in range(2)}
    path = archive(files)
    assert check_file(path, settings=settings).classes == {"00000": 9, "00001": 9}
    found = new_rows.read(path, task=Task.IMAGE_CLASSIFICATION, source=None, text=None, settings=settings)
    assert len(found.content) == 18


def as_ppm(data: bytes) -> bytes:
    out = io.BytesIO()
    Image.open(io.BytesIO(data)).save(out, "PPM")
    return out.getvalue()


def damaged(path: Path, inside: bytes) -> Path:
    """The archive with a byte of what is stored in it changed, so that its checksum does not fit."""
    data = bytearray(path.read_bytes())
    data[data.index(inside)] ^= 1
    path.write_bytes(data)
    return path


def test_a_damaged_list_says_nothing(drawn: list[bytes], archive: Archive, settings: Settings) -> None:
    files: dict[str, bytes | str] = {f"{label}/{label}_{i}.png": drawn[i + 9 * k] for k, label in enumerate("ab")
                                     for i in range(9)}
    files["list.txt"] = "".join(f"{label}/{label}_{i}.png other\n" for label in "ab" for i in range(9))
    path = damaged(archive(files), b"a/a_0.png other")
    assert check_file(path, settings=settings).classes == {"a": 9, "b": 9}


def test_a_damaged_text_is_left_out_of_a_prediction(archive: Archive, settings: Settings) -> None:
    path = damaged(archive({f"{label}/{i}.txt": said(i, label) for label in ("pos", "neg") for i in range(9)}),
                   said(4, "pos").encode())
    found = new_rows.read(path, task=Task.TEXT_CLASSIFICATION, source=None, text=None, settings=settings)
    assert len(found.content) == 17 and ["cannot be read" in out.reason for out in found.left_out] == [True]


# -- splits written as yes and no --------------------------------------------------------------------------------------


def test_whether_a_row_is_for_validation(drawn: list[bytes], archive: Archive, settings: Settings) -> None:
    """Imagenette, and other tables of fastai."""
    rows = [(f"{split}/{word}/{word}_{i}.JPEG", word, split == "val")
            for split, n in (("train", 4), ("val", 2)) for word in WORDS for i in range(n)]
    files: dict[str, bytes | str] = {f"imagenette/{path}": drawn[i] for i, (path, _, _) in enumerate(rows)}
    files["imagenette/noisy_imagenette.csv"] = "path,noisy_labels_0,noisy_labels_1,is_valid\n" + "".join(
        f"{path},{word},{word},{flag}\n" for path, word, flag in rows)
    path = archive(files)
    assert cells(tables.read(path, settings=settings), "noisy_labels_0", "is_valid") == {
        (word, split): n for word in WORDS for split, n in (("train", 4), ("validation", 2))}
    assert check_file(path, settings=settings).classes == dict.fromkeys(WORDS, 6)


@pytest.mark.parametrize(("columns", "splits"), [
    ({"is_valid": "TTFF"}, ["validation"] * 2 + ["train"] * 2),
    ({"is_train": "1100"}, ["train"] * 2 + ["test"] * 2),
    ({"isTest": "0011"}, ["train"] * 2 + ["test"] * 2),
    ({"is_training_image": "1100"}, ["train"] * 2 + ["test"] * 2),
    ({"is_val": "0010", "is_test": "0001"}, ["train"] * 2 + ["validation", "test"]),
    ({"is_train": "1100", "is_test": "0011"}, ["train"] * 2 + ["test"] * 2)])
def test_yes_and_no(columns: dict[str, str], splits: list[str]) -> None:
    data = {name: [{"T": "True", "F": "False"}.get(flag, flag) for flag in flags] for name, flags in columns.items()}
    table = split_flags.read(table_of({"text": list("abcd"), **data}))
    assert table.data[next(iter(columns))].to_pylist() == splits and set(table.unusable) == {*list(columns)[1:]}
    assert [finding.code for finding in table.findings] == ["split-flag"]


@pytest.mark.parametrize("columns", [{"is_valid": "1111"}, {"is_valid": "1120"}, {"valid": "1100"}, {"is_spam": "1100"},
                                     {"is_train": "1110", "is_test": "0111"}])
def test_other_columns_of_yes_and_no_stay_as_they_are(columns: dict[str, str]) -> None:
    table = table_of({"text": list("abcd"), **{name: list(flags) for name, flags in columns.items()}})
    assert split_flags.read(table) is table


def table_of(columns: dict[str, list[str]]) -> Table:
    import pyarrow as pa

    return whole_table(pa.Table.from_pandas(pd.DataFrame(columns), preserve_index=False), max_rows=100, name="t",
                       format="t")
