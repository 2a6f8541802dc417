"""`core runs | resume | stop | first | supervise`: the queue that the app uses."""

from __future__ import annotations

import time
from argparse import Namespace
from pathlib import Path

from core.cli import output
from core.domain import codec
from core.domain.run import Status
from core.planning import names
from core.settings import Settings


def runs(args: Namespace, settings: Settings) -> int:
    """List the runs of a workspace, newest first."""
    from core.api import Thaw

    found = Thaw(settings).runs.all(args.workspace)
    if args.json:
        output.document({"workspace": args.workspace, "runs": codec.to_json(found)})
    elif not found:
        print(f"The workspace {args.workspace} has no runs. Workspaces of the app are in its address (?ws=…): "
              "use --workspace.")
    else:
        print(output.table(["id", "name", "method", "status", "created", "why it ended"], [
            [run.id, names.whole(run), run.recipe.method if run.recipe else run.kind.value, run.status.value,
             time.strftime("%Y-%m-%d %H:%M", time.localtime(run.created)), run.failure.what if run.failure else ""]
            for run in found]))
    return 0


def resume(args: Namespace, settings: Settings) -> int:
    """Go on with a run: a run of the queue by its id, a run of `compare` by its folder."""
    run_dir = Path(args.run).absolute()
    if (run_dir / "recipe.json").is_file():
        return _resume_folder(run_dir, args, settings)
    from core.api import Thaw

    thaw = Thaw(settings)
    thaw.runs.resume(args.workspace, args.run)
    thaw.ensure_supervisor()
    return _show(thaw.runs.get(args.workspace, args.run), as_json=args.json)


def _resume_folder(run_dir: Path, args: Namespace, settings: Settings) -> int:
    from core.cli import follow

    outcome = follow.folder(run_dir, settings=settings, workspace=args.workspace, resume=True)
    if outcome.failure is not None:
        output.error(outcome.failure, as_json=args.json)
        return 1
    if args.json:
        output.document({"id": run_dir.name, "status": outcome.status, "result": outcome.result})
    else:
        score = f", {output.test_score(outcome.result)}" if outcome.result else ""
        print(f"{run_dir.name}: {outcome.status.value}{score}")
    return 0 if outcome.status is Status.DONE else 1


def stop(args: Namespace, settings: Settings) -> int:
    """Ask a run of the queue to stop; its best checkpoint is kept."""
    from core.api import Thaw

    thaw = Thaw(settings)
    thaw.runs.stop(args.workspace, args.run)
    return _show(thaw.runs.get(args.workspace, args.run), as_json=args.json)


def first(args: Namespace, settings: Settings) -> int:
    """Put a waiting run before the others of its workspace."""
    from core.api import Thaw

    thaw = Thaw(settings)
    thaw.runs.put_first(args.workspace, args.run)
    return _show(thaw.runs.get(args.workspace, args.run), as_json=args.json)


def supervise(args: Namespace, settings: Settings) -> int:
    """Be the supervisor until ended, or start one in the background."""
    if args.detach:
        from core.jobs.launch import ensure_supervisor

        started = ensure_supervisor(settings)
        output.say("The supervisor was started." if started else "A supervisor is already alive.")
        return 0
    from core.jobs.supervisor import main

    return main(settings, identity=args.id)


def _show(run: object, *, as_json: bool) -> int:
    if as_json:
        output.document(run)
    else:
        print(f"{run.id}: {run.status.value}")  # type: ignore[attr-defined]
    return 0
