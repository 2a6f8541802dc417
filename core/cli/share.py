"""`core share`: finished runs as one file that is read without this machine."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Sequence
from pathlib import Path

from core import files
from core.api import Thaw
from core.cli import output
from core.domain import codec
from core.errors import NotFoundError, RecipeError
from core.settings import Settings
from core.store import Store


def share(args: Namespace, settings: Settings) -> int:
    """Write runs (folders or ids) or whole experiments (ids) to a file, and say how large it is."""
    thaw = Thaw(settings)
    workspace, ids = _named(args.runs, settings, args.workspace)
    rows = _rows(args, thaw.share.bound(workspace, ids))
    target = Path(args.to).expanduser().absolute()
    if args.form == "archive":
        thaw.share.archive(workspace, ids, target, rows=rows, features=args.with_features)
    else:
        files.write_bytes(target, thaw.share.report(workspace, ids, rows=rows))
    made = {"file": str(target), "as": args.form, "bytes": target.stat().st_size, "runs": ids, "rows": rows}
    if args.json:
        output.document(made)
    else:
        print(f"Wrote {target}, {output.size(target.stat().st_size)}, {len(ids)} runs, "
              f"{'with' if rows else 'without'} rows of the dataset.")
    return 0


def take_in(args: Namespace, settings: Settings) -> int:
    """Keep the runs of an archive, and say where they are."""
    path = Path(args.file).expanduser().absolute()
    if not path.is_file():
        raise NotFoundError(f"There is no file {args.file}.", remedy="Check the path.")
    thaw = Thaw(settings)
    taken = thaw.share.take_in(args.workspace, path)
    if args.json:
        output.document({"workspace": args.workspace, **codec.to_json(taken),
                         "missing": {id: thaw.share.missing(args.workspace, id) for id in taken.runs}})
    else:
        print(f"Imported {taken.title}: {len(taken.runs)} runs into the workspace {args.workspace}.")
        for said in dict.fromkeys(said for id in taken.runs for said in thaw.share.missing(args.workspace, id)):
            print(f"To train it here: {said}")
    return 0


def _rows(args: Namespace, bound: Sequence[str]) -> bool:
    """Whether rows go into the file: as asked for, else where nobody's licence is in the way."""
    if args.rows is not None:
        return bool(args.rows)
    for name in bound:  # not asked for, so not a refusal
        output.say(f"Rows of {name} are left out: its licence does not let them be handed on without conditions.")
    return not bound


def _named(named: Sequence[str], settings: Settings, workspace: str) -> tuple[str, list[str]]:
    """Workspace and ids of the runs that are meant: folders, run ids, experiment ids. Raises NotFoundError for one that
    is not here, RecipeError for runs of several workspaces."""
    thaw, store = Thaw(settings), Store(settings)
    found: dict[str, str] = {}
    for name in named:
        folder = Path(name).expanduser().absolute()
        if (folder / "recipe.json").is_file():
            run = store.jobs.of_folder(folder)
            if run is None:
                raise NotFoundError(f"The run in {folder} is not known in this data folder.",
                                    why="Its entry was deleted, or it was trained with another THAW_HOME.",
                                    remedy="Set THAW_HOME to the data folder that it was trained in.")
            found[run.id] = run.workspace
        elif members := thaw.experiments.runs(workspace, name):
            found |= {run.id: workspace for run in members}
        else:
            found[thaw.runs.get(workspace, name).id] = workspace
    if len(set(found.values())) > 1:
        raise RecipeError("These runs are of different workspaces.", why="One file is made of one workspace.",
                          remedy="Make a file of each.")
    return next(iter(found.values()), workspace), list(found)
