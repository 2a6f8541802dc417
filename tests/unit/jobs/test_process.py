"""Identity of processes and what their children are given."""

from __future__ import annotations

import os
import platform
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from core import settings as settings_module
from core.jobs import process
from core.settings import Settings

SLEEP = [sys.executable, "-c", "import time; time.sleep(60)"]


def test_a_process_is_itself_and_no_other() -> None:
    me = process.myself()
    assert process.alive(me.pid, me.started, me.birth)
    assert process.alive(me.pid, me.started), "as an older version noted it"
    assert not process.alive(me.pid, me.started - 3600), "the same number, given to another process"
    assert not process.alive(me.pid, me.started, "another boot:1") or me.birth is None
    assert not process.alive(1, process.start_time(1)), "process 1 is never a worker"
    assert not process.alive(None, None)


@pytest.mark.skipif(process.boot_id() is None, reason="the system does not say when it was started")
@pytest.mark.parametrize("step_s", [-3600.0, -2.0, 2.0, 2.5, 86_400.0])
def test_a_change_of_the_clock_buries_nobody(monkeypatch: pytest.MonkeyPatch, step_s: float) -> None:
    child = subprocess.Popen(SLEEP, start_new_session=True)
    noted = process.identity(child.pid)
    assert noted is not None
    real = psutil.Process.create_time
    # derived from the time of day and the uptime
    monkeypatch.setattr(psutil.Process, "create_time", lambda self: real(self) + step_s)
    assert process.alive(noted.pid, noted.started, noted.birth)
    assert not process.alive(noted.pid, noted.started), "what the time of day alone would say"
    assert process.end(noted.pid, noted.started, signal.SIGKILL, noted.birth)
    child.wait(10)
    assert not process.alive(noted.pid, noted.started, noted.birth)


def test_a_process_name_may_hold_anything(tmp_path: Path) -> None:
    name = tmp_path / "a) R 1 (b"
    name.symlink_to(sys.executable)
    child = subprocess.Popen([str(name), "-c", "import time; time.sleep(60)"])
    try:
        found = process.identity(child.pid)
        assert found is not None
        assert found.birth is None or int(found.birth.rpartition(":")[2]) > 0
        assert process.alive(found.pid, found.started, found.birth)
    finally:
        child.kill()
        child.wait()


def test_a_zombie_is_dead(tmp_path: Path) -> None:
    child = process.spawn([sys.executable, "-c", ""], log=tmp_path / "log", env=os.environ)
    started = time.time()
    deadline = time.monotonic() + 20
    while process.start_time(child.pid) is not None and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not process.alive(child.pid, started)
    assert process.reap(child) == 0


def test_end_reaches_the_group_and_spares_strangers(tmp_path: Path) -> None:
    child = process.spawn(SLEEP, log=tmp_path / "log", env=os.environ)
    started = process.start_time(child.pid)
    assert started is not None
    assert not process.end(child.pid, started - 3600, signal.SIGKILL)
    assert not process.end(0, started, signal.SIGKILL) and not process.end(-1, started, signal.SIGKILL)
    assert not process.end(None, None, signal.SIGKILL)
    assert process.reap(child) is None
    assert process.end(child.pid, started, signal.SIGKILL)
    assert child.wait(10) == -signal.SIGKILL


def test_a_child_in_our_own_group_is_ended_alone() -> None:
    child = subprocess.Popen(SLEEP)
    assert process.end(child.pid, process.start_time(child.pid), signal.SIGKILL)
    assert child.wait(10) == -signal.SIGKILL


def test_settings_survive_the_way_through_the_environment(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path / "größe und so", slots=3, hub=False, cache_gb=2.5, heartbeat_s=0.25)
    assert settings_module.load(process.environment(settings, base={})) == settings


def test_threads_follow_from_the_slots(tmp_path: Path) -> None:
    assert process.threads(Settings(home=tmp_path, slots=1)) == process.cores()
    assert process.threads(Settings(home=tmp_path, slots=10_000)) == 1
    assert process.threads(Settings(home=tmp_path, slots=2, threads=7)) == 7
    assert process.worker_environment(Settings(home=tmp_path, threads=7))["OMP_NUM_THREADS"] == "7"
    assert 1 <= process.cores() <= (os.cpu_count() or 1)


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="another C library allocates otherwise")
def test_a_worker_gives_back_the_memory_of_freed_tensors(tmp_path: Path) -> None:
    """Small arrays that stay lie above large ones that were freed: a plain heap could not shrink below them."""
    script = """if True:
        import psutil, numpy
        grown = [numpy.ones(20_000_000 // 8) for _ in range(2)]  # freed: glibc takes this for the size to keep
        del grown
        before, kept = psutil.Process().memory_info().rss, []
        for _ in range(30):
            large = numpy.ones(8_000_000 // 8)
            kept.append((large, numpy.ones(1000)))
        kept = [small for _, small in kept]
        del large
        print((psutil.Process().memory_info().rss - before) / 1e6)
    """
    environment = process.worker_environment(Settings(home=tmp_path, threads=1))
    left = subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, text=True, check=True)
    assert float(left.stdout) < 20
    assert process.worker_environment(Settings(home=tmp_path))["GLIBC_TUNABLES"] == process.ALLOCATOR


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="asks glibc")
def test_feature_maps_are_kept_and_what_is_larger_is_given_back(tmp_path: Path) -> None:
    """Of 2, 3 and 8 MB: which the C library fetches from the system each time (`hblks` of mallinfo2(3))."""
    script = """if True:
        import ctypes
        from core.jobs import process
        library = ctypes.CDLL(None)
        library.malloc.restype, library.free.argtypes = ctypes.c_void_p, [ctypes.c_void_p]
        class Info(ctypes.Structure):
            _fields_ = [(name, ctypes.c_size_t) for name in (
                "arena ordblks smblks hblks hblkhd usmblks fsmblks uordblks fordblks keepcost").split()]
        library.mallinfo2.restype = Info
        def fetched(size):
            before = library.mallinfo2().hblks
            places = [library.malloc(size) for _ in range(20)]  # more than what imports may have left free in the heap
            after = library.mallinfo2().hblks
            for place in places:
                library.free(place)
            return after - before > 10
        print([fetched(size * 1_000_000) for size in (2, 3, 8)])
        process.keep_feature_maps()
        print([fetched(size * 1_000_000) for size in (2, 3, 8)])
    """
    environment = process.worker_environment(Settings(home=tmp_path, threads=1))
    said = subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, text=True, check=True,
                          cwd=process.ROOT)
    assert said.stdout.split("\n")[:2] == ["[True, True, True]", "[False, False, True]"]


def test_counting_memory_kills_never_fails() -> None:
    assert process.oom_kills() >= 0
