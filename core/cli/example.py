"""`core example make`: the recorded example that comes with Thaw, of runs that are trained now or are done."""

from __future__ import annotations

from argparse import Namespace
from pathlib import Path

from core import recorded
from core.analysis.sample import DEFAULT_ROWS
from core.api import Thaw
from core.cli import follow, output
from core.cli.output import ProgressLine
from core.domain.run import JobKind, Status
from core.errors import ThawError
from core.models.methods import HOME
from core.recorded import pack
from core.settings import Settings


def make(args: Namespace, settings: Settings) -> int:
    """Train the first comparison of the home page (or take one that is done), measure its features, write the files."""
    api = Thaw(settings)
    ids = _finished(api, args.workspace) if args.finished else _train(api, settings, args.workspace)
    folders = [api.runs.get(args.workspace, id).folder for id in ids]
    if missing := [id for id in ids if not api.features.state(args.workspace, id).ready]:
        follow.job(JobKind.FEATURES, {"runs": folders, "rows": DEFAULT_ROWS}, name="Features of the example",
                   settings=settings, workspace=args.workspace, line=ProgressLine(f"features of {len(missing)} runs:"))
    out = Path(args.out).absolute() if args.out else recorded.ARCHIVE.parent
    made = pack.pack(ids, settings=settings, workspace=args.workspace, archive=out / recorded.ARCHIVE.name,
                     card=out / recorded.CARD.name)
    size = (out / recorded.ARCHIVE.name).stat().st_size
    report = {"archive": str(out / recorded.ARCHIVE.name), "bytes": size, "runs": list(made.runs), "title": made.title}
    if args.json:
        output.document(report)
    else:
        output.say(f"{made.title}: {len(made.runs)} runs in {output.size(size)}, {out / recorded.ARCHIVE.name}")
    return 0


def _train(api: Thaw, settings: Settings, workspace: str) -> list[str]:
    """The comparison that the home page starts."""
    dataset, model = api.data.bundled()[0], api.models.bundled()[0]
    follow.device(settings, workspace=workspace)
    ids = api.experiments.compare_bundled(workspace, dataset=dataset.id, model=model.id, methods=HOME[dataset.task])
    lines = {id: ProgressLine(f"[{number}/{len(ids)}]") for number, id in enumerate(ids, 1)}
    for id, outcome in follow.train(lines, settings=settings, workspace=workspace):
        lines[id].done(f"{api.runs.get(workspace, id).name}: {outcome.status.value}")
    return ids


def _finished(api: Thaw, workspace: str) -> list[str]:
    """The runs of the newest experiment that is done in all its runs, in the order they were submitted."""
    for experiment in api.experiments.all(workspace):
        runs = [run for run in api.runs.all(workspace, kind=JobKind.TRAIN) if run.experiment == experiment.id]
        if runs and all(run.status is Status.DONE for run in runs):
            return [run.id for run in reversed(runs)]
    raise ThawError("This workspace has no finished comparison.", remedy="Leave out --finished to train one.")
