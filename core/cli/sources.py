"""What a command names, found: a dataset by id or file, a base model by id or folder."""

from __future__ import annotations

import dataclasses
import re
from argparse import Namespace
from pathlib import Path
from typing import TYPE_CHECKING

from core import logs
from core.cli import follow, output
from core.cli.output import ProgressLine
from core.domain.dataset import Content, Dataset, Role, Task
from core.domain.model import ModelFacts
from core.domain.run import JobKind
from core.errors import NotFoundError
from core.settings import Settings

if TYPE_CHECKING:
    from core.data.check import Options
    from core.data.forms import Wanted
    from core.data.readers.table import Table


def wanted(args: Namespace) -> Wanted:
    """What the command line says of a file's rows and columns. Raises DataError for a shape that there is not."""
    from core.data.forms import Wanted, wanted_form

    task = Task.on(Content.TEXT, labelled=False) if args.task == "language" else Task(args.task) if args.task else None
    columns = {role: getattr(args, name) for name, role in _FLAGS.items()}
    return Wanted(task=task, form=wanted_form(args.shape), columns=columns)


def options(args: Namespace) -> Options:
    """What the command line says of an import."""
    from core.data.check import Options
    from core.data.passages import PASSAGE_TOKENS

    tokens = PASSAGE_TOKENS if args.passage_tokens is None else args.passage_tokens
    return Options(fix_leaks=args.fix_leaks, merge_labels=args.merge_labels, passage_tokens=max(0, tokens),
                   passage_overlap=max(0, args.passage_overlap), by_line=args.lines, shift_domain=args.shift_domain)


_FLAGS = {"text": Role.TEXT, "label": Role.LABEL, "prompt": Role.PROMPT, "response": Role.RESPONSE,
          "messages": Role.MESSAGES, "group": Role.GROUP, "domain": Role.DOMAIN}


def dataset(name: str, *, shift: str | None, settings: Settings, workspace: str, wanted: Wanted | None = None,
            options: Options | None = None) -> Dataset:
    """A dataset of the workspace: an id, a bundled set (fetched on first use), or a file (checked and ingested).

    shift: a second one, attached as its shift set. wanted: task, shape and columns of a file (the columns of the shift
    set too, where it has them). options: how it is read, and what is mended on the way.
    """
    found = _one(name, wanted=wanted, settings=settings, workspace=workspace, options=options)
    if shift is None:
        return found
    from core.data import library
    from core.data.attach import attach
    from core.data.check import Options
    from core.data.forms import Wanted

    if found.reading is not None:                                    # pictures of both are read alike
        options = dataclasses.replace(options or Options(), depth=found.reading.depth)
    alike = (wanted or Wanted()).like(found)
    there = {known.id for known in library.list_datasets(settings=settings, workspace=workspace, replaced=True)}
    whole = dataclasses.replace(options, shift_domain=None) if options is not None else None
    other = _one(shift, wanted=alike, settings=settings, workspace=workspace, options=whole, where_there=True)
    try:
        attached = attach(found, other, settings=settings, workspace=workspace)
    finally:
        if Path(shift).expanduser().exists() and other.id not in there:  # a file's rows are kept with the dataset's
            library.delete(other.id, settings=settings, workspace=workspace)
    for class_name, count in attached.unmatched.items():
        output.say(f"Shift set: {count:,} rows of class {class_name!r} are left out; {found.name} has no such class.")
    return attached.dataset


def _one(name: str, *, wanted: Wanted | None, settings: Settings, workspace: str, options: Options | None,
         where_there: bool = False) -> Dataset:
    from core.data import bundled, library, meter
    from core.data.catalogue import DATASETS

    path = Path(name).expanduser()
    if path.exists():
        return _ingest(path, wanted=wanted, settings=settings, workspace=workspace, options=options,
                       where_there=where_there)
    if _is_bundled(name):
        if already := library.find(name, settings=settings, workspace=workspace):
            return _with_cautions(already)
        line = ProgressLine(f"{name}:")
        with meter.watched(line.amount):
            made = bundled.ensure(name, settings=settings, workspace=workspace, progress=line.bytes)
        line.done(f"{made.rows_kept:,} rows")
        return made
    if _is_id(name):
        return _with_cautions(library.load(name, settings=settings, workspace=workspace))
    raise NotFoundError(f"There is no file and no dataset called {name!r}.",
                        why=f"The bundled sets are {', '.join(entry.id for entry in DATASETS)}.",
                        remedy="Check the path, or use the id of a bundled set.")


def is_dataset(name: str) -> bool:
    """Whether this is the id of a bundled set, or may be that of a dataset of the workspace."""
    return _is_bundled(name) or _is_id(name)


def _is_bundled(name: str) -> bool:
    from core.data.catalogue import DATASETS

    return any(entry.id == name for entry in DATASETS)


def _is_id(name: str) -> bool:
    return re.fullmatch(r"[0-9a-f]{16}", name) is not None


def _with_cautions(found: Dataset) -> Dataset:
    """A dataset of the workspace, after what to know before training on it was said."""
    from core.data.checks.splits import cautions

    for finding in cautions(found.counts):
        output.say(f"  {finding.severity}: {finding.message}")
    return found


def _ingest(path: Path, *, wanted: Wanted | None, settings: Settings, workspace: str, options: Options | None,
            where_there: bool) -> Dataset:
    """where_there: columns that are wanted count only if the file has them."""
    from core.data import forms, meter, shapes, tables
    from core.data.ingest import ingest

    line = ProgressLine(f"{path.name}:")
    with meter.watched(line.amount):
        table = tables.read(path, settings=settings)
    wanted = wanted or forms.Wanted()
    if where_there:
        there = {role: name for role, name in wanted.columns.items() if name in table.columns}
        wanted = dataclasses.replace(wanted, columns=there)
    chosen = shapes.choose(table, wanted)
    with meter.watched(line.amount):
        made, report = ingest(table, roles=chosen.roles, evidence=chosen.evidence, why=chosen.why, source=path.name,
                              name=path.stem.removesuffix(".tar"), settings=settings, workspace=workspace,
                              options=options)
    passages = f" ({report.passages:,} passages)" if report.passages else ""
    line.done(f"{report.rows_read:,} rows read = {report.rows_kept:,} kept{passages} + {len(report.left_out):,} left "
              f"out; {_origin(table, {str(role): name for name, role in chosen.roles.items()})}")
    for finding in report.findings:
        if finding.severity != "info":
            output.say(f"  {finding.severity}: {finding.message}")
    return made


def _origin(table: Table, chosen: dict[str, str]) -> str:
    """Where texts (or pictures) and labels come from, in words. chosen: role -> column."""
    if table.by_folder and "label" in chosen:
        kind = "texts" if table.pictures is None else "pictures"
        return f"{kind} labelled by their folders" + (", split by the folders above" if "split" in chosen else "")
    if "label" not in chosen:
        said = next((f"{word} from {chosen[role]!r}" for role, word in (
            ("messages", "conversations"), ("prompt", "conversations"), ("text", "text")) if role in chosen), "text")
        return said + "".join(f", {what} from {chosen[what]!r}" for what in ("group", "split") if what in chosen)
    content = f"text from {chosen['text']!r}" if table.pictures is None else f"pictures named by {chosen['image']!r}"
    return (f"{content}, label from {chosen['label']!r}"
            + (f", split from {chosen['split']!r}" if "split" in chosen else ""))


def id_of_model(name: str) -> str:
    """A base model's id: the absolute path of a folder or GGUF file that is here, else the name as it is."""
    from core.models.catalogue import find
    from core.models.gguf_file import is_file

    path = Path(name).expanduser()
    here = find(name) is None and (path.is_dir() or (is_file(path) and path.is_file()))
    return str(path.absolute()) if here else name


def model(name: str, *, settings: Settings, workspace: str) -> ModelFacts:
    """Facts of a base model (catalogue id, hub id, folder, GGUF file); fetched and inspected, in a process of its own,
    when that was not done yet."""
    from core.models import facts as facts_module

    model_id = id_of_model(name)
    found = facts_module.read(model_id, settings)
    if found is None:
        line = ProgressLine(f"{name}:")
        follow.job(JobKind.PREPARE, {"model": model_id}, name=f"Fetch {name}", settings=settings, workspace=workspace,
                   line=line)
        found = facts_module.read(model_id, settings)
        line.done("inspected")
    if found is None:
        raise NotFoundError(f"The base model {name} was fetched but not inspected.",
                            remedy=f"Run the command again; look at {logs.WORKER} in the data folder if "
                                   "it fails again.")
    return found
