"""Where a base model lies on disk, which revision it is, and what inspecting that found; no torch."""

from __future__ import annotations

import dataclasses
import functools
import hashlib
from pathlib import Path

from core import files, values
from core.data import hub
from core.domain import codec
from core.domain.model import ModelFacts
from core.errors import NotFoundError
from core.models import catalogue, gguf_file
from core.models.identity import GGUF, PREFIX, Identity, OneFile
from core.settings import Settings

FACTS_FILE, NOTES_FILE = "facts.json", "identity.json"
PUBLISHED = Path(__file__).with_name("published")
"""Facts of the bundled models, as inspecting them found: `<catalogue id>.json`."""


def is_local(model_id: str) -> bool:
    """True for a folder or file on this machine rather than a catalogue or hub id."""
    return model_id.startswith(("/", "~", "./", "../")) or (len(model_id) > 2 and model_id[1:3] in (":\\", ":/"))


def check_named_by_visitor(model_id: str, settings: Settings) -> None:
    """Raise NotFoundError for a path that does not lead below the folders that the server's owner lists, and for what
    is no id.

    One error for every such path, whether or not something is there: a visitor learns nothing of the server's files.
    (The command line has its user's own rights and names any folder.)
    """
    if not is_local(model_id):
        folder(model_id, settings)
    elif not _is_listed(model_id, settings):
        raise NotFoundError(f"{model_id[:80]!r} is not a base model that may be used here.",
                            why="A path must lead to a model below a folder that this server's owner has listed.",
                            remedy="Ask the owner to list its folder in THAW_MODEL_FOLDERS, or to put the model below "
                                   "the folder `models` of the data folder; or use a bundled model or a hub id.")


def _is_listed(model_id: str, settings: Settings) -> bool:
    """Links are followed first, so that none leads out of the listed folders."""
    try:
        there = Path(model_id).expanduser().resolve()
        roots = [root.expanduser().resolve() for root in settings.model_roots]
        known = there.is_dir() or (gguf_file.is_file(there) and there.is_file())
        return known and any(there.is_relative_to(root) for root in roots)
    except (OSError, ValueError, RuntimeError):
        return False


def folder(model_id: str, settings: Settings) -> Path:
    """The folder that `from_pretrained` loads: in assets for catalogue and hub ids and for what was made of a GGUF
    file, the folder itself for other local ones.

    Raises NotFoundError for what can be none of these.
    """
    if is_local(model_id):
        digest = identity(model_id, settings).digests.get(GGUF) if gguf_file.of(path(model_id)) else None
        return gguf_file.target(digest, settings) if digest else path(model_id)
    if not hub.is_id(model_id):
        raise NotFoundError(f"{model_id[:80]!r} is not the id of a base model.",
                            why="An id looks like owner/name, for instance distilbert/distilbert-base-uncased.",
                            remedy="Copy it from the model's page on the hub, or choose a bundled model.")
    return settings.assets / "models" / model_id.replace("/", "--")


def path(model_id: str) -> Path:
    """The folder or file that a local base model's id names."""
    return Path(model_id).expanduser().absolute()


def facts_path(model_id: str, settings: Settings) -> Path:
    """Facts lie beside fetched weights; for a local folder in the assets folder, since a base model is never written
    to."""
    if is_local(model_id):
        digest = hashlib.sha256(str(path(model_id)).encode()).hexdigest()[:16]
        return settings.assets / "models" / f"local-{digest}" / FACTS_FILE
    return folder(model_id, settings) / FACTS_FILE


def identity(model_id: str, settings: Settings) -> Identity:
    """What lies in the model's folder now, or in its GGUF file. Cheap: only files that changed since the last look are
    read."""
    notes = facts_path(model_id, settings).with_name(NOTES_FILE)
    if not is_local(model_id):
        return Identity(folder(model_id, settings), notes=notes)
    source = gguf_file.of(path(model_id))
    return Identity(path(model_id), notes=notes) if source is None else OneFile(source, notes=notes)


def read(model_id: str, settings: Settings) -> ModelFacts | None:
    """Facts of an inspected model; None when it was not fetched and inspected yet, or its files are others than were
    inspected.

    Facts that an earlier version wrote name a revision of the weights alone; they are given with the revision of today.
    """
    kept = facts_path(model_id, settings)
    if not kept.is_file():
        return None
    now = identity(model_id, settings)
    # the last that were measured; those of this revision, measured before
    for name in (FACTS_FILE, _name(now.revision)):
        found = values.read(kept.with_name(name), ModelFacts)
        if found is not None and not now.digests:  # the folder is gone; what is known of it is shown until it is loaded
            return found
        if found is not None and now.is_revision(found.revision):
            if found.vocabulary is None and (here := published(model_id)) and now.is_revision(here.revision):
                return dataclasses.replace(here, revision=now.revision)  # what an earlier version did not look for
            return dataclasses.replace(found, revision=now.revision)
    return None


@functools.cache
def published(model_id: str) -> ModelFacts | None:
    """What inspecting a bundled model finds, as it comes with Thaw: known before anything is fetched. None for others.
    """
    return values.read(PUBLISHED / f"{model_id}.json", ModelFacts) if catalogue.find(model_id) else None


def _name(revision: str) -> str:
    """File of the facts of one revision: they serve again when its files are put back."""
    return f"facts-{revision.removeprefix(PREFIX)}.json" if revision.startswith(PREFIX) else FACTS_FILE


def write(facts: ModelFacts, settings: Settings) -> None:
    """Write `facts.json` by rename, so that a reader never sees half of it."""
    kept = facts_path(facts.id, settings)
    for name in dict.fromkeys((_name(facts.revision), FACTS_FILE)):
        files.write_json(kept.with_name(name), codec.to_json(facts))
