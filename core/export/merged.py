"""The export `merged`: one folder with body, head, and a script that predicts; needs nothing of Thaw."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

from core import tasks
from core.domain.model import ModelFacts
from core.domain.recipe import Recipe
from core.export import language, readme, requirements
from core.export.base import CLOSE, HEAD, HEAD_SAID, Format, base_of, copy_recipe, whole_bytes, write

if TYPE_CHECKING:
    from core.export.finished import Finished

UNPACKED = ("The adapter was trained on 4-bit weights. These were unpacked, and it was folded into them in 32 bits, "
            "rounded to nothing: what the folder holds is what was trained.")


class Merged:
    """The body with everything that the run trained in it."""

    name = "merged"
    summary = "one folder with body, head and a script that predicts"
    tolerance: float | None = CLOSE

    def applies_to(self, recipe: Recipe, facts: ModelFacts | None) -> str | None:
        """See `core.export.base.Format`."""
        return None

    def size_bytes(self, recipe: Recipe, facts: ModelFacts, artifact_bytes: int) -> int:
        """See `core.export.base.Format`."""
        return whole_bytes(facts)

    def write(self, run: Finished, target: Path) -> dict[str, Any]:
        """See `core.export.base.Format`."""
        if not run.recipe.task.labelled:
            return language.write_whole(run, target)
        about = run.once("weights", lambda: save_weights(run, target))
        write(target / "export.json", json.dumps(about, indent=1, ensure_ascii=False))
        shutil.copyfile(tasks.get(run.recipe.task).script, target / "predict.py")
        folded = (" with the adapter folded, in 32 bits, into the weights that its 4-bit ones stand for"
                  if run.four_bit else " with what the run trained in it")
        write(target / "README.md", readme.merged(about, run.recipe, title=run.name, base=base_of(about),
                                                  folded=folded, checked=""))
        requirements.write(run, target, "torch", "transformers", "safetensors", "numpy")
        notes = [f"{HEAD_SAID}AutoModelFor…Classification does not know it and would begin with a random one.",
                 "predict.py in that folder puts body, pooling and head together; README.md says how.",
                 *([UNPACKED] if run.four_bit else [])]
        return {"head": HEAD, "notes": notes}


def save_weights(run: Finished, target: Path) -> dict[str, Any]:
    """Processor, body and head of a classifier. Returns `export.json`."""
    from core.training import artifact

    shutil.copytree(run.folder / "artifact" / "processor", target, dirs_exist_ok=True)
    run.whole.network.body.save_pretrained(target, safe_serialization=True)  # type: ignore[operator]
    for name in (artifact.HEAD_FILE, artifact.LABELS_FILE, artifact.SOURCE_FILE):
        if (run.folder / "artifact" / name).is_file():
            shutil.copy2(run.folder / "artifact" / name, target / name)
    copy_recipe(run, target)
    return about_of(run, run.whole)


def about_of(run: Finished, side: Any) -> dict[str, Any]:
    """`export.json`: what `predict.py` must know."""
    body = side.network.body
    inner = body.get_base_model() if hasattr(body, "get_base_model") else body
    about = {"precision": run.labels["precision"], "pooling": side.network.pooling, "body": type(inner).__name__,
             "channels_last": side.network.channels_last, "input": side.task.card.content,
             "classes": list(run.labels["classes"]), "base_model": run.base_hub_id,
             "base_model_revision": run.facts.revision}
    if side.network.scores_tokens:
        about |= language.asking(side)
    return about | side.task.standalone(side.recipe, run.facts, side.depth)


FORMAT: Format = Merged()
