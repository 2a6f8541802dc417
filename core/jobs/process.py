"""Processes: who they are, whether they live, how to end them, and what the machine offers them."""

from __future__ import annotations

import contextlib
import ctypes
import functools
import logging
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

import psutil

from core.settings import Settings, as_environment

ROOT = Path(__file__).resolve().parents[2]
"""The folder that holds the package `core`."""

NICENESS = 10
"""Of workers, beside 0 of the pages (`nice`(1))."""
ALLOCATOR = "glibc.malloc.mmap_threshold=1048576:glibc.malloc.hugetlb=1"
"""Of workers: memory of tensors goes back to the system when they are freed, and comes in huge pages where the system
gives them on request. glibc alone keeps what is freed below 32 MB: MiniLM over texts of 512 tokens held 503 MB and
kept 295, so 294 and 100."""
_MMAP_THRESHOLD = -3
"""The parameter of mallopt(3)."""
_PICTURES_MMAP_BYTES = 2**22
"""Fetching and clearing pages for tensors of 1 to 4 MB took a fifth of a run in which all of EfficientNet-Lite0 trains;
kept, they cost no memory at its peak, where up to 16 MB kept took a third more. Texts take more already at 4 MB."""
_SAME_START_S = 2.0
"""Start times are derived from the boot time, which a clock correction can move a little."""


def keep_feature_maps() -> None:
    """From here on this process keeps freed tensors of up to 4 MB for the next ones, against `ALLOCATOR`: for networks
    of convolutions. Nothing happens where the C library is not glibc."""
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).mallopt(_MMAP_THRESHOLD, _PICTURES_MMAP_BYTES)


@functools.cache
def host() -> str:
    """Names the space in which process numbers mean something: machine, and container where there is one."""
    with contextlib.suppress(OSError):
        return f"{socket.gethostname()}/{os.readlink('/proc/self/ns/pid')}"
    return socket.gethostname()


@dataclass(frozen=True, kw_only=True)
class Identity:
    """Which process it is: numbers are given out again, so the start belongs to it."""

    pid: int
    started: float
    """Unix time, derived from a clock that can be set: for rows of older versions, and where there is no `birth`."""
    birth: str | None
    """Boot id of the machine and start in ticks since then, which no clock moves; None where it is not told."""


def identity(pid: int) -> Identity | None:
    """A living process; None when it is dead."""
    started = start_time(pid)
    return None if started is None else Identity(pid=pid, started=started, birth=birth(pid))


def start_time(pid: int) -> float | None:
    """Unix time at which a living process started; None when it is dead (a zombie is dead)."""
    try:
        process = psutil.Process(pid)
        return None if process.status() == psutil.STATUS_ZOMBIE else float(process.create_time())
    except psutil.NoSuchProcess:
        return None
    except psutil.AccessDenied:
        return 0.0


def birth(pid: int) -> str | None:
    """Boot id and start ticks of a living process, from proc(5); None when it is dead or there is no such file."""
    boot = boot_id()
    if boot is None:
        return None
    try:
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
    except OSError:
        return None
    # Fields 3 (state) and 22 (starttime); the name before them may hold anything.
    return None if fields[0] in ("Z", "X") else f"{boot}:{fields[19]}"


@functools.cache
def boot_id() -> str | None:
    """Names the present run of the machine; None where the system does not say."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:
        return None


def uptime() -> float:
    """Seconds on a clock that all processes of the machine share, that nobody sets, and that stands while it sleeps."""
    return time.monotonic()


def alive(pid: int | None, started: float | None, birth_was: str | None = None) -> bool:
    """Whether the very process that started then still lives; a process number that was given out again does not count.

    Where its birth was noted, only that counts: after a change of the clock, times of start differ from those noted.
    """
    if pid is None or pid <= 1:
        return False
    if birth_was and boot_id() is not None:
        return birth(pid) == birth_was
    found = start_time(pid)
    return found is not None and started is not None and abs(found - started) < _SAME_START_S


def myself() -> Identity:
    """This process."""
    return Identity(pid=os.getpid(), started=float(psutil.Process().create_time()), birth=birth(os.getpid()))


def end(pid: int | None, started: float | None, number: signal.Signals, birth_was: str | None = None) -> bool:
    """Send a signal to a worker's process group, never to pid <= 1, a stranger or our own group; False if not sent."""
    if pid is None or not alive(pid, started, birth_was):
        return False
    with contextlib.suppress(ProcessLookupError):
        if os.getpgid(pid) == pid != os.getpgrp():
            os.killpg(pid, number)
        elif pid != os.getpid():
            os.kill(pid, number)
        return True
    return False


def reap(child: subprocess.Popen[bytes]) -> int | None:
    """Exit code of an ended child (negative: the signal), or None while it lives.

    What it left behind in its group is ended first: until it is reaped, its number cannot be given to another process.
    """
    if child.returncode is None and child.pid > 1:
        with contextlib.suppress(ChildProcessError):
            if os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None:
                return None
        end_group(child.pid)
    return child.poll()


def end_group(leader: int) -> None:
    """End whatever is left of the process group of a child that is not yet reaped."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(leader, signal.SIGKILL)


def cores() -> int:
    """Processors this process may use: affinity and, in a container, its share."""
    found = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    for quota_file, period_file in (("cpu.max", None), ("cpu/cpu.cfs_quota_us", "cpu/cpu.cfs_period_us")):
        with contextlib.suppress(OSError, ValueError, IndexError):
            parts = Path("/sys/fs/cgroup", quota_file).read_text(encoding="ascii").split()
            if period_file is not None:
                parts[1:] = [Path("/sys/fs/cgroup", period_file).read_text(encoding="ascii")]
            period = int(parts[1])
            if int(parts[0]) > 0:
                found = min(found, max(1, round(int(parts[0]) / period)))
    return max(1, found)


def threads(settings: Settings) -> int:
    """Threads one run may use: as set, or the cores shared between the slots."""
    return settings.threads or max(1, cores() // max(1, settings.slots))


def environment(settings: Settings, base: Mapping[str, str] | None = None) -> dict[str, str]:
    """The environment of a child that must see the same settings as we do."""
    inherited = os.environ if base is None else base
    return {**inherited, **as_environment(settings), "PYTHONUNBUFFERED": "1", "PYTHONUTF8": "1"}


def worker_environment(settings: Settings) -> dict[str, str]:
    """The environment of a worker: its threads follow from the slots, not from the machine; tensors are given back."""
    count = str(threads(settings))
    names = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMEXPR_NUM_THREADS", "RAYON_NUM_THREADS")
    tokenizers = "true" if count != "1" else "false"
    return {"GLIBC_TUNABLES": ALLOCATOR, **environment(settings), **dict.fromkeys(names, count),
            "TOKENIZERS_PARALLELISM": tokenizers}


def spawn(command: Sequence[str], *, log: Path, env: Mapping[str, str]) -> subprocess.Popen[bytes]:
    """Start a detached child: a session of its own, no terminal, everything it prints appended to `log`."""
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as output:
        return subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT, cwd=ROOT,
                                env=dict(env), start_new_session=True)


def give_way() -> None:
    """Lower this process's priority: it gets all that is idle, but whoever looks at pages meanwhile goes first."""
    me = psutil.Process()
    with contextlib.suppress(psutil.Error):
        me.nice(psutil.BELOW_NORMAL_PRIORITY_CLASS if sys.platform == "win32" else max(NICENESS, me.nice()))


def python(module: str, *args: str) -> list[str]:
    """The command that runs a module of this package."""
    return [sys.executable, "-m", module, *args]


def oom_kills() -> int:
    """How often the system has ended a process for lack of memory, in our container or on the machine; 0 if unknown."""
    places = [Path("/sys/fs/cgroup/memory.events"), Path("/sys/fs/cgroup/memory/memory.oom_control"),
              Path("/proc/vmstat")]
    with contextlib.suppress(OSError):
        for line in Path("/proc/self/cgroup").read_text(encoding="ascii").splitlines():
            _, controllers, path = line.split(":", 2)
            if controllers == "":
                places.append(Path(f"/sys/fs/cgroup{path}/memory.events"))
            elif "memory" in controllers.split(","):
                places.append(Path(f"/sys/fs/cgroup/memory{path}/memory.oom_control"))
    total = 0
    for place in dict.fromkeys(places):
        with contextlib.suppress(OSError):
            for line in place.read_text(encoding="ascii").splitlines():
                name, _, value = line.partition(" ")
                total += int(value) if name == "oom_kill" else 0
    return total


def memory_is_limited() -> bool:
    """Whether this process and its children may have only so much memory, by a limit such as `ulimit -v` sets."""
    try:
        import resource
    except ImportError:  # Windows
        return False
    kinds = (resource.RLIMIT_AS, resource.RLIMIT_DATA)
    return any(resource.getrlimit(kind)[0] != resource.RLIM_INFINITY for kind in kinds)


def leave(status: int) -> NoReturn:
    """End at once: all is recorded, and taking torch apart can hold the memory that the next run needs for seconds."""
    logging.shutdown()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)
