"""Sets of several domains: the same classes in photographs and in sketches, in reviews of books and of films."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from core.data import browse, tables
from core.data.check import Options, check_file, examine
from core.data.ingest import ingest
from core.data.layout import arrange
from core.data.readers import by_folder
from core.data.shapes import choose
from core.domain.dataset import Role, Split
from core.errors import DataError
from core.settings import Settings

Archive = Callable[..., Path]
Draw = Callable[..., bytes]
PACS = ("art_painting", "cartoon", "photo", "sketch")


def said(i: int, about: str) -> str:
    return f"what {about} did in place {i} and what came of it"


def named(outer: Sequence[str], inner: Sequence[str], n: int = 4, *,
          form: str = "{outer}/{inner}/{i}.jpg") -> list[str]:
    return [form.format(outer=a, inner=b, i=i) for a in outer for b in inner for i in range(n)]


@pytest.mark.parametrize(("outer", "inner", "form"), [
    (PACS, ("dog", "horse", "house"), "PACS/{outer}/{inner}/{i}.jpg"),
    (("amazon", "dslr", "webcam"), ("bike", "mug"), "office31/{outer}/images/{inner}/frame_{i:04}.jpg"),
    (("Art", "Clipart", "Product", "Real World"), ("Alarm_Clock", "Bed"), "{outer}/{inner}/{i:05}.jpg"),
    (("color", "grayscale", "segmented"), ("Apple___scab", "Corn___rust"), "plants/{outer}/{inner}/{i}.jpg"),
    (("books", "hotels"), ("positive", "negative"), "sorted/{outer}/{inner}/{i}.txt"),
    (("lab A", "lab B"), ("mites", "rust", "scab", "blight", "healthy"), "{outer}/{inner}/{i}.png")],
    ids=["pacs", "office-31", "office-home", "plant-village", "reviews", "by-their-numbers"])
def test_outer_folders_are_domains(outer: Sequence[str], inner: Sequence[str], form: str) -> None:
    names = named(outer, inner, form=form)
    layout = arrange(names)
    assert layout is not None and layout.domains
    places = [place for place in map(layout.place, names) if not isinstance(place, str)]
    assert Counter((place.domain, place.label) for place in places) == {(a, b): 4 for a in outer for b in inner}


@pytest.mark.parametrize(("outer", "inner"), [
    (("glioma", "meningioma"), ("axial", "coronal")), (("cat", "dog"), ("young", "old")),
    (("benign", "malignant"), ("40X", "100X", "200X", "400X")), (("cat", "dog"), tuple(f"part{i}" for i in range(9))),
    (("cat", "dog"), tuple(f"patient_{i:03}" for i in range(9))),
    (("cat", "dog", "fox"), ("indoor", "outdoor", "zoo"))])
def test_parts_of_classes_are_no_classes(outer: Sequence[str], inner: Sequence[str]) -> None:
    layout = arrange(named(outer, inner))
    assert layout is not None and not layout.domains and layout.inner
    place = layout.place(f"{outer[0]}/{inner[0]}/1.jpg")
    assert not isinstance(place, str) and (place.label, place.inner, place.domain) == (outer[0], inner[0], None)


@pytest.mark.parametrize("names", [
    named(("birds",), ("crow", "owl")) + named(("fish",), ("carp", "tuna")), named(("cat", "dog"), ("x",)),
    named(("photo", "sketch"), ("dog", "fox")) + [f"photo/{i}.jpg" for i in range(9)]],
    ids=["other-folders-in-each", "one-folder-in-each", "many-files-beside-them"])
def test_folders_that_do_not_hold_the_same_are_classes(names: list[str]) -> None:
    layout = arrange(names)
    assert layout is not None and not layout.domains and not layout.inner


def test_the_class_folders_once_more_are_no_class(picture: Draw, archive: Archive, settings: Settings) -> None:
    """Kaggle's flowers: `flowers/flowers/daisy` beside `flowers/daisy`."""
    files = {f"flowers/{copy}{label}/{i}.png": picture(i + 9 * (label == "rose")) for copy in ("", "flowers/")
             for label in ("daisy", "rose") for i in range(5)}
    path = archive(files)
    assert check_file(path, settings=settings).classes == {"daisy": 5, "rose": 5}
    reasons = [out.reason for out in tables.read(path, settings=settings).left_out]
    assert reasons == ["its folder 'flowers' holds the class folders once more"] * 10


# -- one domain as the shift set ---------------------------------------------------------------------------------------


@pytest.fixture
def reviews(archive: Archive) -> Path:
    return archive({f"reviews/{domain}/{label}/{i}.txt": said(i, f"{domain} {label}") for domain in ("books", "dvd")
                    for label in ("positive", "negative") for i in range(20)}, "reviews.zip")


def test_domains_are_proposed_and_said(reviews: Path, settings: Settings) -> None:
    table = tables.read(reviews, settings=settings)
    assert by_folder.DOMAIN in table.columns
    found = browse.preview(reviews, settings=settings)
    assert found.roles["domain"] == Role.DOMAIN and found.values["domain"] == ["books", "dvd"]
    report = check_file(reviews, settings=settings)
    note = next(finding for finding in report.findings if finding.code == "domains")
    assert "books, dvd" in note.message and Split.SHIFT not in report.splits


def test_rows_of_one_domain_are_only_evaluated_on(reviews: Path, settings: Settings) -> None:
    table = tables.read(reviews, settings=settings)
    chosen = choose(table)
    found = examine(table, roles=chosen.roles, settings=settings, options=Options(shift_domain="dvd"))
    domains = found.rows.others["domain"].to_pylist()                # type: ignore[index]
    assert Counter(zip(domains, (split == "shift" for split in found.split), strict=True)) == {
        ("books", False): 40, ("dvd", True): 40}
    assert {"train", "validation", "test"} < set(map(str, found.split))
    assert next(item.count for item in found.findings if item.code == "shift-domain") == 40
    dataset, _ = ingest(table, roles=chosen.roles, name="Reviews", settings=settings, workspace="w" * 16,
                        options=Options(shift_domain="dvd"))
    assert dataset.rows(Split.SHIFT) == 40 and dataset.classes == ("negative", "positive") and dataset.made is None


def test_a_column_of_domains_and_one_of_splits(tmp_path: Path, settings: Settings) -> None:
    """The rows of the other domain are the shift set whatever split they were in; the others stay where they are."""
    path, splits = tmp_path / "t.csv", ("train", "train", "validation", "test")
    path.write_text("text,label,domain,split\n" + "".join(
        f"{said(i, 'it')},{'ab'[i % 2]},{('web', 'mail')[i // 20 % 2]},{splits[i % 4]}\n" for i in range(80)))
    table = tables.read(path, settings=settings)
    found = examine(table, roles=choose(table).roles, settings=settings, options=Options(shift_domain="mail"))
    domains = found.rows.others["domain"].to_pylist()                # type: ignore[index]
    assert Counter(zip(domains, map(str, found.split), strict=True)) == {
        ("mail", "shift"): 40, ("web", "train"): 20, ("web", "validation"): 10, ("web", "test"): 10}


def test_classes_of_the_other_domain_alone_are_left_out(tmp_path: Path, settings: Settings) -> None:
    path = tmp_path / "t.csv"
    path.write_text("text,label,domain\n" + "".join(
        f"{said(i, 'it')},{'abc'[i % 3] if i >= 40 else 'ab'[i % 2]},{('web', 'mail')[i // 40]}\n" for i in range(80)))
    table = tables.read(path, settings=settings)
    found = examine(table, roles=choose(table).roles, settings=settings, options=Options(shift_domain="mail"))
    assert found.rows.classes == ("a", "b")
    left = [out.reason for out in found.report.left_out]
    assert left == ["only the rows of 'mail', the shift set, have its class"] * 13


@pytest.mark.parametrize(("roles", "value", "words"), [
    ({"domain": Role.DOMAIN}, "radio", "No rows are of the domain 'radio'"),
    ({"domain": Role.IGNORE}, "mail", "No column is marked as domain")])
def test_a_domain_that_there_is_not(roles: dict[str, Role], value: str, words: str, tmp_path: Path,
                                    settings: Settings) -> None:
    path = tmp_path / "t.csv"
    path.write_text("text,label,domain\n" + "".join(f"{said(i, 'it')},{'ab'[i % 2]},{('web', 'mail')[i // 20 % 2]}\n"
                                                    for i in range(80)))
    table = tables.read(path, settings=settings)
    with pytest.raises(DataError, match=words):
        examine(table, roles={**choose(table).roles, **roles}, settings=settings,
                options=dataclasses.replace(Options(), shift_domain=value))


# -- names of numbered classes -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(("names", "label"), [
    (("Label", "ClassName"), "ClassName"), (("target", "category"), "category")])
def test_a_label_in_words_comes_before_the_same_in_numbers(names: tuple[str, str], label: str, tmp_path: Path,
                                                           settings: Settings) -> None:
    path = tmp_path / "t.csv"
    path.write_text(f"text,{','.join(names)}\n" + "".join(f"{said(i, 'it')},{i % 3},{('a', 'b', 'c')[i % 3]}x\n"
                                                          for i in range(60)))
    report = check_file(path, settings=settings)
    assert report.columns[label] == Role.LABEL and report.classes == {"ax": 20, "bx": 20, "cx": 20}


def test_other_words_leave_the_numbers_the_label(tmp_path: Path, settings: Settings) -> None:
    path = tmp_path / "t.csv"
    path.write_text("text,label,category\n" + "".join(f"{said(i, 'it')},{i % 3},{'abc'[i % 2]}x\n" for i in range(60)))
    assert check_file(path, settings=settings).columns["label"] == Role.LABEL


@pytest.mark.parametrize("names", ['{"0": "Blight", "1": "Mosaic", "2": "Healthy"}',
                                   '{"Blight": 0, "Mosaic": 1, "Healthy": 2}'])
def test_names_in_a_json_object(names: str, picture: Draw, archive: Archive, settings: Settings) -> None:
    """Cassava and EuroSAT."""
    files: dict[str, bytes | str] = {f"train_images/{100 + i}.png": picture(i) for i in range(12)}
    files |= {"train.csv": "image_id,label\n" + "".join(f"{100 + i}.png,{i % 3}\n" for i in range(12)),
              "label_num_to_disease_map.json": names}
    assert check_file(archive(files), settings=settings).classes == {"Blight": 4, "Healthy": 4, "Mosaic": 4}


def test_made_up_classes_of_a_contest_are_none(picture: Draw, archive: Archive, settings: Settings) -> None:
    """Dogs vs. Cats: the names of the training pictures say their class, the sample submission lists the others."""
    files: dict[str, bytes | str] = {f"train/{name}.{i}.png": picture(i + 8 * k)
                                     for k, name in enumerate(("cat", "dog")) for i in range(8)}
    files |= {f"test1/{i}.png": picture(20 + i) for i in range(8)}
    files["sampleSubmission.csv"] = "id,label\n" + "".join(f"{i},0\n" for i in range(8))
    assert check_file(archive(files), settings=settings).classes == {"cat": 8, "dog": 8}
