"""Say which tokens of a dataset teach a base model: the job behind the viewer, with training's own functions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from core import cache, files
from core.domain.run import Observer, Phase
from core.models import fetch, tokens
from core.models import inspect as model_inspect
from core.settings import Settings
from core.tasks import taught_rows, teaching, teaching_report


def survey(payload: Mapping[str, Any], *, settings: Settings, workspace: str, observer: Observer) -> dict[str, Any]:
    """payload: {"dataset", "model", "max_length"}, and "taught" where it is not `auto`. Writes `teaching.json` into
    `teaching_report.folder`; returns where."""
    from core.training.session import dataset_of, read_rows

    observer.phase(Phase.FETCHING)
    model, dataset = str(payload["model"]), str(payload["dataset"])
    folder = fetch.ensure_model(model, settings=settings,
                                progress=lambda done, total: observer.progress(done, total, "bytes", "base model"))
    found = dataset_of(dataset, settings=settings, workspace=workspace,
                       progress=lambda done, total: observer.progress(done, total, "bytes", "dataset"))
    observer.phase(Phase.PREPARING)
    facts = model_inspect.inspect_model(model, settings=settings)
    rows = read_rows(found, settings=settings, workspace=workspace)
    taught = str(payload.get("taught", teaching.AUTO))
    limit = teaching_report.limit(int(payload["max_length"]), facts)
    tokenizer = tokens.load(folder)
    encoded = taught_rows.encode(rows, tokenizer, taught=taught, limit=limit, revision=facts.revision,
                                 cache=settings.cache, fixed_width=facts.fixed_width,
                                 report=lambda done, total: observer.progress(done, total, "rows", "read"))
    document = teaching_report.survey(rows, encoded, tokenizer, model=model, dataset=dataset, limit=limit,
                                      taught=taught)
    target = teaching_report.folder(settings.cache, dataset_hash=found.content_hash, revision=facts.revision,
                                    limit=limit, taught=taught)
    with cache.filling(target):
        files.write_json(target / teaching_report.FILE, document)
        files.write_json(target / cache.KEY, [found.content_hash, facts.revision, limit, taught])
    return {"teaching": str(target / teaching_report.FILE)}
