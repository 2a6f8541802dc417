"""The export `merged` of a language model: a folder for AutoModelForCausalLM, with what the run trained in it."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

from core.domain.model import Weights
from core.export.base import base_of, write
from core.settings import Settings

ASKED = "thawquestion"


def write_merged(run_dir: Path, target: Path, side: Any, facts: Any, *, settings: Settings) -> dict[str, Any]:
    """An adapter trained on 4-bit weights is folded into the full-precision ones."""
    from core.models import methods

    rounded = methods.card_of(side.recipe.method).weights is Weights.FOUR_BIT
    network = _full_precision(run_dir, side, facts, settings) if rounded else side.network
    if hasattr(network.body, "merge_and_unload"):
        network.body.merge_and_unload()
    target.mkdir(parents=True, exist_ok=True)
    shutil.copytree(run_dir / "artifact" / "processor", target, dirs_exist_ok=True)
    network.causal.float().save_pretrained(target, safe_serialization=True)
    shutil.copy2(run_dir / "recipe.json", target / "recipe.json")
    about = {"precision": side.precision, "base_model": side.recipe.base_model, "base_model_revision": facts.revision,
             "input": side.task.card.content, **side.task.standalone(side.recipe, facts, None), **_asking(side)}
    write(target / "export.json", json.dumps(about, indent=1, ensure_ascii=False))
    shutil.copyfile(side.task.script, target / "predict.py")
    folded = "; an adapter that was trained on 4-bit weights is folded into the full-precision ones" if rounded else ""
    write(target / "README.md", f"# {run_dir.name}\n\n{base_of(about)} with what the run trained in it{folded}.\n\n"
                                "`AutoModelForCausalLM.from_pretrained(folder)` and `AutoTokenizer.from_pretrained("
                                "folder)` load it. `python predict.py \"text\"` answers, or goes on with the text.\n")
    return {"notes": ["The folder is an ordinary one: AutoModelForCausalLM.from_pretrained loads it.",
                      *(["The adapter was trained on 4-bit weights and is folded into the full-precision ones: what it "
                         "says differs a little."] if rounded else [])]}


def _asking(side: Any) -> dict[str, Any]:
    """How a question is put to it, so that `predict.py` needs nothing of Thaw."""
    from core.data.conversations import USER, Turn
    from core.models import tokens
    from core.tasks import teaching
    from core.training import generate

    format = teaching.format_of(side.task.processor)
    before, _, behind = format.prompt([Turn(USER, ASKED)]).partition(ASKED)
    return {"prompt": [before, behind], "special": format.plain, "pad_id": tokens.pad_id(side.task.processor),
            "ends": generate.ends_of(format, side.network.causal)}


def _full_precision(run_dir: Path, side: Any, facts: Any, settings: Settings) -> Any:
    """The base model in fp32 with the run's adapter on it."""
    from core.models import adapters
    from core.models import facts as facts_module
    from core.models.language import load_language

    network = load_language(facts_module.folder(side.recipe.base_model, settings), facts=facts, device="cpu")
    adapters.read(network, run_dir / "artifact" / "adapter", device="cpu")
    return network
