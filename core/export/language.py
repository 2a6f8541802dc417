"""Exports of a language model: a folder for AutoModelForCausalLM, with what the run trained in it."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

from core import tasks
from core.export import requirements
from core.export.base import base_of, copy_recipe, write

if TYPE_CHECKING:
    from core.export.finished import Finished

ASKED = "thawquestion"


def write_whole(run: Finished, target: Path) -> dict[str, Any]:
    """The whole model in fp32, its tokenizer, and a script that asks it."""
    from core.export import merged

    def weights() -> dict[str, Any]:
        side: Any = run.whole
        shutil.copytree(run.folder / "artifact" / "processor", target, dirs_exist_ok=True)
        side.network.causal.config.dtype = "float32"
        side.network.causal.save_pretrained(target, safe_serialization=True)
        return merged.about_of(run, side)

    about = run.once("weights", weights)
    copy_recipe(run, target)
    requirements.write(run, target, "torch", "transformers", "safetensors", "numpy")
    write(target / "export.json", json.dumps(about, indent=1, ensure_ascii=False))
    shutil.copyfile(tasks.get(run.recipe.task).script, target / "predict.py")
    folded = "; the adapter is folded, in 32 bits, into the weights that its 4-bit ones stand for" if run.four_bit \
        else ""
    write(target / "README.md", f"# {run.name}\n\n{base_of(about)} with what the run trained in it{folded}.\n\n"
                                "`AutoModelForCausalLM.from_pretrained(folder)` and `AutoTokenizer.from_pretrained("
                                "folder)` load it. `python predict.py \"text\"` answers, or goes on with the text.\n")
    return {"notes": ["The folder is an ordinary one: AutoModelForCausalLM.from_pretrained loads it.",
                      *([merged.UNPACKED] if run.four_bit else [])]}


def asking(side: Any) -> dict[str, Any]:
    """How a question is put to it, so that `predict.py` needs nothing of Thaw."""
    from core.data.conversations import USER, Turn
    from core.models import tokens
    from core.tasks import teaching
    from core.training import generate

    format = teaching.format_of(side.task.processor)
    before, _, behind = format.prompt([Turn(USER, ASKED)]).partition(ASKED)
    return {"prompt": [before, behind], "special": format.plain, "pad_id": tokens.pad_id(side.task.processor),
            "appended": _appended(side.task.processor), "ends": generate.ends_of(format, side.network.causal)}


def _appended(tokenizer: Any) -> list[int]:
    """What a tokenizer puts behind a text of its own accord: whoever is to go on with a text must not be given it."""
    bare, whole = (list(tokenizer(ASKED, add_special_tokens=special)["input_ids"]) for special in (False, True))
    start = next((at for at in range(len(whole)) if whole[at:at + len(bare)] == bare), len(whole))
    return [int(id) for id in whole[start + len(bare):]]
