"""Where a base model lies on disk and what inspecting it found; no torch."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

from core.domain import codec
from core.domain.model import ModelFacts
from core.settings import Settings

FACTS_FILE = "facts.json"


def is_local(model_id: str) -> bool:
    """True for a folder on this machine rather than a catalogue or hub id."""
    return model_id.startswith(("/", "~", "./", "../")) or (len(model_id) > 2 and model_id[1:3] in (":\\", ":/"))


def folder(model_id: str, settings: Settings) -> Path:
    """The folder that `from_pretrained` loads: in assets for catalogue and hub ids, the folder itself for local ones."""
    if is_local(model_id):
        return Path(model_id).expanduser().absolute()
    return settings.assets / "models" / model_id.replace("/", "--")


def facts_path(model_id: str, settings: Settings) -> Path:
    """Facts lie beside fetched weights; for a local folder in the assets folder, since a base model is never written to."""
    if is_local(model_id):
        digest = hashlib.sha256(str(folder(model_id, settings)).encode()).hexdigest()[:16]
        return settings.assets / "models" / f"local-{digest}" / FACTS_FILE
    return folder(model_id, settings) / FACTS_FILE


def read(model_id: str, settings: Settings) -> ModelFacts | None:
    """Facts of an inspected model, or None when it was not fetched and inspected yet."""
    path = facts_path(model_id, settings)
    if not path.is_file():
        return None
    data = json.loads(path.read_text(encoding="utf-8"))
    return codec.from_json(ModelFacts, data) if data.get("schema_version") == ModelFacts.schema_version else None


def write(facts: ModelFacts, settings: Settings) -> None:
    """Write `facts.json` by rename, so that a reader never sees half of it."""
    path = facts_path(facts.id, settings)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_suffix(".tmp")
    temporary.write_text(json.dumps(codec.to_json(facts), indent=1), encoding="utf-8")
    temporary.replace(path)
