"""The export `merged`: one folder with body, head, and a script that predicts; needs nothing of Thaw."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

from core import values
from core.domain.model import Weights
from core.domain.side import Side
from core.export import language, readme
from core.export.base import HEAD, HEAD_SAID, Format, base_of, write
from core.settings import Settings

SAMPLE = 16
"""Recorded predictions that the written folder is checked with."""


class Merged:
    """The body with everything that the run trained in it."""

    name = "merged"
    summary = "one folder with body, head and a script that predicts"

    def write(self, run_dir: Path, target: Path, *, settings: Settings, workspace: str) -> dict[str, Any]:
        """An adapter trained on 4-bit weights is folded into the full-precision ones, not into their 4-bit rounding."""
        from core.models import facts as facts_module
        from core.models import methods
        from core.training import artifact

        values.recipe(run_dir)
        side = artifact.load(Side.of(run_dir), settings=settings, device="cpu")
        rounded = methods.card_of(side.recipe.method).weights is Weights.FOUR_BIT
        facts: Any = facts_module.read(side.recipe.base_model, settings)
        if not side.task.card.new_head:
            return language.write_merged(run_dir, target, side, facts, settings=settings)
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
        write(target / "export.json", json.dumps(about, indent=1, ensure_ascii=False))
        shutil.copyfile(side.task.script, target / "predict.py")
        checked = _check(run_dir, target, settings, workspace)
        folded = " with what the run trained in it"
        if rounded:
            folded = (" with the adapter folded into the base model's full-precision weights (training saw them "
                      "rounded to 4 bits)")
        write(target / "README.md", readme.merged(about, side.recipe, title=run_dir.name, base=base_of(about),
                                                  folded=folded, checked=f" ({checked})" if checked else ""))
        rounding = ["The adapter was trained on 4-bit weights and is folded into the full-precision ones: "
                    "probabilities differ a little."]
        notes = [f"{HEAD_SAID}AutoModelFor…Classification does not know it and would begin with a random one.",
                 "predict.py in that folder puts body, pooling and head together; README.md says how.",
                 *([f"Checked: {checked}."] if checked else []), *(rounding if rounded else [])]
        return {"head": HEAD, "notes": notes}


def _about(side: Any, facts: Any, body: Any) -> dict[str, Any]:
    """`export.json`: what `predict.py` must know."""
    about = {"precision": side.precision, "pooling": side.network.pooling, "body": type(body).__name__,
             "channels_last": side.network.channels_last, "input": side.task.card.content,
             "base_model": side.recipe.base_model, "base_model_revision": facts.revision}
    return about | side.task.standalone(side.recipe, facts, side.depth)


def _check(run_dir: Path, target: Path, settings: Settings, workspace: str) -> str:
    """Predict some recorded test rows with the exported folder alone: what came out, in words; empty where the rows are
    gone."""
    import numpy as np
    import pyarrow.parquet as pq

    from core.tasks import standalone

    rows = _recorded_rows(run_dir, settings, workspace)
    if not rows:
        return ""
    recorded = {row["row_id"]: row["probabilities"]
                for row in pq.read_table(run_dir / "predictions-test.parquet").to_pylist()}
    found = standalone.Model(target).predict(list(rows.values()))
    new = np.asarray([list(answer["probabilities"].values()) for answer in found])
    old = np.asarray([recorded[row_id] for row_id in rows])
    same = int((new.argmax(1) == old.argmax(1)).sum())
    return (f"of {len(rows)} rows of the test split, predict.py gives {same} the class that the run recorded; "
            f"probabilities differ by at most {np.abs(new - old).max():.2g}")


def _recorded_rows(run_dir: Path, settings: Settings, workspace: str) -> dict[int, str]:
    """Row id -> text or picture of the first recorded test rows, where the dataset is still there."""
    import pyarrow.parquet as pq

    from core.data import library
    from core.training.session import read_rows

    recorded = run_dir / "predictions-test.parquet"
    own = run_dir.parent.parent.name if run_dir.parent.name == "runs" else workspace
    ref = str(values.recipe(run_dir).dataset)
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


FORMAT: Format = Merged()
