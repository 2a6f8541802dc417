"""What a worker can do: a line a kind of job in `HANDLERS`. Torch is imported inside the functions, by workers only."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from core import files
from core.data import meter
from core.domain.run import JobKind, Observer, Result, Run
from core.errors import RecipeError, ThawError
from core.settings import Settings


@dataclass(frozen=True, kw_only=True)
class Job:
    """Everything a handler needs to know."""

    run: Run
    settings: Settings
    observer: Observer
    resume: bool
    """Go on from the last checkpoint in the run folder."""
    mates_wait: Callable[[], bool] = lambda: False
    """Whether another run of its experiment waits."""

    @property
    def folder(self) -> Path:
        return Path(self.run.folder)


Handler = Callable[[Job], Result | dict[str, Any]]


def train(job: Job) -> Result:
    """Execute the run's recipe, then make its features. A run that was cut off while those were made is not executed
    again. Raises TurnOver where it races and has reached a rung while others wait."""
    from core.training import features_phase
    from core.training.execute import execute

    if job.run.recipe is None:
        raise RecipeError("This run has no recipe.", why="It was submitted without one.",
                          remedy="Start a new run on the Train page.")
    with _reading_shown(job):
        result = features_phase.finished(job.folder) if job.resume else None
        if result is None:
            result = execute(job.run.recipe, settings=job.settings, workspace=job.run.workspace, run_dir=job.folder,
                             observer=job.observer, resume=job.resume,
                             in_turns=job.mates_wait if job.run.in_turns else None)
        if not job.run.makes_features:
            return result
        return features_phase.after(result, job.folder, settings=job.settings, workspace=job.run.workspace,
                                    observer=job.observer)


def prepare(job: Job) -> dict[str, Any]:
    """Fetch and inspect a base model, fetch and ingest a bundled dataset."""
    from core.training.prepare import prepare as prepare_assets

    with _reading_shown(job):
        return dict(prepare_assets(job.run.payload, settings=job.settings, workspace=job.run.workspace,
                                   observer=job.observer))


def features(job: Job) -> dict[str, Any]:
    """Extract and compare the features of the runs in the payload: {"runs": [folder, …], "rows": n, "beside": id}.

    beside: of a second dataset; absent without one.
    """
    from core.analysis.sample import SHIFT_SET
    from core.training.extract import measure

    failed: ThawError | None = None
    for folder in job.run.payload["runs"]:
        if job.observer.should_stop():
            break
        try:
            measure(Path(folder), settings=job.settings, workspace=job.run.workspace, observer=job.observer,
                    rows=int(job.run.payload["rows"]), second=str(job.run.payload.get("beside", SHIFT_SET)))
        except ThawError as error:  # one run that cannot be measured does not keep the others from it
            failed = failed or error
    if failed:
        raise failed
    return {}


def strength(job: Job) -> dict[str, Any]:
    """Turn the change of a run up and down and measure it on fixed rows: {"run": folder, "dial", "blocks", "head",
    "values"}."""
    from core.training import strength_curve

    with _reading_shown(job):
        strength_curve.measure(job.run.payload, settings=job.settings, workspace=job.run.workspace,
                               observer=job.observer)
    return {}


def mask(job: Job) -> dict[str, Any]:
    """Which tokens of a dataset teach a base model: {"dataset", "model", "max_length"}."""
    from core.training.mask import survey

    return survey(job.run.payload, settings=job.settings, workspace=job.run.workspace, observer=job.observer)


def trial(job: Job) -> dict[str, Any]:
    """Take one step of a recipe: {"recipe": its JSON}. What it took, as `OneStep` in JSON; nothing where it was
    stopped."""
    from core.domain import codec
    from core.domain.recipe import Recipe
    from core.training import one_step

    with _reading_shown(job):
        found = one_step.take(Recipe.from_json(job.run.payload["recipe"]), settings=job.settings,
                              workspace=job.run.workspace, folder=job.folder, observer=job.observer)
    return dict(codec.to_json(found)) if found is not None else {}


def import_data(job: Job) -> dict[str, Any]:
    """Read, check and keep a file or a hub set; no torch."""
    from core.data import import_job

    return import_job.run(job.run.payload, settings=job.settings, workspace=job.run.workspace, folder=job.folder,
                          observer=job.observer)


def export(job: Job) -> dict[str, Any]:
    """Write a run's model below its folder, with its certificate: {"folder": of the run, "as": format, "title",
    "strength": of a saved setting, or empty, "afresh": whether what an attempt that was cut off left is thrown away}.
    What stood there is replaced when the new one is whole. Stopped, it leaves that as it was, and beside it what it had
    written, to go on from."""
    import shutil

    from core.export import certificate, exporting, places

    payload = job.run.payload
    strength = str(payload.get("strength", ""))
    target, fresh = places.folder(Path(payload["folder"]), str(payload["as"]), strength), job.folder / "export"
    shutil.rmtree(fresh, ignore_errors=True)  # of an earlier attempt
    try:
        report = exporting.export(Path(payload["folder"]), fresh, form=str(payload["as"]), settings=job.settings,
                                  workspace=job.run.workspace, title=str(payload.get("title", "")),
                                  strength=strength, observer=job.observer,
                                  place=places.unfinished(Path(payload["folder"]), str(payload["as"]), strength),
                                  afresh=bool(payload.get("afresh")) and not job.resume)
    except certificate.Stopped:
        return {}
    target.parent.mkdir(exist_ok=True)
    files.remove_folder(target)
    files.move(fresh, target)
    files.write_json(places.notes(target), {"notes": report["notes"]})
    return {"as": report["as"], "bytes": report["bytes"], "passed": (report["certificate"] or {}).get("passed")}


def predict(job: Job) -> dict[str, Any]:
    """Answer every row of a file: {"path", "run", "which", "text"}."""
    from core.training import predict_file

    with _reading_shown(job):
        return predict_file.predict(job.run.payload, settings=job.settings, workspace=job.run.workspace,
                                    folder=job.folder, observer=job.observer)


def _reading_shown(job: Job) -> AbstractContextManager[None]:
    """Inside, what readers and checks tell (drawing thousands of pictures takes a while) is shown as progress."""
    return meter.watched(lambda stage, done, total: job.observer.progress(done, total, meter.unit(stage), stage))


HANDLERS: Mapping[JobKind, Handler] = {
    JobKind.TRAIN: train,
    JobKind.PREPARE: prepare,
    JobKind.IMPORT: import_data,
    JobKind.FEATURES: features,
    JobKind.STRENGTH: strength,
    JobKind.MASK: mask,
    JobKind.EXPORT: export,
    JobKind.PREDICT: predict,
    JobKind.TRIAL: trial,
}
