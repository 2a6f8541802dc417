"""The cache folder: leases, eviction, damage; and filling, reading and evicting against each other in several
processes."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from core import cache
from core.features.row_store import CacheDamageError, RowStore

ROWS, WIDTH = 12, 5
OFFSETS = np.concatenate([[0], np.cumsum(np.arange(ROWS) % 3 + 1)])


def value(key: int, row: int) -> np.ndarray:
    """What row `row` of store `key` holds: never zero."""
    return np.full((row % 3 + 1, WIDTH), 1000 * key + row + 1, np.float32)


def store(root: Path, key: int) -> RowStore:
    return RowStore(root, "features", key={"n": key}, offsets=OFFSETS, width=WIDTH)


def fill(found: RowStore, key: int, rows: np.ndarray) -> int:
    """Fill what is missing; how many rows that were."""
    with found.lock():
        todo = found.missing(rows)
        for row in todo:
            found.write(int(row), value(key, int(row)))
        found.mark(todo)
    return len(todo)


def check(found: RowStore, key: int, rows: np.ndarray) -> None:
    for row in rows:
        assert np.array_equal(found.read(int(row)), value(key, int(row)))


EVERY = np.arange(ROWS)


def test_rows_are_computed_once(tmp_path: Path) -> None:
    one = store(tmp_path, 1)
    assert fill(one, 1, EVERY[:7]) == 7 and fill(one, 1, EVERY) == ROWS - 7
    one.close()
    again = store(tmp_path, 1)
    assert fill(again, 1, EVERY) == 0
    check(again, 1, EVERY)


def test_a_row_that_is_not_there_is_never_read_as_zeros(tmp_path: Path) -> None:
    one = store(tmp_path, 1)
    fill(one, 1, EVERY[:3])
    with pytest.raises(CacheDamageError, match="Resume"):
        one.read(5)


def test_a_row_that_another_process_filled_is_found(tmp_path: Path) -> None:
    early, late = store(tmp_path, 1), store(tmp_path, 1)
    fill(late, 1, EVERY)
    check(early, 1, EVERY)


@hypothesis_settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_whatever_is_damaged_is_computed_again(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    root = tmp_path_factory.mktemp("cache")
    one = store(root, 1)
    fill(one, 1, EVERY)
    one.close()
    path = data.draw(st.sampled_from(sorted(one.folder.iterdir())))
    content = bytearray(path.read_bytes())
    kind = data.draw(st.sampled_from(["flip", "cut", "longer", "empty", "gone"]))
    place = data.draw(st.integers(0, len(content) - 1))
    if kind == "flip":
        content[place] ^= 1 << data.draw(st.integers(0, 7))
    elif kind == "gone":
        path.unlink()
    if kind != "gone":
        path.write_bytes({"flip": bytes(content), "cut": bytes(content[:place]), "longer": bytes(content) + b"\0",
                          "empty": b""}[kind])
    again = store(root, 1)
    fill(again, 1, EVERY)
    check(again, 1, EVERY)


def test_a_row_that_is_damaged_while_it_is_used_is_not_used(tmp_path: Path) -> None:
    one = store(tmp_path, 1)
    fill(one, 1, EVERY)
    with (one.folder / "values.bin").open("r+b") as file:
        file.seek(3)
        file.write(b"x")
    with pytest.raises(CacheDamageError):
        one.read(0)
    check(one, 1, EVERY[1:])
    assert list(one.missing(EVERY)) == [0]


def test_entries_in_use_and_entries_being_filled_are_not_evicted(tmp_path: Path) -> None:
    used, filled, idle = store(tmp_path, 1), store(tmp_path, 2), store(tmp_path, 3)
    for key, one in enumerate((used, filled, idle), 1):
        fill(one, key, EVERY)
    filled.close()
    idle.close()
    with filled.lock():
        assert cache.evict(tmp_path, 0) > 0
    assert used.folder.is_dir() and filled.folder.is_dir() and not idle.folder.exists()
    check(used, 1, EVERY)
    used.close()
    cache.evict(tmp_path, 0)
    assert not used.folder.exists() and not filled.folder.exists()


def test_least_recently_used_goes_first_and_only_as_much_as_needed(tmp_path: Path) -> None:
    folders = []
    for key in (1, 2, 3):
        one = store(tmp_path, key)
        fill(one, key, EVERY)
        one.close()
        os.utime(one.folder / "key.json", (1000 * key, 1000 * key))
        folders.append(one.folder)
    size = sum(path.stat().st_size for path in folders[0].iterdir())
    assert cache.evict(tmp_path, 2 * size) == size
    assert [folder.exists() for folder in folders] == [False, True, True]


def test_a_lease_ends_with_its_process(tmp_path: Path) -> None:
    code = (f"import sys; sys.path.insert(0, {str(Path(__file__).parents[2])!r})\nimport os, signal\nfrom "
            f"pathlib import Path\nfrom tests.unit import test_cache as t\none = t.store(Path({str(tmp_path)!r}), 1); "
            "t.fill(one, 1, t.EVERY)\nos.kill(os.getpid(), signal.SIGKILL)\n")
    assert subprocess.run([sys.executable, "-c", code], check=False, timeout=60).returncode < 0
    folder = cache.folder_of(tmp_path, "features", {"n": 1})
    assert list(folder.parent.glob("*.lease-*"))
    assert cache.evict(tmp_path, 0) > 0 and not folder.exists()
    assert not list(folder.parent.glob("*.lease-*"))


def test_what_killed_processes_left_is_swept(tmp_path: Path) -> None:
    one = store(tmp_path, 1)
    fill(one, 1, EVERY)
    grave, old, new = tmp_path / "features" / ".deleted-x", one.folder / "a.tmp", one.folder / "b.tmp.npy"
    (grave / "inner").mkdir(parents=True)
    for path in (old, new):
        path.touch()
    os.utime(old, (1, 1))
    cache.evict(tmp_path, 10**9)
    assert not grave.exists() and not old.exists() and new.exists()
    assert time.time() - new.stat().st_mtime < cache.STRAY_S


@pytest.mark.slow
def test_filling_reading_and_evicting_against_each_other(tmp_path: Path) -> None:
    """Four processes fill and read five stores while two evict everything, all the time: no value is ever wrong,
    nothing fails."""
    worker = (f"import sys; sys.path.insert(0, {str(Path(__file__).parents[2])!r})\nimport numpy as np\nfrom "
              f"pathlib import Path\nfrom tests.unit import test_cache as t\nroot = Path({str(tmp_path)!r}); random = "
              "np.random.default_rng(int(sys.argv[1]))\ncomputed = 0\n"
              "for _ in range(150):\n"
              "    key = int(random.integers(1, 6)); rows = np.sort(random.permutation(t.ROWS)[:8])\n"
              "    one = t.store(root, key); computed += t.fill(one, key, rows)\n"
              "    for _ in range(3):\n        t.check(one, key, rows)\n"
              "    one.close()\n"
              "print(computed)\n")
    evictor = (f"import sys; sys.path.insert(0, {str(Path(__file__).parents[2])!r})\nfrom pathlib import Path\nfrom "
               "core import cache\nimport time\nfreed = 0\n"
               f"for _ in range(300):\n    freed += cache.evict(Path({str(tmp_path)!r}), 0); "
               "time.sleep(0.005)\nprint(freed)\n")
    commands = [[sys.executable, "-c", worker, str(seed)] for seed in range(4)] + [[sys.executable, "-c", evictor]] * 2
    children = [subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
                for command in commands]
    results = [child.communicate(timeout=120) for child in children]
    assert [child.returncode for child in children] == [0] * 6, [error for _, error in results]
    computed, freed = ([int(out) for out, _ in results[start:stop]] for start, stop in ((0, 4), (4, 6)))
    assert sum(freed) > 0 and sum(computed) > 5 * ROWS, "entries were evicted and filled again while others used theirs"


def test_arrays_come_back_whole_or_not_at_all(tmp_path: Path) -> None:
    folder = tmp_path / "tokens" / "k"
    assert cache.load_arrays(folder, ("ids",)) is None
    cache.save_arrays(folder, {"ids": np.arange(9, dtype=np.int32), "offsets": np.array([0, 9])})
    found = cache.load_arrays(folder, ("ids", "offsets"))
    assert found is not None and list(found["ids"]) == list(range(9))
    content = bytearray((folder / "ids.npy").read_bytes())
    content[-2] ^= 4
    (folder / "ids.npy").write_bytes(content)
    assert cache.load_arrays(folder, ("ids", "offsets")) is None


def test_damaged_features_and_reports_are_made_again(tmp_path: Path) -> None:
    from core.analysis import report_cache
    from core.analysis.feature_files import BlockFeatures
    from core.errors import NotFoundError

    path = tmp_path / "features.safetensors"
    features = BlockFeatures(row_ids=np.arange(4), blocks={"block 0": np.arange(8.0).reshape(4, 2)})
    for place in (5, -3):  # in the header, in a value
        features.save(path)
        content = bytearray(path.read_bytes())
        content[place] ^= 1
        path.write_bytes(content)
        with pytest.raises(NotFoundError, match="gone or damaged"):
            BlockFeatures.load(path)
        assert not path.exists()
    made: list[int] = []

    def make() -> dict[str, object]:
        made.append(1)
        return {"numbers": np.arange(3), "text": "words 12345"}

    folder = tmp_path / "shift" / "k"
    kept = report_cache._kept(folder, "report", dict, make)
    assert list(kept["numbers"]) == [0, 1, 2] and len(made) == 1
    for name, old, new in (("report.json", b"12345", b"12945"), ("report.npz", b"PK", b"PX"),
                           ("report.json", b"{", b"")):
        file = folder / name
        file.write_bytes(file.read_bytes().replace(old, new, 1))
        report_cache._read.cache_clear()
        before = len(made)
        assert report_cache._kept(folder, "report", dict, make)["text"] == "words 12345"
        assert len(made) == before + 1


def test_an_entry_is_made_once_however_many_ask_at_once(tmp_path: Path) -> None:
    folder, made = tmp_path / "kind" / "key", []

    def read() -> str | None:
        path = folder / "value.txt"
        return path.read_text() if path.is_file() else None

    def make() -> str:
        made.append(1)
        time.sleep(0.05)  # long enough for the others to come
        folder.mkdir(parents=True)
        (folder / "value.txt").write_text("the value")
        return "the value"

    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda _: cache.kept(folder, read, make), range(4)))
    assert found == ["the value"] * 4 and made == [1]


def test_an_entry_that_is_gone_right_after_it_was_made_is_still_answered(tmp_path: Path) -> None:
    assert cache.kept(tmp_path / "kind" / "key", lambda: None, lambda: "made") == "made"
