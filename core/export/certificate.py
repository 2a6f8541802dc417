"""The certificate of an export: what it says of the run's own test rows in a process without Thaw, beside what the run
said of them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from core import files, metrics
from core.domain.run import Interval
from core.export import rows as test_rows
from core.export.base import Format
from core.export.rows import SMALLEST, TestRows
from core.metrics import Judged, paired
from core.models import methods

if TYPE_CHECKING:
    from core.export.finished import Finished

FILE = "certificate.json"
SCHEMA = 1
IN_32_BITS = "the run's own network, read back and computed in 32 bits"
HALF = 0.1
"""Largest difference of a log-probability of what is trained again, or computed by another runtime, in 16 bits."""
POLL_S = 0.2


class Stopped(Exception):
    """A person asked to stop."""


def write(form: Format, folder: Path, run: Finished, *, place: Path | None = None) -> dict[str, Any]:
    """Check what a format wrote into `folder`, and write the certificate beside it. Returns it. place: a folder to keep
    answers in while they come, so that one that is cut off is gone on with."""
    found = of_all([(form, folder)], run, place=place)[0]
    files.write_json(folder / FILE, found)
    return found


def of_all(exports: list[tuple[Format, Path]], run: Finished, *, place: Path | None = None) -> list[dict[str, Any]]:
    """The certificates of several exports of one run, all asked in one process. Raises Stopped."""
    rows = test_rows.of_run(run)
    if rows is None:
        why = "The run's test rows are no longer on this machine, or it was tested on none."
        return [_unchecked(form, folder, run, why) for form, folder in exports]
    classes = rows.recorded.losses is None
    # their script computes as the run computed, in 16 bits where that did; all others compute in 32
    twice = [not run.in_32_bits and classes and form.name in OWN_PRECISION for form, _ in exports]
    said = iter(_ask(run, rows, [(form, folder, precision) for (form, folder), both in zip(exports, twice, strict=True)
                                 for precision in ("", *(["fp32"] if both else []))], place))
    reference = test_rows.recorded_values(rows) if run.in_32_bits else _reference(run, rows, place)
    found = []
    for (form, folder), both in zip(exports, twice, strict=True):
        one = next(said)
        found.append(_judged(form, folder, run, rows, said=one, in_32_bits=next(said) if both else one,
                             reference=reference))
    return found


def _reference(run: Finished, rows: TestRows, place: Path | None) -> np.ndarray:
    """What the run's own network says, computed in 32 bits; kept in `place`."""
    path = None if place is None else place / "reference.npy"
    if path is not None and path.is_file():
        return np.asarray(np.load(path, allow_pickle=False))
    found = test_rows.in_32_bits(run, rows)
    if path is not None:
        with files.replacing(path) as temporary:
            np.save(temporary, found)
    return found


NEEDS_BASE = ("adapter", "script")
OWN_PRECISION = ("adapter", "merged")


# -- asking ------------------------------------------------------------------------------------------------------------


def _ask(run: Finished, rows: TestRows, exports: list[tuple[Format, Path, str]],
         place: Path | None) -> list[dict[str, Any]]:
    """What each export says, from a fresh process in an empty folder that can import nothing of Thaw. place: where
    answers of an earlier attempt may lie."""
    with tempfile.TemporaryDirectory() as temporary:
        here = Path(temporary)
        kept = place or here
        kept.mkdir(exist_ok=True)
        checks = [{"form": form.name, "folder": str(folder.absolute()), "precision": precision,
                   "base": str(run.base_folder.absolute()) if form.name in NEEDS_BASE else "", "data": run.rows_file,
                   "out": str(here / f"{number}.json"), "kept": str((kept / f"{number}.jsonl").absolute())}
                  for number, (form, folder, precision) in enumerate(exports)]
        (here / "asked.json").write_text(json.dumps({"rows": rows.asked, "checks": checks}), encoding="utf-8")
        _wait(run, here)
        return [_read(Path(check["out"])) for check in checks]


def _wait(run: Finished, here: Path) -> None:
    """Run the checker to its end; its progress is the run's. Raises Stopped when a person asks to."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("THAW_", "PYTHON"))}
    environment |= {"HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false", "HOME": str(here)}
    with (here / "log.txt").open("w", encoding="utf-8") as log, subprocess.Popen(
            [sys.executable, "-I", str(Path(__file__).with_name("checker.py")), str(here / "asked.json")], cwd=here,
            stdout=subprocess.PIPE, stderr=log, text=True, env=environment) as process:
        reader = threading.Thread(target=_follow, args=(run, process.stdout), daemon=True)
        reader.start()
        try:
            while process.poll() is None:
                if run.stopped():
                    raise Stopped
                time.sleep(POLL_S)
        finally:
            process.kill()


def _follow(run: Finished, lines: Any) -> None:
    for line in lines:
        try:
            told = json.loads(line)
            run.progress(told["done"], told["total"], "rows", "certificate")
        except (ValueError, KeyError, TypeError):
            continue


def _read(path: Path) -> dict[str, Any]:
    try:
        return dict(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError):
        log = path.with_name("log.txt")
        end = log.read_text(encoding="utf-8", errors="replace").strip()[-600:] if log.is_file() else ""
        return {"error": f"The process that read it ended before it answered. {end}".strip()}


# -- judging -----------------------------------------------------------------------------------------------------------


def _judged(form: Format, folder: Path, run: Finished, rows: TestRows, *, said: dict[str, Any],
            in_32_bits: dict[str, Any], reference: np.ndarray) -> dict[str, Any]:
    if error := said.get("error") or in_32_bits.get("error"):
        return _unchecked(form, folder, run, f"It could not be used: {error}", passed=False)
    export, (largest, flipped) = _as_judged(rows, said), _differences(rows, said, test_rows.recorded_values(rows))
    again = form.name == "script"  # it trains again, in the precision of the run
    strict, strict_flipped = _differences(rows, in_32_bits, test_rows.recorded_values(rows) if again else reference)
    tolerance = _tolerance(form, run)
    compared = run.said_by if again or run.in_32_bits else IN_32_BITS
    metric = metrics.primary(m.name for m in metrics.METRICS if m.applies_to(rows.recorded))
    assert metric is not None
    difference = paired.by_bootstrap(metric, export, rows.recorded)
    of_run, of_export = _measured(metric, rows.recorded), _measured(metric, export)
    # rounding alone may move a loss a little, and all rows the same way
    fell = (difference.high if metric.higher_is_better else -difference.low) < -(tolerance or 0.0)
    outside = not of_run["low"] <= of_export["value"] <= of_run["high"]
    otherwise = sum(not answer["read"] for answer in said["answers"]) if rows.recorded.losses is not None else 0
    beside = [answer["runtime"] for answer in said["answers"] if isinstance(answer, dict) and "runtime" in answer]
    apart = max(beside, default=0.0)
    reasons = [sentence for holds, sentence in (
        (tolerance is not None and not strict <= tolerance,
         f"It differs by {strict:.2g} from {compared}, where rounding explains {tolerance}."),
        (tolerance is not None and fell, f"Its {metric.label} on the test rows is worse, by a paired test."),
        (tolerance is None and outside, f"Its {metric.label} on the test rows lies outside of the run's interval."),
        (not apart <= HALF, f"llama.cpp's own log-probabilities differ by {apart:.2g} from what transformers computes "
                            "of the same file."),
        (otherwise > 0, f"It reads {otherwise} of {rows.n_rows} rows as other tokens than the run did.")) if holds]
    return {
        "run": run.folder.name, "strength": run.strength,
        "format": form.name, "passed": not reasons, "reasons": reasons, "rows": rows.n_rows, "flipped": flipped,
        "largest_difference": largest, "compared_with": run.said_by,
        "in_32_bits": {"largest_difference": strict, "flipped": strict_flipped, "tolerance": tolerance,
                       "compared_with": compared},
        "read_otherwise": otherwise,
        **({"runtime": {"name": "llama.cpp", "rows": len(beside), "largest_difference": apart}} if beside else {}),
        "metric": {"name": metric.name, "run": of_run, "export": of_export, "difference": asdict(difference)},
        "seconds": said["seconds"], "load_seconds": said["load_seconds"],
        "rows_a_second": rows.n_rows / max(said["seconds"], 1e-9), "bytes": size(folder),
        "precision_of_the_run": run.labels["precision"], "versions": said["versions"], "made": time.time(),
        "schema_version": SCHEMA}


def _tolerance(form: Format, run: Finished) -> float | None:
    """Largest difference that rounding explains. None where it does not bound one: a script that takes steps rounds
    each of them otherwise, and is judged by its metric."""
    if form.name != "script":
        return form.tolerance or 0.0
    if not methods.card_of(run.recipe.method).solved:
        return None
    return form.tolerance if run.labels["precision"] == "fp32" else HALF


def _measured(metric: Any, judged: Judged) -> dict[str, float]:
    found: Interval = metrics.measure(judged)[metric.name]
    return asdict(found)


def _differences(rows: TestRows, said: dict[str, Any], reference: np.ndarray) -> tuple[float, int]:
    """(largest difference of a log-probability, or of a row's loss a token; rows whose answer is another)."""
    if rows.recorded.losses is not None:
        tokens = np.maximum(np.asarray(rows.recorded.tokens, np.float64), 1)
        losses = np.array([answer["loss"] for answer in said["answers"]])
        right = np.array([answer["right"] for answer in said["answers"]])
        return (_largest((losses - reference) / tokens), int((right != np.asarray(rows.recorded.right)).sum()))
    values = np.asarray(said["answers"])
    seen = np.maximum(reference, np.log(SMALLEST)) > -80  # below it a 32-bit probability has few digits, or none
    return _largest(np.where(seen, values - reference, 0.0)), int((values.argmax(1) != reference.argmax(1)).sum())


def _largest(differences: np.ndarray) -> float:
    return float(np.abs(differences).max()) if np.isfinite(differences).all() else float("inf")


def _as_judged(rows: TestRows, said: dict[str, Any]) -> Judged:
    """The export's answers as the metrics read them."""
    if rows.recorded.losses is not None:
        return replace(rows.recorded, losses=np.array([answer["loss"] for answer in said["answers"]]),
                       right=np.array([answer["right"] for answer in said["answers"]]))
    values = np.asarray(said["answers"], np.float64)
    return Judged(labels=rows.recorded.labels, predictions=values.argmax(1), probabilities=np.exp(values))


def _unchecked(form: Format, folder: Path, run: Finished, why: str, *, passed: bool | None = None) -> dict[str, Any]:
    return {"run": run.folder.name, "strength": run.strength, "format": form.name, "passed": passed, "reasons": [why],
            "rows": 0, "flipped": None, "largest_difference": None, "metric": None, "seconds": None,
            "bytes": size(folder), "versions": {}, "made": time.time(), "schema_version": SCHEMA}


def size(folder: Path) -> int:
    """Bytes of an export, without its certificate."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file() and path.name != FILE)
