"""`core export`: a finished run's model, written for use elsewhere."""

from __future__ import annotations

import json
import shutil
from argparse import Namespace
from pathlib import Path
from typing import Any

from core.cli import export_card, output
from core.cli.boundary import read_json, read_recipe
from core.cli.use import run_folder
from core.domain.model import Weights
from core.domain.side import Side
from core.errors import NotFoundError, ThawError
from core.settings import Settings

SAMPLE = 16
"""Recorded predictions that a merged export is checked with."""
HEAD_SAID = "The head is a file of its own, head.safetensors; "


def export(args: Namespace, settings: Settings) -> int:
    """Write a run's model: its artifact as it is, or one folder with body, head, and a script that predicts."""
    run_dir, target = run_folder(args.run_dir), Path(args.to).expanduser().absolute()
    if args.form == "onnx":
        raise ThawError("Thaw cannot write this model as ONNX.",
                        why="The head sits on the pooled feature of the body, and no exporter for that graph is part of this version.",
                        remedy="Use --as merged and convert the folder with the exporter of your runtime.")
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise ThawError(f"{target} exists and is not an empty folder.", why="An export never writes over files.",
                        remedy="Name a new folder.")
    if not (run_dir / "artifact" / "labels.json").is_file():
        raise NotFoundError("This run has no artifact.", why="It did not finish, or failed.",
                            remedy="Resume it first: core resume RUN_DIR.")
    output.quiet_libraries()
    notes = _adapter(run_dir, target, settings) if args.form == "adapter" else _merged(run_dir, target, settings, args.workspace)
    files = sorted(str(path.relative_to(target)) for path in target.rglob("*") if path.is_file())
    report = {"run": run_dir.name, "as": args.form, "folder": str(target), "files": files,
              "bytes": sum((target / name).stat().st_size for name in files), "head": "head.safetensors", "notes": notes}
    if args.json:
        output.document(report)
    else:
        print(f"Wrote {len(files)} files, {output.size(report['bytes'])}, to {target}")
        for note in notes:
            print(note)
    return 0


def _adapter(run_dir: Path, target: Path, settings: Settings) -> list[str]:
    """Copy what the run trained: adapter or changed weights, head, labels, processor, and the recipe."""
    from core.models import facts as facts_module
    from core.models import origin

    recipe = read_recipe(run_dir)
    origin.check_model(run_dir, settings)  # an adapter names its base model: it must not go out with another one of that name
    labels = read_json(run_dir / "artifact" / "labels.json")
    facts = facts_module.read(recipe.base_model, settings)
    about = {"classes": labels["classes"], "precision": labels["precision"], "base_model": recipe.base_model,
             "base_model_revision": origin.of(run_dir).model_revision or None, "input": recipe.task.content,
             "pooling": facts.pooling if facts and recipe.pooling == "auto" else recipe.pooling,
             "max_length": min(recipe.max_length, facts.max_length) if facts else recipe.max_length}
    shutil.copytree(run_dir / "artifact", target, dirs_exist_ok=True)
    for name in ("recipe.json", "environment.json", "result.json", origin.FILE):
        if (run_dir / name).is_file():
            shutil.copy2(run_dir / name, target / name)
    _write(target / "export.json", json.dumps(about, indent=1, ensure_ascii=False))
    files = [path.relative_to(target).as_posix() for path in target.rglob("*") if path.is_file()]
    _write(target / "README.md", export_card.adapter(about, title=run_dir.name, base=_base(about), files=files))
    return [f"{HEAD_SAID}README.md says what else is there and how the parts go together. The base model is not among them."]


def _merged(run_dir: Path, target: Path, settings: Settings, workspace: str) -> list[str]:
    """One folder: the body with the adapter folded in, head, labels, processor, and `predict.py` that puts them together.

    An adapter trained on 4-bit weights is folded into the full-precision ones, not into their 4-bit rounding.
    """
    from core.models import facts as facts_module
    from core.models import methods
    from core.training import artifact

    read_recipe(run_dir)
    side = artifact.load(Side.of(run_dir), settings=settings, device="cpu")
    rounded = methods.card_of(side.recipe.method).weights is Weights.FOUR_BIT
    facts: Any = facts_module.read(side.recipe.base_model, settings)
    body: Any = _full_precision_body(run_dir, side, settings) if rounded else side.network.body
    if hasattr(body, "merge_and_unload"):
        body = body.merge_and_unload()
    target.mkdir(parents=True, exist_ok=True)
    shutil.copytree(run_dir / "artifact" / "processor", target, dirs_exist_ok=True)
    body.save_pretrained(target, safe_serialization=True)
    for name in (artifact.HEAD_FILE, artifact.LABELS_FILE, artifact.SOURCE_FILE):
        if (run_dir / "artifact" / name).is_file():
            shutil.copy2(run_dir / "artifact" / name, target / name)
    shutil.copy2(run_dir / "recipe.json", target / "recipe.json")
    about = _about(side, facts, body)
    _write(target / "export.json", json.dumps(about, indent=1, ensure_ascii=False))
    shutil.copyfile(side.task.script, target / "predict.py")
    checked = _check(run_dir, target, settings, workspace)
    folded = " with the adapter folded into the base model's full-precision weights (training saw them rounded to 4 bits)" if rounded else (
        " with what the run trained in it")
    _write(target / "README.md", export_card.merged(about, side.recipe, title=run_dir.name, base=_base(about), folded=folded,
                                                    checked=f" ({checked})" if checked else ""))
    rounding = ["The adapter was trained on 4-bit weights and is folded into the full-precision ones: probabilities differ a little."]
    return [f"{HEAD_SAID}AutoModelFor…Classification does not know it and would begin with a random one.",
            "predict.py in that folder puts body, pooling and head together; README.md says how.",
            *([f"Checked: {checked}."] if checked else []), *(rounding if rounded else [])]


def _about(side: Any, facts: Any, body: Any) -> dict[str, Any]:
    """`export.json`: what `predict.py` must know."""
    about = {"precision": side.precision, "pooling": side.network.pooling, "body": type(body).__name__,
             "channels_last": side.network.channels_last, "input": side.task.card.content, "base_model": side.recipe.base_model,
             "base_model_revision": facts.revision}
    return about | side.task.standalone(side.recipe, facts, side.depth)


def _check(run_dir: Path, target: Path, settings: Settings, workspace: str) -> str:
    """Predict some recorded test rows with the exported folder alone: what came out, in words; empty where the rows are gone."""
    import numpy as np
    import pyarrow.parquet as pq

    from core.tasks import standalone

    rows = _recorded_rows(run_dir, settings, workspace)
    if not rows:
        return ""
    recorded = {row["row_id"]: row["probabilities"] for row in pq.read_table(run_dir / "predictions-test.parquet").to_pylist()}
    found = standalone.Model(target).predict(list(rows.values()))
    new = np.asarray([list(answer["probabilities"].values()) for answer in found])
    old = np.asarray([recorded[row_id] for row_id in rows])
    same = int((new.argmax(1) == old.argmax(1)).sum())
    return (f"of {len(rows)} rows of the test split, predict.py gives {same} the class that the run recorded; probabilities differ by at "
            f"most {np.abs(new - old).max():.2g}")


def _recorded_rows(run_dir: Path, settings: Settings, workspace: str) -> dict[int, str]:
    """Row id -> text or picture of the first recorded test rows, where the dataset is still there."""
    import pyarrow.parquet as pq

    from core.data import library
    from core.training.session import read_rows

    recorded = run_dir / "predictions-test.parquet"
    own = run_dir.parent.parent.name if run_dir.parent.name == "runs" else workspace
    ref = str(read_recipe(run_dir).dataset)
    dataset = library.find(ref, settings=settings, workspace=own) if settings.workspace(own).is_dir() else None
    if dataset is None or not recorded.is_file():
        return {}
    wanted = set(pq.read_table(recorded, columns=["row_id"])["row_id"].to_pylist()[:SAMPLE])
    rows = read_rows(dataset, settings=settings, workspace=own)
    return {int(row_id): text for row_id, text in zip(rows.row_ids, rows.content, strict=True) if row_id in wanted}


def _full_precision_body(run_dir: Path, side: Any, settings: Settings) -> Any:
    """The base model in fp32 with the run's adapter on it."""
    from peft import PeftModel

    from core.models import facts as facts_module
    from core.models import load

    folder = facts_module.folder(side.recipe.base_model, settings)
    body = load.load_body(folder, device="cpu")
    return PeftModel.from_pretrained(body, run_dir / "artifact" / "adapter", torch_device="cpu")


def _base(about: dict[str, Any]) -> str:
    revision = about["base_model_revision"]
    return f"`{about['base_model']}`" + (f", revision `{revision}`" if revision else "")


def _write(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8")
