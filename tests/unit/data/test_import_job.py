"""The import job: what a worker does with a file, seen from the observer, the folder and the workspace."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from itertools import groupby
from pathlib import Path
from typing import Any

import pytest

from core.data import hub, import_job, library, uploads
from core.data.check import Options
from core.data.report import ImportReport
from core.domain.run import Phase
from core.errors import DataError, FetchError
from core.settings import Settings

File = Callable[[str, str], Path]


class Watcher:
    """An observer that remembers what it was told, and asks to stop after so many progress reports."""

    def __init__(self, stop_after: int | None = None) -> None:
        self.phases: list[Phase] = []
        self.told: list[tuple[float, float | None, str, str]] = []
        self._stop_after = stop_after

    def phase(self, phase: Phase) -> None:
        self.phases.append(phase)

    def progress(self, done: float, total: float | None, unit: str, note: str = "") -> None:
        self.told.append((done, total, unit, note))

    def step(self, **data: Any) -> None: ...

    def evaluation(self, **data: Any) -> None: ...

    def note(self, text: str) -> None: ...

    def should_stop(self) -> bool:
        return self._stop_after is not None and len(self.told) >= self._stop_after


def rows(n: int, *, word: str = "row") -> str:
    return "text,label\n" + "".join(f"{word} number {i} says something of its own,{'ab'[i % 2]}\n" for i in range(n))


def do(payload: dict[str, Any], settings: Settings, folder: Path, observer: Watcher | None = None) -> dict[str, Any]:
    through_json = json.loads(json.dumps(payload))
    return import_job.run(through_json, settings=settings, workspace="w", folder=folder, observer=observer or Watcher())


def test_a_file_becomes_a_dataset_with_progress_and_a_report(file: File, settings: Settings, tmp_path: Path) -> None:
    watcher = Watcher()
    result = do(import_job.payload(path=file("a.csv", rows(60)), name="Mine"), settings, tmp_path / "job", watcher)
    dataset = library.load(result["dataset"], settings=settings, workspace="w")
    assert (dataset.name, dataset.rows_kept, result["rows_read"], result["rows_kept"]) == ("Mine", 60, 60, 60)
    report = ImportReport.from_json(json.loads((tmp_path / "job" / import_job.REPORT).read_text()))
    assert report == library.read_report(dataset, settings=settings, workspace="w")
    assert watcher.phases == [Phase.PREPARING]
    steps = [note for note, _ in groupby(note for *_, note in watcher.told)]
    assert len(steps) == len(set(steps)), "a step that is over does not come back"
    assert {"reading rows", "looking for duplicates", "checking", "writing"} <= {note for *_, note in watcher.told}


def test_pictures_report_how_many_are_done(picture: Callable[..., bytes], archive: Callable[..., Path],
                                           settings: Settings, tmp_path: Path) -> None:
    path = archive({f"{'cat' if i % 2 else 'dog'}/{i}.png": picture(i) for i in range(120)})
    watcher = Watcher()
    result = do(import_job.payload(path=path, name="Pets"), settings, tmp_path / "job", watcher)
    assert result["rows_kept"] == 120
    assert ((50, 120, "pictures", "reading pictures") in watcher.told
            and (120, 120, "pictures", "reading pictures") in watcher.told)


def test_roles_options_and_report_only(file: File, settings: Settings, tmp_path: Path) -> None:
    labels = ["Yes" if i % 2 else " yes" if i % 4 else "no" for i in range(40)]
    path = file("a.csv",
                "x,y,z\n" + "".join(f"some words {i},other words {i},{label}\n" for i, label in enumerate(labels)))
    payload = import_job.payload(path=path, name="n", roles={"x": "ignore", "y": "text", "z": "label"},
                                 options=Options(merge_labels=True, fractions=(0.5, 0.25, 0.25)), keep=False)
    result = do(payload, settings, tmp_path / "job")
    assert result["dataset"] is None and not library.list_datasets(settings=settings, workspace="w")
    report = ImportReport.from_json(json.loads((tmp_path / "job" / import_job.REPORT).read_text()))
    assert report.columns == {"x": "ignore", "y": "text", "z": "label"} and set(report.classes) == {"Yes", "no"}
    assert sum(report.splits["train"].values()) == 20


def test_refused_rows_leave_the_report(file: File, settings: Settings, tmp_path: Path) -> None:
    path = file("one.csv", "text,label\n" + "".join(f"words {i},same\n" for i in range(20)))
    with pytest.raises(DataError, match="same label"):
        do(import_job.payload(path=path, name="x"), settings, tmp_path / "job")
    report = ImportReport.from_json(json.loads((tmp_path / "job" / import_job.REPORT).read_text()))
    assert [finding.code for finding in report.errors] == ["one-class"]


def test_a_stop_keeps_nothing(file: File, settings: Settings, tmp_path: Path) -> None:
    path = file("a.csv", rows(60))
    result = do(import_job.payload(path=path, name="x"), settings, tmp_path / "job", Watcher(stop_after=3))
    assert result == {"stopped": True, "dataset": None}
    assert not library.list_datasets(settings=settings, workspace="w")


def test_the_rows_can_become_a_shift_set(file: File, settings: Settings, tmp_path: Path) -> None:
    base = do(import_job.payload(path=file("a.csv", rows(60)), name="base"), settings, tmp_path / "1")["dataset"]
    result = do(import_job.payload(path=file("b.csv", rows(30, word="tale")), name="other", shift_of=base), settings,
                tmp_path / "2")
    dataset = library.load(result["dataset"], settings=settings, workspace="w")
    assert (dataset.rows("shift"), dataset.rows_kept, result["unmatched"]) == (30, 90, {})


def test_uploads_are_removed_and_own_files_stay(settings: Settings, file: File, tmp_path: Path) -> None:
    uploads = settings.workspace("w") / "uploads" / "abc"
    uploads.mkdir(parents=True)
    (uploads / "a.csv").write_text(rows(30))
    do(import_job.payload(path=uploads / "a.csv", name="x", discard=True), settings, tmp_path / "1")
    assert not uploads.exists()
    own = file("own.csv", rows(40))
    do(import_job.payload(path=own, name="y", discard=True), settings, tmp_path / "2")
    assert own.is_file()


def test_a_hub_set_without_a_hub_says_why(settings: Settings, tmp_path: Path) -> None:
    off = Settings(home=settings.home, hub=False)
    payload = import_job.payload(hub_set={"id": "fancyzhx/ag_news", "configuration": None, "split": "train"}, name="x")
    with pytest.raises(FetchError) as caught:
        do(payload, off, tmp_path / "job")
    assert "THAW_HUB" in caught.value.why and caught.value.remedy


def test_a_hub_set_becomes_an_upload_that_keeps_its_origin(settings: Settings, tmp_path: Path,
                                                           monkeypatch: pytest.MonkeyPatch) -> None:
    """`datasets` is replaced at its boundary: no hub can be asked in a test."""
    import datasets

    part = datasets.Dataset.from_dict({"text": [f"sentence {i} of its own" for i in range(40)],
                                       "label": ["a", "b"] * 20})
    monkeypatch.setattr(hub, "unavailable", lambda settings: None)
    monkeypatch.setattr(hub, "_load_dataset", lambda *wanted: part)
    # what comes from the hub is no upload: this limit is not for it
    small = Settings(home=settings.home, max_upload_mb=0)
    path = Path(do(import_job.payload(hub_set={"id": "owner/set", "configuration": None, "split": None}), small,
                   tmp_path / "1")["path"])
    assert path.parent.parent == uploads.folder(settings,
                                                "w") and uploads.origin(path) == {"id": "owner/set",
                                                                                  "configuration": None, "split": None}
    done = do(import_job.payload(path=path, name="mine", discard=True), small, tmp_path / "2")
    assert library.load(done["dataset"], settings=settings, workspace="w").source == "owner/set"
    assert not path.parent.exists()

    def fail(*wanted: object) -> None:
        raise ConnectionError("gone")

    monkeypatch.setattr(hub, "_load_dataset", fail)
    with pytest.raises(FetchError):
        do(import_job.payload(hub_set={"id": "owner/set", "configuration": None, "split": None}), small, tmp_path / "3")
    assert not list(uploads.folder(settings, "w").iterdir())


def test_importing_never_imports_torch(file: File, settings: Settings, tmp_path: Path) -> None:
    code = ("import sys\nfrom pathlib import Path\nfrom core.settings import Settings\nfrom core.data "
            "import import_job\nsys.path.insert(0, str(Path('tests/unit/data')))\nfrom test_import_job import Watcher\n"
            f"import_job.run(import_job.payload(path=Path({str(file('a.csv', rows(60)))!r}), name='x'), "
            f"settings=Settings(home=Path({str(settings.home)!r})), workspace='w', folder=Path({str(tmp_path)!r}), "
            "observer=Watcher())\nassert 'torch' not in sys.modules and 'datasets' not in sys.modules, 'loaded'")
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
