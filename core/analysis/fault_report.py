"""What a person may hand on about a run that went wrong: versions, device, recipe and the end of the log; nothing of
the data, no paths, no secrets."""

from __future__ import annotations

import getpass
import json
import platform
import re
import socket
from collections.abc import Collection, Iterable, Sequence
from importlib import metadata
from typing import Any

from core.domain.device import Device
from core.domain.run import Run

LINES = 40
"""Of the end of the log."""
LINE_CHARACTERS = 300
WINDOW = 4
"""So many words of a row one after another, and a line is taken to repeat it."""
SHORT_ROW = (8, 60)
"""Characters of rows that are looked for whole."""
PACKAGES = ("torch", "transformers", "peft", "bitsandbytes", "accelerate", "timm", "scikit-learn", "numpy", "pyarrow",
            "streamlit")

_HIDDEN = "[…]"
_URL = re.compile(r"\b[a-z][a-z0-9+.-]*://\S+", re.IGNORECASE)
_NAMED_SECRET = re.compile(r"(?i)\b([\w-]*(?:token|secret|passw(?:or)?d|api[_-]?key|authorization|bearer|credential))"
                           r"(\s*[=:]\s*(?:bearer\s+)?|\s+bearer\s+)\S+")
_KNOWN_SECRET = re.compile(r"\b(?:hf_|sk-|ghp_|gho_|github_pat_|xox[a-z]-|AKIA|eyJ)[\w.-]{8,}")
_LONG = re.compile(r"(?<![\w-])(?=[\w-]*\d)(?=[\w-]*[A-Za-z])[\w-]{20,}(?![\w-])")
"""Ids and keys: long, letters and digits mixed."""
_MAIL = re.compile(r"\b[\w.+-]+@[\w-]+\.[\w.]+\b")
_ADDRESS = re.compile(r"\b\d{1,3}(?:\.\d{1,3}){3}(?::\d+)?\b")
_QUOTED_PATH = re.compile(r"([\"'`])((?:~?/|[A-Za-z]:[\\/]|\\\\|\.{1,2}/)[^\"'`\n]*)\1")
_PATH = re.compile(r"(?<![\w.])(?:~?/|[A-Za-z]:[\\/]|\\\\|\.{1,2}/)[^\s\"'`,;:()\[\]<>|]+")
_RELATIVE_PATH = re.compile(r"(?<![\w/\\])(?:[\w.-]+[/\\])+[\w.-]+\.[A-Za-z]\w{0,8}\b")
_CODE = re.compile(r"(?:site-packages|dist-packages|lib/python[\d.]+)[/\\](.+\.py)$"
                   r"|(?:^|[/\\])((?:core|pages)[/\\][\w/\\.]+\.py)$")
"""Paths of code: what follows says where a fault is, and nothing of whose machine it is."""
_QUOTED = re.compile(r"([\"'`])((?:\\.|(?!\1)[^\\\n]){3,})\1")
_IDENTIFIER = re.compile(r"[A-Za-z_][\w.\-]*")


def text(run: Run, *, phase: str, device: Device | None, log: str, secrets: Collection[str] = (),
         rows: Iterable[Sequence[str]] = ()) -> str:
    """The report as plain text.

    phase: in which it ended; secrets: words that must not stand in it (the workspace's id); rows: the texts of its
    dataset, many at a time.
    """
    lines = [line for line in log.splitlines() if line.strip()][-LINES:]
    failure = run.failure
    said = [failure.what, failure.why] if failure else ["", ""]
    what, why, *ending = without_rows([clean(line, secrets) for line in [*said, *lines]], rows)
    took = f"{run.finished - run.started:.0f}" if run.finished and run.started else ""
    facts = {
        "What happened": what or f"It is {run.status.value}.", "Why": why,
        "Kind": failure.kind.value if failure else "", "State": run.status.value, "Phase": phase,
        "Attempts": str(run.attempts), "Seconds": took, "Device": _device(device), "Versions": _versions()}
    head = [f"{name}: {value}" for name, value in facts.items() if value]
    return "\n".join(["Report of a run in Thaw", "", *head, "", "Recipe:", _recipe(run), "",
                      f"The last {len(ending)} lines of its log:", *ending, ""])


def clean(line: str, secrets: Collection[str] = ()) -> str:
    """A line of a log without paths (but of code), addresses, keys, names of the machine and quoted texts."""
    for secret in filter(None, secrets):
        line = line.replace(secret, _HIDDEN)
    line = _URL.sub(_HIDDEN, line)
    line = _NAMED_SECRET.sub(rf"\1\2{_HIDDEN}", line)
    line = _KNOWN_SECRET.sub(_HIDDEN, line)
    line = _QUOTED_PATH.sub(lambda m: f"{m[1]}{_place(m[2])}{m[1]}", line)
    line = _PATH.sub(lambda m: _place(m[0]), line)
    line = _RELATIVE_PATH.sub(lambda m: m[0] if m[0].endswith(".py") else _HIDDEN, line)
    line = _MAIL.sub(_HIDDEN, line)
    line = _ADDRESS.sub(_HIDDEN, line)
    line = _QUOTED.sub(_quoted, line)
    line = _LONG.sub(_HIDDEN, line)
    for name in _machine():
        line = re.sub(rf"(?<!\w){re.escape(name)}(?!\w)", _HIDDEN, line)
    return line if len(line) <= LINE_CHARACTERS else f"{line[:LINE_CHARACTERS]} …"


def without_rows(lines: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """The lines; of one that repeats a row, or some words of a row, only the kind of its error stays."""
    found = _repeating(lines, rows)
    kinds = [re.match(r"[\w.]+:", line) for line in lines]
    return [f"{kind[0] if kind else ''} {_HIDDEN}".strip() if i in found else line
            for i, (line, kind) in enumerate(zip(lines, kinds, strict=True))]


def _repeating(lines: Sequence[str], rows: Iterable[Sequence[str]]) -> set[int]:
    """Which lines repeat what stands in a row."""
    import pyarrow as pa
    import pyarrow.compute as pc

    of_window: dict[str, set[int]] = {}
    for i, line in enumerate(lines):
        for window in _windows(line):
            of_window.setdefault(window, set()).add(i)
    pattern = "|".join(map(re.escape, of_window))
    found: set[int] = set()
    for texts in rows:
        for short in (text for text in texts if SHORT_ROW[0] <= len(text) <= SHORT_ROW[1]):
            found |= {i for i, line in enumerate(lines) if short in line}
        if pattern:
            array = pa.array(texts, pa.string())
            for text in array.filter(pc.match_substring_regex(array, pattern)).to_pylist():
                found.update(*(of for window, of in of_window.items() if window in text))
    return found


def _windows(line: str) -> list[str]:
    """Every few words of a line that stand one after another, as they stand; a place in code has none."""
    if re.match(r"\s*File \"", line):
        return []
    words = list(re.finditer(r"[^\W_]+", line))
    return [line[words[i].start():words[i + WINDOW - 1].end()] for i in range(len(words) - WINDOW + 1)]


def _place(path: str) -> str:
    found = _CODE.search(path)
    return (found[1] or found[2]) if found else _HIDDEN


def _quoted(match: re.Match[str]) -> str:
    """Quoted words stay where they are a name of something in the program."""
    inside = match[2]
    names = inside == _HIDDEN or inside.endswith(".py") or (_IDENTIFIER.fullmatch(inside) and len(inside) <= 40)
    return match[0] if names else f"{match[1]}{_HIDDEN}{match[1]}"


def _machine() -> list[str]:
    try:
        names = [getpass.getuser(), socket.gethostname()]
    except (OSError, KeyError, ImportError):
        names = [socket.gethostname()]
    return [name for name in names if len(name) > 2]


def _recipe(run: Run) -> str:
    if run.recipe is None:
        return "none"
    data: dict[str, Any] = run.recipe.to_json()
    if re.match(r"[/\\~.]|[A-Za-z]:", run.recipe.base_model):
        data["base_model"] = "a local folder"
    data["dataset"] = f"{run.recipe.dataset[:12]}…" if len(run.recipe.dataset) > 20 else run.recipe.dataset
    return json.dumps(data, ensure_ascii=False)


def _device(device: Device | None) -> str:
    if device is None:
        return "not measured yet"
    return (f"{device.kind}, {device.name}, {device.cores} cores, {device.memory_bytes / 1e9:.1f} GB, "
            f"{device.precision} ({device.fp32_gflops:.0f} GFLOPS in fp32, {device.bf16_gflops:.0f} in bf16)")


def _versions() -> str:
    found = [f"Python {platform.python_version()}", platform.system()]
    for package in PACKAGES:
        try:
            found.append(f"{package} {metadata.version(package)}")
        except metadata.PackageNotFoundError:
            continue
    return ", ".join(found)
