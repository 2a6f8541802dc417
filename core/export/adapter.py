"""The export `adapter`: what a run trained, as it is; the base model is needed beside it."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

from core import tasks
from core.domain.model import ModelFacts, Weights
from core.domain.recipe import Recipe
from core.export import readme, requirements
from core.export.base import EXACT, HEAD, HEAD_SAID, Format, base_of, copy_recipe, write

if TYPE_CHECKING:
    from core.export.finished import Finished

SKIPPED = ["classifier", "pooler", "score", "head", "lm_head", "embed_out"]
"""Layers that are never held in 4 bits, as in training."""
PEFT = "adapter"
BESIDE = ("environment.json", "result.json", "origin.json")


class Adapter:
    """A copy of the artifact: adapter or changed weights, head, labels, processor, and the recipe; with a script."""

    name = "adapter"
    summary = "what the run trained: a PEFT adapter or the changed weights, the head beside them"
    tolerance: float | None = EXACT

    def applies_to(self, recipe: Recipe, facts: ModelFacts | None) -> str | None:
        """See `core.export.base.Format`."""
        return None

    def size_bytes(self, recipe: Recipe, facts: ModelFacts, artifact_bytes: int) -> int:
        """See `core.export.base.Format`."""
        return artifact_bytes + 10_000_000

    def write(self, run: Finished, target: Path) -> dict[str, Any]:
        """See `core.export.base.Format`."""
        about = about_adapter(run)
        shutil.copytree(run.folder / "artifact", target, dirs_exist_ok=True)
        for name in BESIDE:
            if (run.folder / name).is_file():
                shutil.copy2(run.folder / name, target / name)
        copy_recipe(run, target)
        if (target / PEFT).is_dir():
            _name_base(target / PEFT, about)
        requirements.write(run, target, "torch", "transformers", "safetensors", "numpy",
                           *(["peft"] if (target / PEFT).is_dir() else []))
        write(target / "export.json", json.dumps(about, indent=1, ensure_ascii=False))
        shutil.copyfile(tasks.get(run.recipe.task).script, target / "predict.py")
        files = [path.relative_to(target).as_posix() for path in target.rglob("*") if path.is_file()]
        write(target / "README.md", readme.adapter(about, title=run.name, base=base_of(about), files=files))
        note = (f"{HEAD_SAID}README.md says what else is there and how the parts go together. The base model is "
                "not among them.")
        return {"head": HEAD, "notes": [note]}


def about_adapter(run: Finished) -> dict[str, Any]:
    """`export.json`: what `predict.py` must know, and which base model it needs."""
    from core.export.merged import about_of
    from core.models import methods, origin

    # an adapter names its base model: it must not go out with another one of that name
    origin.check_model(run.folder, run.settings)
    side = run.as_trained()
    about = about_of(run, side) | {"base_hub_id": run.base_hub_id}
    if methods.card_of(run.recipe.method).weights is Weights.FOUR_BIT:
        spec = run.recipe.quantization
        about["four_bit"] = {"type": spec.type, "double": spec.double, "skip": SKIPPED}
    if side.network.scores_tokens:
        about["inside"] = side.network.causal.base_model_prefix  # type: ignore[attr-defined]
    return about


def _name_base(folder: Path, about: dict[str, Any]) -> None:
    """Let the adapter say which base model it is for; that of a language model is written for the whole model
    (`AutoModelForCausalLM`), as others expect it, where the run had it on the part without the output layer."""
    from safetensors.torch import load_file, save_file

    (folder / "README.md").unlink(missing_ok=True)  # peft's empty form, which names the base model's folder
    config = json.loads((folder / "adapter_config.json").read_text(encoding="utf-8"))
    config["base_model_name_or_path"] = about["base_hub_id"]
    if inside := about.get("inside"):
        config["task_type"] = "CAUSAL_LM"
        path, start = folder / "adapter_model.safetensors", "base_model.model."
        moved = {start + f"{inside}." + name.removeprefix(start): tensor for name, tensor in load_file(path).items()}
        save_file(moved, path, metadata={"format": "pt"})
    write(folder / "adapter_config.json", json.dumps(config, indent=1))


FORMAT: Format = Adapter()
