"""`core predict`: a finished run put to use on a text, a table, a picture, or an archive or folder of pictures."""

from __future__ import annotations

from argparse import Namespace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from core import values
from core.cli import output
from core.cli.output import ProgressLine
from core.domain.dataset import Content, RowSource
from core.domain.side import Side, Which
from core.errors import DataError, RecipeError
from core.serving import side_names
from core.serving.question import check_filled, check_readable
from core.serving.side_names import run_folder as run_folder
from core.settings import Settings

if TYPE_CHECKING:
    from core.data.new_rows import NewRows
    from core.domain.attribution import Attribution
    from core.serving.rows import Said

SHOWN = 20
TYPED = "the text"
"""What an input is called that is no file."""
"""Rows left out that are listed for people; `--json` lists all."""
_FILE_ENDINGS = frozenset({".csv", ".tsv", ".tab", ".txt", ".json", ".jsonl", ".ndjson", ".parquet", ".pq", ".arrow",
                           ".feather", ".xlsx", ".xls", ".zip", ".npz", ".tar", ".tgz", ".gz", ".bz2", ".xz", ".jpg",
                           ".jpeg", ".png", ".webp", ".bmp", ".gif", ".tif", ".tiff", ".ppm", ".pgm", ".heic"})


def predict(args: Namespace, settings: Settings) -> int:
    """Predict a text, or every row of a file, or pictures, with one side of a run (or several beside each other): one
    answer a row, the others named."""
    sides = [side_names.parse(text, which=Which.BASE if args.base else Which.FINAL) for text in args.run_dir]
    sides = _turned(sides, args.strength)
    if len(sides) > 1:
        return _several(sides, args, settings)
    side = sides[0]
    run_dir = side.folder
    rows = new_rows(args.input, run_dir, text=args.text, settings=settings, workspace=args.workspace)
    output.quiet_libraries()
    from core.serving import rows as serving

    found = serving.of(side, rows.content, settings, goes_on=_typed(rows), nearest=args.nearest or 0, why=args.why,
                       workspace=args.workspace, report=ProgressLine(run_dir.name).show)
    answers, notes = found.answers, [*rows.notes, *found.notes]
    for note in notes:
        output.say(f"Note: {note}")
    if args.json:
        turned = {} if args.strength is None else {"strength": side.point or side.strength}
        output.document({"run": run_dir.name, "side": side_names.spoken(side), **turned, "input": rows.name,
                         "rows_read": rows.rows_read,
                         "predictions": [_answer(rows, at, answer, found) for at, answer in enumerate(answers)],
                         "left_out": rows.left_out, "notes": notes})
    else:
        _print(rows, found)
    return 0


def _several(sides: list[Side], args: Namespace, settings: Settings) -> int:
    """The same input for several sides, one after the other: what each says, from which files, and which are the same
    to the last bit."""
    read = [new_rows(args.input, side.folder, text=args.text, settings=settings, workspace=args.workspace)
            for side in sides]
    output.quiet_libraries()
    from core.serving import rows as serving

    said = [serving.of(side, rows.content, settings, goes_on=_typed(rows), nearest=args.nearest or 0, why=args.why,
                       workspace=args.workspace, report=ProgressLine(side_names.spoken(side)).show)
            for side, rows in zip(sides, read, strict=True)]
    digests = [found.digest for found in said]
    same = [[at for at, other in enumerate(digests) if other == digest] for digest in dict.fromkeys(digests)]
    same = [group for group in same if len(group) > 1]
    if args.json:
        output.document({"input": read[0].name, "same_to_the_last_bit": same, "sides": [
            {"run": side.folder.name, "side": side_names.spoken(side), "precision": found.precision,
             "files": found.files, "rows_read": rows.rows_read, "left_out": rows.left_out,
             "notes": [*rows.notes, *found.notes],
             "predictions": [_answer(rows, at, answer, found) for at, answer in enumerate(found.answers)]}
            for side, rows, found in zip(sides, read, said, strict=True)]})
        return 0
    for side, rows, found in zip(sides, read, said, strict=True):
        print(f"== {side.folder.name}, {side_names.spoken(side)} ({found.precision})")
        for file in found.files:
            print(f"   {file.sha256}  {file.name}")
        for note in (*rows.notes, *found.notes):
            output.say(f"Note: {note}")
        _print(rows, found)
    for group in same:
        print("The same to the last bit: "
              + ", ".join(f"{sides[at].folder.name} {side_names.spoken(sides[at])}" for at in group))
    return 0


def _typed(rows: NewRows) -> bool:
    """Whether the input is a text, and no file."""
    return rows.key == "text" and rows.name == TYPED


def _turned(sides: list[Side], wanted: str | None) -> list[Side]:
    """The sides, with what runs changed turned to a strength: a number, or the name of a saved setting."""
    if wanted is None:
        return sides
    if all(side.which is not Which.FINAL for side in sides):
        raise RecipeError("A base model has no strength.", why="Only what a run changed can be turned up and down.",
                          remedy="Leave out --base or --strength; strength 0 is the base model.")
    return [side.turned(wanted) if side.which is Which.FINAL else side for side in sides]


def new_rows(name: str, run_dir: Path, *, text: str | None, settings: Settings, workspace: str) -> NewRows:
    """The rows that `--input` names: a file or folder, or the text itself."""
    from core.data import new_rows as reader

    task, source = values.recipe(run_dir).task, reader.source_of(run_dir, settings, workspace)
    check_filled(name)
    path = Path(name).expanduser()
    try:
        is_file = path.exists()
    except (OSError, ValueError):                                    # longer than a path may be: a text
        is_file = False
    if is_file and task.content is Content.TEXT:
        reader.refuse_pictures(path, settings)
    if is_file and task.content is Content.TEXT and not task.labelled and source is not None and (
            found := _conversations(path, source, settings)):
        return found
    if is_file:
        return reader.read(path, source=source, task=task, text=text, settings=settings)
    if _looks_like_a_file(name):
        raise DataError(f"There is no file {name}.", why=f"Nothing was found at {path.absolute()}.",
                        remedy="Check the path and try again. (A text that looks like a file name is not "
                               "taken as a text.)")
    if task.content is Content.PICTURE:
        raise reader.not_a_picture(name)
    check_readable(name)
    return reader.NewRows(name=TYPED, rows_read=1, row=(1,), content=[name], shown=[name], key="text")


def _conversations(path: Path, source: RowSource, settings: Settings) -> NewRows | None:
    """The rows of a file with conversations, in the columns of training; None for a run that learned from passages."""
    from core.data import conversations, language, tables
    from core.data.new_rows import NewRows
    from core.domain.dataset import Role

    if not source.named(Role.PROMPT, Role.RESPONSE, Role.MESSAGES):
        return None
    table = tables.read(path, settings=settings)
    kept = {name: role for name, role in source.columns.items() if name in table.columns
            and role in (Role.PROMPT, Role.RESPONSE, Role.SYSTEM, Role.MESSAGES)}
    if not kept:
        raise DataError(f"{path.name} has none of the columns that the run was trained on.",
                        why=f"They were: {', '.join(source.named(Role.PROMPT, Role.RESPONSE, Role.MESSAGES))}.",
                        remedy="Name its columns like those of the training data.")
    found = language.build(table, {name: kept.get(name, Role.IGNORE) for name in table.columns})
    texts = found.text.to_pylist()
    return NewRows(name=path.name, rows_read=len(texts) + len(found.left_out), content=texts, key="conversation",
                   row=tuple(int(row) for row in found.row_id), left_out=tuple(found.left_out),
                   shown=[conversations.readable(text) for text in texts])


def _looks_like_a_file(name: str) -> bool:
    """A path rather than a text: it ends like a file, and has no space or begins like a path."""
    return "\n" not in name and Path(name.strip()).suffix.lower() in _FILE_ENDINGS and (
        " " not in name.strip() or name.startswith(("/", "./", "../", "~")))


def _answer(rows: NewRows, at: int, answer: dict[str, Any], said: Said) -> dict[str, Any]:
    """One row's prediction with what tells it from the others."""
    own = {} if rows.ids is None else {"id": rows.ids[at]}
    known: dict[str, Any] = {}
    if said.nearest:
        near = said.nearest[at]
        known = {"distance": near.distance, "unlike_training": near.unlike, "limit": near.limit,
                 "false_alarms": near.false_alarms, "nearest": list(near.rows), "compared_rows": near.compared,
                 "training_rows": near.trained_on}
    if said.placed:
        known["place"] = [said.placed[at].x, said.placed[at].y]
    if said.rests_on:
        known["why"] = _why(said.rests_on[at])
    return {"row": rows.row[at], **own, rows.key: rows.shown[at], **answer, **known}


def _why(found: Attribution) -> dict[str, Any]:
    """What an answer rests on: shares in logits (of the first token of a language model's answer: in nats), of each
    token or of each cell of the picture, line by line."""
    if found.pieces or found.says:
        parts: dict[str, Any] = {"tokens": [{"token": piece, "share": share} for piece, share in
                                            zip(found.pieces, found.shares, strict=True)]}
    else:
        parts = {"cells": [list(found.shares[at:at + found.columns])
                           for at in range(0, len(found.shares), max(1, found.columns))]}
    return {"label": found.label, **parts, "sum": sum(found.shares), "difference": found.difference,
            "error": found.error, "unit": found.unit, **({"earlier_tokens": found.earlier} if found.says else {})}


def _print(rows: NewRows, said: Said) -> None:
    """What a side says of the rows, and what was asked for besides."""
    if said.answers and "answer" in said.answers[0]:
        print(said.answers[0]["answer"] + ("" if said.answers[0]["ended"] else " …"))
    else:
        _print_judged(rows, said.answers)
    _print_nearest(rows, said)
    _print_why(rows, said)


def _print_judged(rows: NewRows, answers: list[dict[str, Any]]) -> None:
    own = [] if rows.ids is None else ["id"]
    if answers and "tokens" in answers[0]:
        print(output.table(["row", "loss", "taught tokens", "likeliest", rows.key], [
            [rows.row[at], "-" if answer["loss"] is None else f"{answer['loss']:.3f}", answer["tokens"],
             answer["right"], _short(rows.shown[at])] for at, answer in enumerate(answers)]))
        _counts(rows, answers)
        return
    print(output.table(["row", *own, "label", "probability", rows.key], [
        [rows.row[at], *([] if rows.ids is None else [_short(rows.ids[at] or "")]), answer["label"],
         f"{100 * answer['probabilities'][answer['label']]:.1f} %",
         _short(rows.shown[at])] for at, answer in enumerate(answers)]))
    _counts(rows, answers)


def _print_nearest(rows: NewRows, said: Said) -> None:
    for at, near in enumerate(said.nearest):
        far = {None: "too few validation rows to say whether that is far", True: "unlike the training rows",
               False: "like the training rows"}[near.unlike]
        limit = "" if near.limit is None else f"; 95 in 100 validation rows lie nearer than {near.limit:.3f}"
        print(f"row {rows.row[at]}: distance {near.distance:.3f} to the fifth nearest training row{limit}: {far}")
        for row in near.rows:
            print(f"  {row.distance:.3f}  {row.label}  {_short(row.content)}")


def _print_why(rows: NewRows, said: Said) -> None:
    """The parts that add most, for and against."""
    for at, found in enumerate(said.rests_on):
        names = found.pieces or [f"cell {1 + number // found.columns}, {1 + number % found.columns}"
                                 for number in range(len(found.shares))]
        what = f"the log-probability of the first token, {found.label!r}," if found.says else \
            f"the score of {found.label}"
        print(f"row {rows.row[at]}: {what} rests on ({found.unit}; the shares sum to "
              f"{sum(found.shares):+.2f}, the score changed by {found.difference:+.2f}, an error of {found.error:.3f})")
        ranked = sorted(zip(found.shares, names, strict=True), key=lambda one: -abs(one[0]))
        for share, name in ranked[:SHOWN]:
            print(f"  {share:+.3f}  {repr(name) if found.says else name}")
        if len(ranked) > SHOWN:
            print(f"  … and {len(ranked) - SHOWN:,} more (--json lists all)")


def _counts(rows: NewRows, answers: list[dict[str, Any]]) -> None:
    if rows.rows_read > 1 or rows.left_out:
        print(f"\n{rows.rows_read:,} rows read = {len(answers):,} predicted + {len(rows.left_out):,} left out")
    for item in rows.left_out[:SHOWN]:
        print(f"  row {item.row}{f' ({_short(item.file)})' if item.file else ''}: {item.reason}")
    if len(rows.left_out) > SHOWN:
        print(f"  … and {len(rows.left_out) - SHOWN:,} more (--json lists all)")


def _short(text: str, width: int = 90) -> str:
    flat = " ".join(text.split())
    return flat if len(flat) <= width else flat[:width - 1] + "…"
