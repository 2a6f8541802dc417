"""Every row of a file answered by one model of a run, as a table: labels, probabilities, confidence, order of doubt."""

from __future__ import annotations

import dataclasses
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np

from core import files, values
from core.analysis import calibration
from core.data import new_rows, uploads
from core.data.new_rows import NewRows
from core.data.report import LeftOut
from core.domain.nearest import Nearest
from core.domain.run import Observer, Phase
from core.domain.side import Side, Which
from core.errors import DataError, NotFoundError
from core.settings import Settings
from core.spreadsheets import records_to_csv
from core.training import artifact, cut, known_rows
from core.training.artifact import LoadedModel

TABLE, SUMMARY = "predictions.csv", "summary.json"
CHUNK_ROWS = 128
DOUBTED = 20
"""Rows that the summary names, the most doubtful first."""
REASONS = 5
"""Why rows were left out, the most frequent first."""
SHOWN_CHARACTERS = 300


def predict(payload: dict[str, Any], *, settings: Settings, workspace: str, folder: Path,
            observer: Observer) -> dict[str, Any]:
    """Answer the rows of {"path": file, "run": its folder, "which": model, "text": column or ""} and write the table.

    Each row of the file is in it: answered, or left out with the reason. Confidence is the largest probability after
    temperature scaling of the run's validation rows (of the tuned model, where there are enough). Raises DataError for
    a file that cannot be read as the training data were.
    """
    run_dir, path, which = Path(payload["run"]), Path(payload["path"]), Which(payload.get("which", Which.FINAL))
    task = values.recipe(run_dir).task
    observer.phase(Phase.PREPARING)
    rows = new_rows.read(path, source=new_rows.source_of(run_dir, settings, workspace), task=task,
                         text=payload.get("text") or None, settings=settings)
    model = artifact.load(Side.of(run_dir, which), settings=settings)
    observer.phase(Phase.EVALUATING)
    answers: list[dict[str, Any]] = []
    long: list[int] = []
    for start in range(0, len(rows.content), CHUNK_ROWS):
        if observer.should_stop():
            break
        part = rows.content[start:start + CHUNK_ROWS]
        answers += model.predict(part)
        long += cut.longer(model, part)
        observer.progress(len(answers), len(rows.content), "rows", "predicting")
    rows = _answered(rows, len(answers))
    notes = [*rows.notes, *cut.note(long, model.recipe.max_length, of=len(answers))]
    fitted = calibration.of_run(run_dir) if which is Which.FINAL else None
    near = _nearest(model, rows.content, run_dir, settings=settings, workspace=workspace, observer=observer)
    records = _records(rows, answers, fitted, near)
    folder.mkdir(parents=True, exist_ok=True)
    files.write_bytes(folder / TABLE, records_to_csv(records).encode("utf-8-sig", "replace"))
    summary = {"file": path.name, "rows_read": rows.rows_read, "predicted": len(answers),
               "left_out": len(rows.left_out),
               "reasons": dict(Counter(item.reason for item in rows.left_out).most_common(REASONS)),
               "temperature": fitted, "notes": notes,
               "labels": dict(Counter(answer["label"] for answer in answers).most_common()),
               "doubtful": _doubtful(records), "unlike": _unlike(near)}
    files.write_json(folder / SUMMARY, summary)
    uploads.discard(path, uploads.folder(settings, workspace))
    return {"predicted": len(answers)}


def _answered(rows: NewRows, count: int) -> NewRows:
    """The same rows where all were answered; else those after the first `count` are left out, with the reason."""
    if count == len(rows.content):
        return rows
    rest = tuple(LeftOut(row=rows.row[at], file=rows.shown[at] if rows.key == "file" else "",
                         reason="it was stopped before this row") for at in range(count, len(rows.content)))
    return dataclasses.replace(rows, row=rows.row[:count], content=rows.content[:count], shown=rows.shown[:count],
                               ids=None if rows.ids is None else rows.ids[:count],
                               left_out=tuple(sorted((*rows.left_out, *rest), key=lambda item: item.row)))


def _nearest(model: LoadedModel, content: list[str], run_dir: Path, *, settings: Settings, workspace: str,
             observer: Observer) -> list[Nearest]:
    """How far each row lies from the training rows; empty where the dataset of the run is gone."""
    try:
        known = known_rows.of(model, run_dir, key=["file", proof(run_dir)], settings=settings, workspace=workspace,
                              observer=observer)
    except (NotFoundError, DataError) as error:
        observer.note(f"Rows unlike the training data are not flagged: {error.what}")
        return []
    found: list[Nearest] = []
    for start in range(0, len(content), CHUNK_ROWS):
        found += known.nearest(known_rows.features(model, content[start:start + CHUNK_ROWS]), most=1)
        observer.progress(len(found), len(content), "rows", "comparing with training rows")
    return found


def proof(run_dir: Path) -> list[Any]:
    """What tells one state of a run's artifact from another, without reading it."""
    stats = [(path.name, path.stat()) for path in sorted((run_dir / "artifact").glob("*.safetensors"))]
    return [run_dir.name, *([name, stat.st_size, stat.st_mtime_ns] for name, stat in stats)]


def _unlike(near: list[Nearest]) -> dict[str, Any] | None:
    """How many rows are unlike the training data, by which limit; None where that cannot be said."""
    if not near or near[0].limit is None:
        return None
    return {"rows": sum(each.unlike is True for each in near), "limit": near[0].limit,
            "false_alarms": near[0].false_alarms}


def _records(rows: NewRows, answers: list[dict[str, Any]], temperature: float | None,
             near: list[Nearest]) -> list[dict[str, Any]]:
    """One a row of the file, in its order; `doubt` 1 is the row whose two likeliest classes are closest."""
    found: list[dict[str, Any]] = []
    if answers:
        classes = list(answers[0]["probabilities"])
        table = np.array([[answer["probabilities"][name] for name in classes] for answer in answers])
        two = np.sort(table, 1)[:, -2:]
        margin = two[:, -1] - (two[:, 0] if table.shape[1] > 1 else 0)
        doubt = np.empty(len(table), np.int64)
        doubt[np.argsort(margin, kind="stable")] = np.arange(1, len(table) + 1)
        sure = None if temperature is None else calibration.scaled(table, temperature).max(1)
        for at, answer in enumerate(answers):
            own = {} if rows.ids is None else {"id": rows.ids[at]}
            confidence = {} if sure is None else {"confidence": round(float(sure[at]), 6)}
            found.append({"row": rows.row[at], **own, rows.key: rows.shown[at], "label": answer["label"],
                          "probability": round(float(table[at].max()), 6), **confidence, "doubt": int(doubt[at]),
                          **_far(near, at),
                          **{f"p({name})": round(float(share), 6) for name, share in zip(classes, table[at],
                                                                                         strict=True)}})
    left_out = [{"row": item.row, **({rows.key: item.file} if item.file else {}), "left out": item.reason}
                for item in rows.left_out]
    return sorted([*found, *left_out], key=lambda record: record["row"])


def _far(near: list[Nearest], at: int) -> dict[str, Any]:
    if not near:
        return {}
    unlike = {None: "", True: "yes", False: "no"}[near[at].unlike]
    return {"distance": round(near[at].distance, 6), "unlike training": unlike}


def _doubtful(records: list[dict[str, Any]]) -> list[dict[str, Any]]:
    answered = sorted((record for record in records if "doubt" in record), key=lambda record: record["doubt"])
    return [{key: value[:SHOWN_CHARACTERS] if isinstance(value, str) else value for key, value in record.items()
             if not key.startswith("p(")} for record in answered[:DOUBTED]]
