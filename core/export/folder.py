"""The export `folder`: a plain transformers folder that `pipeline()` loads: head, pooling and label names inside."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

from core.domain.dataset import Content
from core.domain.model import ModelFacts
from core.domain.recipe import Recipe
from core.export import language, requirements, stock
from core.export.base import EXACT, Format, base_of, whole_bytes, write

if TYPE_CHECKING:
    from core.export.finished import Finished

_README = """# {title}

A {kind} classifier for {count} classes, fine-tuned with Thaw from {base}. `transformers` loads it by itself:

```python
from transformers import pipeline
classify = pipeline("{kind}-classification", model="folder")
classify({example})
```

Its class is `{stock}`{why}. {limit}Base model: {base}. `certificate.json` says how it was checked.
"""


class Folder:
    """A stock class of transformers with everything that the run trained in it."""

    name = "folder"
    summary = "a plain transformers folder that pipeline() loads"
    tolerance: float | None = EXACT

    def applies_to(self, recipe: Recipe, facts: ModelFacts | None) -> str | None:
        """See `core.export.base.Format`. Of pictures it is told only when it is tried."""
        if facts is None or recipe.task.content is not Content.TEXT or not recipe.task.labelled:
            return None
        return stock.refusal(facts.architecture, facts.pooling if recipe.pooling == "auto" else recipe.pooling)

    def size_bytes(self, recipe: Recipe, facts: ModelFacts, artifact_bytes: int) -> int:
        """See `core.export.base.Format`."""
        return whole_bytes(facts)

    def write(self, run: Finished, target: Path) -> dict[str, Any]:
        """See `core.export.base.Format`."""
        from core.export import stock_models

        if not run.recipe.task.labelled:
            return language.write_whole(run, target)
        side: Any = run.whole
        found = stock_models.of(side, run.labels["classes"])
        shutil.copytree(run.folder / "artifact" / "processor", target, dirs_exist_ok=True)
        if run.recipe.task.content is Content.TEXT:
            _write_tokenizer(target, limit=_limit(run), pads=found.pads)
        found.model.save_pretrained(target, safe_serialization=True)
        requirements.write(run, target, "torch", "transformers", "safetensors")
        _write_readme(run, target, found)
        return {"notes": [f"Its class is {type(found.model).__name__}{found.why}.",
                          *([] if found.pads else [stock.ONE_BY_ONE])]}


def _limit(run: Finished) -> int:
    return min(run.recipe.max_length, run.facts.max_length)


def _write_tokenizer(target: Path, *, limit: int, pads: bool) -> None:
    """Let the tokenizer cut where the run cut, and hand on what the model reads."""
    from core.models import tokens

    tokenizer = tokens.load(target)
    tokenizer.model_max_length = limit
    tokenizer.model_input_names = ["input_ids", "attention_mask"]
    if not pads:
        tokenizer.pad_token = None  # transformers then refuses to fill rows up, which would change the answers
    elif tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.convert_ids_to_tokens(tokens.pad_id(tokenizer))
    tokenizer.save_pretrained(target)
    path = target / "tokenizer_config.json"
    config = json.loads(path.read_text(encoding="utf-8"))
    config["model_input_names"] = ["input_ids", "attention_mask"]
    write(path, json.dumps(config, indent=1, ensure_ascii=False))


def _write_readme(run: Finished, target: Path, found: Any) -> None:
    texts = run.recipe.task.content is Content.TEXT
    base = base_of({"base_model": run.base_hub_id, "base_model_revision": run.facts.revision})
    limit = ""
    if texts:
        limit = (f"Texts are cut at {_limit(run)} tokens, as in training, where `truncation=True` is said. "
                 + ("" if found.pads else f"{stock.ONE_BY_ONE} "))
    write(target / "README.md", _README.format(
        title=run.name, kind="text" if texts else "image", count=len(run.labels["classes"]), base=base,
        example='["a text"], truncation=True' if texts else '"picture.png"', stock=type(found.model).__name__,
        why=found.why, limit=limit))


FORMAT: Format = Folder()
