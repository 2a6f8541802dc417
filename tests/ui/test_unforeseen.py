"""Whatever is raised between page and data becomes an error in three parts on the page, with its traceback in a log
that is named."""

from __future__ import annotations

import ast
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from core import files, logs
from core.api import Data, Experiments, Features, Models, Runs, Thaw
from core.errors import ThawError
from pages._ui.sitemap import PAGES
from tests.conftest import WORKSPACE, write_dataset
from tests.ui.conftest import put_facts, put_runs, shown

FILES = Path(__file__).resolve().parents[2] / "pages"
PARTS = (Thaw, Data, Models, Runs, Experiments, Features)
METHODS = [(part, name) for part in PARTS for name in vars(part) if not name.startswith("_")
           and name != "ensure_supervisor"]


class Oddity(Exception):
    """An error that nobody thought of."""


@pytest.fixture
def everything(settings: Any) -> dict[str, dict[str, str]]:
    """A workspace in which every page has something to show: page -> the parameters that it needs."""
    dataset = write_dataset(settings, n_rows=90)
    put_facts(settings)
    ended = put_runs(settings, dataset)
    experiment = Thaw(settings).runs.get(WORKSPACE, ended.failed).experiment
    return {"dataset": {"dataset": dataset.id}, "run": {"run": ended.done[1]},
            "experiment": {"experiment": str(experiment)}}


def assert_told(at: AppTest, settings: Any, log: str = logs.WEB) -> None:
    assert not at.exception, at.exception
    told = " ".join(str(error.value) for error in at.error).replace("\\", "")
    assert "Oddity" in told and log in told, told
    assert "Something went wrong" in told and "please report" in told, "all three parts"
    assert "Traceback" not in shown(at)
    written = (settings.home / log).read_text(encoding="utf-8")
    assert "Traceback (most recent call last)" in written and "Oddity" in written


@pytest.mark.parametrize("page", list(PAGES))
def test_every_call_that_a_page_makes_may_fail(app: Callable[..., AppTest], everything: dict[str, dict[str, str]],
                                               settings: Any, page: str, monkeypatch: pytest.MonkeyPatch) -> None:
    called: set[tuple[type, str]] = set()
    with monkeypatch.context() as watching:
        real = {(part, name): getattr(part, name) for part, name in METHODS}
        for part, name in METHODS:
            def note(self: Any, *args: Any, _which: tuple[type, str] = (part, name), **fields: Any) -> Any:
                called.add(_which)
                return real[_which](self, *args, **fields)

            watching.setattr(part, name, note)
        at = app(page, **everything.get(page, {}))
        if page != "home":  # which `app` opens first
            called.clear()
            at.run()
        assert not at.exception
    assert called >= {(Thaw, "troubles")}, "the page asked nothing: this test would test nothing"
    for number, (part, name) in enumerate(sorted(called, key=str)):
        def fail(self: Any, *args: Any, _number: int = number, **fields: Any) -> Any:
            raise Oddity(f"{page} {_number}")

        with monkeypatch.context() as broken:
            broken.setattr(part, name, fail)
            assert_told(app(page, **everything.get(page, {})), settings)


@pytest.mark.parametrize(("page", "key", "part", "method"), [
    ("experiment", "duplicate", Experiments, "default_recipe"),
    ("run", "stop", Runs, "stop"), ("run", "resume", Runs, "resume"), ("train", "start", Experiments, "submit"),
    ("home", "first_comparison", Experiments, "compare_bundled"), ("data", "add_bbc-news", Models, "prepare")])
def test_every_click_may_fail(app: Callable[..., AppTest], everything: dict[str, dict[str, str]], settings: Any,
                              page: str, key: str, part: type, method: str, monkeypatch: pytest.MonkeyPatch) -> None:
    address = everything.get(page, {})
    if key in ("stop", "resume"):
        from core.store import Store
        run = next(run for run in Store(settings).jobs.list(WORKSPACE) if run.failure)
        if key == "stop":
            Store(settings).queue.resume(WORKSPACE, run.id)
        address = {"run": run.id}
    at = app(page, **address)

    def fail(self: Thaw, *args: Any, **fields: Any) -> Any:
        raise Oddity(f"{page} {key}")

    monkeypatch.setattr(part, method, fail)
    at.button(key=key).click().run()
    assert_told(at, settings)


def test_a_callback_may_fail(app: Callable[..., AppTest], everything: dict[str, dict[str, str]], settings: Any,
                             monkeypatch: pytest.MonkeyPatch) -> None:
    from pages._ui.train import freeze_grid

    def fail(*args: Any) -> None:
        raise Oddity("in a callback")

    monkeypatch.setattr(freeze_grid, "_apply", fail)
    at = app("train")
    at.button(key="preset_Lower half").click().run()
    assert_told(at, settings)
    assert at.title[0].value == "Train", "the page is drawn all the same"
    at.run()
    assert not at.error, "told once"


def _page_with_a_failing_fragment() -> None:
    from pages._ui import guard

    class Oddity(Exception):
        pass

    def draw() -> None:
        raise Oddity("in a fragment")

    guard.fragment(draw)()
    guard.fragment(lambda: __import__("streamlit").markdown("the rest is there"))()


def test_a_fragment_may_fail_by_itself(cold: None, settings: Any) -> None:
    at = AppTest.from_function(_page_with_a_failing_fragment, default_timeout=90).run()
    assert_told(at, settings)
    assert "the rest is there" in shown(at)


def _page_with_a_failing_download() -> None:
    import streamlit as st

    from pages._ui import guard

    class Oddity(Exception):
        pass

    def make() -> bytes:
        raise Oddity("while making a file")

    guard.show_pending()
    call = guard.made(make)
    if st.button("Make it", key="make"):
        st.session_state["file"] = call()


def test_a_download_may_fail(cold: None, settings: Any) -> None:
    at = AppTest.from_function(_page_with_a_failing_download, default_timeout=90).run()
    at.button(key="make").click().run()
    assert "could not be made" in at.session_state["file"] and logs.WEB in at.session_state["file"]
    at.run()
    assert_told(at, settings)


def test_nothing_on_a_page_runs_unguarded() -> None:
    """Streamlit runs these on their own, outside the page that drew them."""
    found = []
    for path in sorted(FILES.rglob("*.py")):
        if path.name == "guard.py":
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            unguarded = ("st.fragment", "st.dialog", "st.experimental_dialog")
            if isinstance(node, ast.Attribute) and ast.unparse(node) in unguarded:
                found.append(f"{path.name}:{node.lineno} {ast.unparse(node)}")
            if isinstance(node, ast.keyword) and node.arg in ("on_click", "on_change", "on_select", "on_submit"):
                safe = isinstance(node.value, ast.Constant) or ast.unparse(node.value).startswith("guard.callback(")
                found += [] if safe else [f"{path.name}:{node.value.lineno} {node.arg}"]
            if isinstance(node, ast.keyword) and node.arg == "data" and isinstance(node.value, ast.Lambda):
                found.append(f"{path.name}:{node.value.lineno} data=lambda")
    assert found == []


@pytest.mark.parametrize(("error", "words"), [
    (sqlite3.OperationalError("database or disk is full"), "The disk is full"),
    (OSError(28, "No room"), "The disk is full"), (sqlite3.OperationalError("database is locked"),
                                                   "database of the data folder"),
                                                   (MemoryError(), "needed more memory"),
    (ThawError("As it was said."), "As it was said")], ids=str)
def test_what_is_known_is_said_by_its_name(app: Callable[..., AppTest], settings: Any, error: Exception, words: str,
                                           monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(self: Thaw, *args: Any, **fields: Any) -> Any:
        raise error

    monkeypatch.setattr(Runs, "all", fail)
    at = app("runs")
    assert not at.exception
    assert words in at.error[0].value


@pytest.mark.parametrize("page", list(PAGES))
def test_a_full_disk_and_a_supervisor_in_trouble_are_named_on_every_page(
        app: Callable[..., AppTest], everything: dict[str, dict[str, str]], settings: Any, page: str, monkeypatch:
        pytest.MonkeyPatch) -> None:
    from core.jobs import process
    from core.store import Store

    me = process.myself()
    Store(settings).supervisors.beat("s", host=process.host(), pid=me.pid, pid_created=me.started, birth=me.birth,
                                     uptime=process.uptime(), trouble="It rains into the machine.")
    monkeypatch.setenv("THAW_MIN_FREE_MB", "1000000000")
    at = app(page, **everything.get(page, {}))
    assert not at.exception
    told = " ".join(str(error.value) for error in at.error).replace("\\", "")
    assert "The disk is nearly full" in told and "THAW_" not in told and "Delete runs" in told
    assert "It rains into the machine" in told and logs.SUPERVISOR in told


def test_a_panic_of_a_library_in_rust_is_told_like_any_other_error(
        app: Callable[..., AppTest], settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    class PanicException(BaseException):
        """Named and derived like pyo3's."""

    def fail(self: Thaw, *args: Any, **fields: Any) -> Any:
        raise PanicException("index out of bounds: Oddity")

    monkeypatch.setattr(Runs, "all", fail)
    assert_told(app("runs"), settings)


def test_a_supervisor_that_cannot_be_started_leaves_the_page(
        app: Callable[..., AppTest], everything: dict[str, dict[str, str]], settings: Any, monkeypatch:
        pytest.MonkeyPatch) -> None:
    def fail(self: Thaw) -> None:
        raise Oddity("cannot start")

    monkeypatch.setattr(Thaw, "ensure_supervisor", fail)
    at = app("runs")
    assert_told(at, settings)
    assert at.title[0].value == "Runs"


def test_an_import_that_failed_for_an_unforeseen_reason_says_where_the_details_are(
        app: Callable[..., AppTest], settings: Any) -> None:
    from core.domain.run import JobKind, Status
    from core.jobs import failures
    from core.store import Store
    from core.store.jobs import NewJob

    store = Store(settings)
    job = store.jobs.submit([NewJob(workspace=WORKSPACE, kind=JobKind.IMPORT, name="Import x",
                                    payload={"path": "/x.csv"}, runs_folder=settings.workspace(WORKSPACE) / "runs")])[0]
    claim = store.queue.claim(supervisor="s", host="h", slots=1)
    assert claim is not None
    failure = failures.from_exception(Oddity("in a worker"), log=logs.WORKER)
    store.queue.finish(job, fence=claim.fence, status=Status.FAILED, failure=failure)
    at = app("dataset", **{"import": job})
    assert not at.exception
    told = at.error[0].value + at.code[0].value  # the words of the error are one layer down
    for part in ("Something inside Thaw went wrong", "Oddity", logs.WORKER, "please report"):
        assert part in told


# -- damaged files
# ---------------------------------------------------------------------------------------------------------------------

DAMAGES = {"cut": '{"id": "x", "na', "empty": "", "another kind": "[1, 2]", "missing": "{}", "wrong types": None}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_dataset_is_named_and_deleted_and_the_others_stay(
        app: Callable[..., AppTest], everything: dict[str, dict[str, str]], settings: Any, damage: str) -> None:
    bad = write_dataset(settings, n_rows=60)
    path = settings.workspace(WORKSPACE) / "datasets" / bad.id / "dataset.json"
    path.write_text(DAMAGES[damage] if DAMAGES[damage] is not None
                    else path.read_text().replace('"counts": {', '"counts": {"x": 3, '))
    at = app("data")
    assert not at.exception and not at.error
    assert "90 texts" in shown(at) and bad.id in shown(at) and "dataset.json" in shown(at).replace("\\", "")
    for page in ("train", "home", "dataset"):
        assert not app(page, **everything.get(page, {})).exception
    opened = app("dataset", dataset=bad.id)
    assert not opened.exception and "cannot be read" in opened.error[0].value and "Delete it" in opened.error[0].value
    at.button(key=f"delete_damaged_{bad.id}").click().run()
    assert not at.exception and not at.error
    assert not path.parent.exists() and "90 texts" in shown(at) and bad.id not in shown(at)


@pytest.mark.parametrize("name", ["result.json", "recipe.json", "artifact/labels.json", "predictions-test.parquet"])
def test_a_damaged_file_of_a_run_is_named_and_takes_away_no_other(
        app: Callable[..., AppTest], everything: dict[str, dict[str, str]], settings: Any, name: str) -> None:
    run = everything["run"]["run"]
    folder = Path(Thaw(settings).runs.get(WORKSPACE, run).folder)
    (folder / name).write_text('{"metrics": {"test": {"accuracy"', encoding="utf-8")
    assert list(Thaw(settings).runs.damage(WORKSPACE, run)) == [name]
    for page in ("runs", "compare", "features", "home"):
        at = app(page)
        assert not at.exception, page
        assert all(name in error.value or page == "features"
                   for error in at.error), (page, [error.value for error in at.error])
        assert "Something went wrong" not in " ".join(error.value for error in at.error)
    assert name in shown(app("runs")).replace("\\", "") and "test accuracy 1.00" in shown(app("runs"))
    at = app("run", run=run)
    assert not at.exception
    assert name in at.error[0].value.replace("\\", "") and "delete" in at.error[0].value
    Thaw(settings).runs.delete(WORKSPACE, run)
    assert not folder.exists()


def test_a_result_of_wrong_types_is_damage(app: Callable[..., AppTest], everything: dict[str, dict[str, str]],
                                           settings: Any) -> None:
    run = everything["run"]["run"]
    path = Path(Thaw(settings).runs.get(WORKSPACE, run).folder) / "result.json"
    data = files.read_json(path)
    for change in ({"seconds": "long"}, {"metrics": {"test": {"accuracy": {"value": "high", "low": 0.0, "high": 1.0}}}},
                   {"steps": None}):
        files.write_json(path, {**data, **change})
        assert "result.json" in Thaw(settings).runs.damage(WORKSPACE, run), change
        at = app("runs")
        assert not at.exception and not at.error and "test accuracy 1.00" in shown(at)


def test_a_damaged_entry_of_the_queue_is_named_and_deleted(
        app: Callable[..., AppTest], everything: dict[str, dict[str, str]], settings: Any) -> None:
    from core.store import Store

    run = everything["run"]["run"]
    Store(settings).database.execute("UPDATE jobs SET kind = 'sculpture' WHERE id = ?", (run,))
    at = app("runs")
    assert not at.exception and not at.error
    assert "sculpture" in shown(at) and "test accuracy 1.00" in shown(at)
    for page in ("home", "compare", "features", "data", "train"):
        assert not app(page).exception
    opened = app("run", run=run)
    assert not opened.exception
    at.button(key=f"delete_damaged_{run}").click().run()
    assert not at.exception and "sculpture" not in shown(at)


def test_a_damaged_import_report_leaves_the_dataset(app: Callable[..., AppTest], everything: dict[str, dict[str, str]],
                                                    settings: Any) -> None:
    folder = settings.workspace(WORKSPACE) / "datasets" / everything["dataset"]["dataset"]
    (folder / "report.json").write_text("{", encoding="utf-8")
    at = app("dataset", **everything["dataset"])
    assert not at.exception
    assert "import report" in at.error[0].value and "90 kept" in shown(at)


def test_damaged_facts_and_device_are_measured_anew(app: Callable[..., AppTest], everything: dict[str, dict[str, str]],
                                                    settings: Any) -> None:
    for path in (*settings.assets.rglob("facts.json"), settings.home / "device.json"):
        path.write_text('{"id": ', encoding="utf-8")
    at = app("train")
    assert not at.exception and not at.error
    assert "Before the start" in shown(at)  # by what is known of a bundled model
