"""Hub sets: ids, the reason when there is no hub, and what `datasets` returns written as files that import."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path

import datasets
import pytest
from PIL import Image

from core.data import hub
from core.data.check import check_file
from core.errors import DataError, FetchError
from core.settings import Settings


@pytest.mark.parametrize("name", ["../etc", "/etc/passwd", "a/b/c", "a\0b", "x" * 200, "", "owner/..",
                                  "https://x.org/y", "a b"])
def test_only_ids_are_accepted(name: str) -> None:
    with pytest.raises(DataError):
        hub.check_id(name)


def test_ids_and_configurations() -> None:
    hub.check_id("fancyzhx/ag_news", configuration="default")
    with pytest.raises(DataError, match="configuration"):
        hub.check_id("fancyzhx/ag_news", configuration="../x")


def test_reasons(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "THAW_HUB" in (hub.unavailable(Settings(home=settings.home, hub=False)) or "")
    monkeypatch.setattr(hub, "_answers", {})
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", "http://127.0.0.1:9")
    assert hub.unavailable(settings) == "the hub did not answer within 2 seconds"
    with pytest.raises(FetchError, match="fancyzhx/ag_news") as caught:
        hub.download("fancyzhx/ag_news", configuration=None, split=None, dest=settings.home, settings=settings)
    assert "2 seconds" in caught.value.why


def test_an_outage_is_forgotten_after_a_minute(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [1000.0]
    answers = iter([False, True, False])
    monkeypatch.setattr(hub, "_answers", {})
    monkeypatch.setattr(hub, "_ask", lambda timeout_s: next(answers))
    monkeypatch.setattr(hub.time, "monotonic", lambda: now[0])
    seen = []
    for step_s in (0.0, 59.0, 1.0, 30.0, 30.0):
        now[0] += step_s
        seen.append(hub.hub_answers(2.0))
    assert seen == [False, False, True, True, False]


def test_a_folder_of_this_computer_is_no_hub_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "private").mkdir()
    (tmp_path / "private" / "rows.csv").write_text("text,label\na,b\n")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(FileNotFoundError, match="not found on the hub"):
        hub._load_dataset("private", None, None, tmp_path / "cache")


def test_a_set_names_no_file_but_its_own(settings: Settings, tmp_path: Path, picture: Callable[..., bytes]) -> None:
    """The path of a picture is data of a stranger: it must not copy files of this computer into the dataset."""
    cache, secret = tmp_path / "cache", tmp_path / "secret.png"
    cache.mkdir()
    secret.write_bytes(picture(1))
    (cache / "own.png").write_bytes(picture(2))
    (cache / "link.png").symlink_to(secret)
    paths = [str(cache / "own.png"), str(secret), str(cache / ".." / "secret.png"), str(cache / "link.png"), str(cache),
             "/etc/passwd"]
    part = datasets.Dataset.from_dict({"image": [{"path": path, "bytes": None} for path in paths],
                                       "label": list("ababab")},
                                      features=datasets.Features({"image": datasets.Image(),
                                                                  "label": datasets.Value("string")}))
    folder = hub.load(lambda: part, name="owner/pets", dest=tmp_path / "out", settings=settings, cache=cache)
    written = [path.read_bytes() for path in sorted((folder / "pictures").iterdir())]
    assert written == [picture(2), b"", b"", b"", b"", b""]
    folder = hub.load(lambda: part, name="owner/pets", dest=tmp_path / "none", settings=settings)
    assert {path.read_bytes() for path in (folder / "pictures").iterdir()} == {b""}


def test_splits_and_class_names_survive(settings: Settings, tmp_path: Path) -> None:
    features = datasets.Features({"text": datasets.Value("string"),
                                  "label": datasets.ClassLabel(names=["bad", "good"])})
    parts = datasets.DatasetDict({name: datasets.Dataset.from_dict(
        {"text": [f"{name} sentence number {i}" for i in range(n)], "label": [i % 2 for i in range(n)]},
        features=features)
        for name, n in (("train", 40), ("test", 10), ("validation", 6))})
    path = hub.load(lambda: parts, name="owner/set", dest=tmp_path, settings=settings)
    report = check_file(path, settings=settings)
    assert path.name == "owner--set.parquet" and report.classes == {"bad": 28, "good": 28}
    assert ({name: sum(counts.values()) for name, counts in report.splits.items()}
            == {"train": 40, "validation": 6, "test": 10})


def test_pictures_become_a_folder_with_a_table(settings: Settings, tmp_path: Path,
                                               picture: Callable[..., bytes]) -> None:
    features = datasets.Features({"image": datasets.Image(), "label": datasets.ClassLabel(names=["cat", "dog"])})
    drawn = [Image.open(io.BytesIO(picture(i))) for i in range(24)]
    part = datasets.Dataset.from_dict({"image": drawn, "label": [i % 2 for i in range(24)]}, features=features)
    report = check_file(hub.load(lambda: part, name="owner/pets", dest=tmp_path, settings=settings), settings=settings)
    assert report.classes == {"cat": 12, "dog": 12} and report.rows_read == report.rows_kept == 24
    assert report.columns == {"picture": "image", "label": "label"}


def test_faults_of_the_library_and_too_many_rows(settings: Settings, tmp_path: Path) -> None:
    def fail() -> None:
        raise ValueError("BuilderConfig 'x' not found. Available: ['a', 'b']")

    with pytest.raises(FetchError) as caught:
        hub.load(fail, name="owner/set", dest=tmp_path, settings=settings)
    assert "Available" in caught.value.why
    part = datasets.Dataset.from_dict({"text": ["a"] * 20, "label": ["b"] * 20})
    with pytest.raises(DataError, match="more than the limit of 10"):
        hub.load(lambda: part, name="owner/set", dest=tmp_path, settings=Settings(home=settings.home, max_rows=10))
