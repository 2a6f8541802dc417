"""The `prepare` job: fetch and inspect a base model, fetch and ingest a bundled dataset."""

from __future__ import annotations

from typing import Any

from core.domain.run import Observer, Phase
from core.models import fetch
from core.models import inspect as model_inspect
from core.settings import Settings
from core.training import device


def prepare(payload: dict[str, Any], *, settings: Settings, workspace: str, observer: Observer) -> dict[str, Any]:
    """payload: {"model": id, "dataset": catalogue id}, either may be absent. Returns {"dataset": id, "model":
    revision}.

    Raises FetchError when no source delivers.
    """
    from core.data.bundled import ensure

    done: dict[str, Any] = {}
    observer.phase(Phase.FETCHING)
    if payload.get("dataset"):
        dataset = ensure(payload["dataset"], settings=settings, workspace=workspace,
                                 progress=lambda now, total: observer.progress(now, total, "bytes", "dataset"))
        done["dataset"] = dataset.id
    if payload.get("model"):
        fetch.ensure_model(payload["model"], settings=settings,
                           progress=lambda now, total: observer.progress(now, total, "bytes", "base model"))
    observer.phase(Phase.PREPARING)
    device.read(settings)
    if payload.get("model"):
        done["model"] = model_inspect.inspect_model(payload["model"], settings=settings).revision
    return done
