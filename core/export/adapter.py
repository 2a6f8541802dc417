"""The export `adapter`: what a run trained, as it is; the base model is needed beside it."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

from core import values
from core.export import readme
from core.export.base import HEAD, HEAD_SAID, Format, base_of, write
from core.settings import Settings


class Adapter:
    """A copy of the artifact: adapter or changed weights, head, labels, processor, and the recipe."""

    name = "adapter"
    summary = "what the run trained"

    def write(self, run_dir: Path, target: Path, *, settings: Settings, workspace: str) -> dict[str, Any]:
        """See `core.export.base.Format`."""
        from core.models import facts as facts_module
        from core.models import origin

        recipe = values.recipe(run_dir)
        # an adapter names its base model: it must not go out with another one of that name
        origin.check_model(run_dir, settings)
        labels = values.document(run_dir / "artifact" / "labels.json")
        facts = facts_module.read(recipe.base_model, settings)
        about = {"classes": labels["classes"], "precision": labels["precision"], "base_model": recipe.base_model,
                 "base_model_revision": origin.of(run_dir).model_revision or None, "input": recipe.task.content,
                 "pooling": facts.pooling if facts and recipe.pooling == "auto" else recipe.pooling,
                 "max_length": min(recipe.max_length, facts.max_length) if facts else recipe.max_length}
        shutil.copytree(run_dir / "artifact", target, dirs_exist_ok=True)
        for name in ("recipe.json", "environment.json", "result.json", origin.FILE):
            if (run_dir / name).is_file():
                shutil.copy2(run_dir / name, target / name)
        write(target / "export.json", json.dumps(about, indent=1, ensure_ascii=False))
        files = [path.relative_to(target).as_posix() for path in target.rglob("*") if path.is_file()]
        write(target / "README.md", readme.adapter(about, title=run_dir.name, base=base_of(about), files=files))
        note = (f"{HEAD_SAID}README.md says what else is there and how the parts go together. The base model is "
                "not among them.")
        return {"head": HEAD, "notes": [note]}


FORMAT: Format = Adapter()
