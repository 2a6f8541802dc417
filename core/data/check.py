"""The import report: read a file, give roles to its columns, split its rows, and check everything."""

from __future__ import annotations

import dataclasses
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from core.data import (
    duplicates,
    language,
    language_splits,
    meter,
    passed_over,
    picture_duplicates,
    shapes,
    splits,
    tables,
)
from core.data import leaks as groups_of
from core.data.checks import registry
from core.data.checks.context import Context
from core.data.checks.language import closed_answers
from core.data.conversations import shown
from core.data.forms import Wanted
from core.data.found import Groups, trimmed
from core.data.passages import PASSAGE_TOKENS, Cutting
from core.data.readers import folders
from core.data.readers.table import Table
from core.data.report import INFO, Finding, ImportReport
from core.data.rows import Rows, build
from core.domain.dataset import Depth, Reading, Role, Shape, Split
from core.settings import Settings


@dataclass(frozen=True, kw_only=True)
class Options:
    """What a person may choose for an import."""

    template: str | None = None
    """How several text columns are joined, e.g. `{title}: {body}`; None puts them on lines of their own."""
    merge_labels: bool = False
    """Labels that look the same (`labels.key`) become one class."""
    fix_leaks: bool = False
    """Validation and test rows with a twin in train move to train."""
    seed: int = 0
    fractions: tuple[float, float, float] = splits.DEFAULT_FRACTIONS
    """Shares of train, validation and test, where no column says it."""
    sizes: tuple[int, int, int] | None = None
    """Exact rows instead of shares."""
    thorough: bool = True
    """Also run the checks that take seconds on thousands of rows (label noise)."""
    max_length: int = 256
    """Tokens the base model takes."""
    tokenizer: Path | None = field(default=None)
    """`tokenizer.json` of the base model; lengths are estimates without it."""
    passage_tokens: int = PASSAGE_TOKENS
    """About how many tokens a passage of a long text has (see `passages.Cutting`); 0 cuts nothing."""
    passage_overlap: int = 0
    """Tokens that a passage begins with which end the one before."""
    by_line: bool = False
    """Each line of a plain text file is a row for a language model; else the file is one text, cut into passages."""
    shift_domain: str | None = None
    """Of the domain column: the value whose rows are the shift set; None leaves the rows of all domains together."""
    depth: Depth | None = None
    """How pictures of more than 8 bits are read: as in the dataset whose shift set this is; None decides anew."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Examined:
    """Rows ready to be written, and the report on them."""

    rows: Rows
    split: Any
    """Names of splits (n_rows,)."""
    report: ImportReport
    reading: Reading = Reading()
    findings: tuple[Finding, ...] = ()
    """Those of the report, with all of their rows."""
    groups: Groups | None = None
    """Which rows are duplicates of each other."""


def check_file(path: Path, *, text: str | None = None, label: str | None = None, settings: Settings,
               options: Options | None = None) -> ImportReport:
    """The import report of a file or folder; nothing is written.

    text, label: column names (text: the one that names the pictures, where a table comes with them); proposed with
    evidence when None. Raises DataError when the file cannot be read or no column fits; problems of its content are
    findings, those with severity `error` keep it from being imported.
    """
    wanted = Wanted(columns={Role.TEXT: text, Role.LABEL: label})
    return examine_file(path, wanted=wanted, settings=settings, options=options).report


def examine_file(path: Path, *, wanted: Wanted | None = None, settings: Settings,
                 options: Options | None = None) -> Examined:
    """The rows of a file or folder with their report; nothing is written.

    wanted: task, shape and columns; proposed with evidence where it says nothing. Raises what `check_file` raises.
    """
    table = tables.read(Path(path), settings=settings)
    chosen = shapes.choose(table, wanted)
    return examine(table, roles=chosen.roles, settings=settings, options=options, evidence=chosen.evidence,
                   why=chosen.why)


def examine(table: Table, *, roles: Mapping[str, str], settings: Settings, options: Options | None = None,
            evidence: Mapping[str, str] | None = None, why: str = "") -> Examined:
    """Build the rows of a table, split them and run all checks. Raises DataError when the roles do not fit.

    why: what tells that rows are texts or conversations; see `shapes.choose`.
    """
    options = options or Options()
    started = time.perf_counter()
    if language.is_language(table, roles) and not options.by_line:
        table = folders.as_documents(table)
    if language.is_language(table, roles):
        cutting = Cutting(tokens=options.passage_tokens, overlap=options.passage_overlap)
        rows = language.build(table, roles, template=options.template, cutting=cutting)
    else:
        rows = build(table, roles, template=options.template, merge_labels=options.merge_labels,
                     max_pixels=settings.max_pixels, depth=options.depth, shift_domain=options.shift_domain)
    texts: list[str] = shown(rows.text.to_pylist(), rows.shape)
    unpack_seconds = table.pictures.unpack_seconds if table.pictures else 0.0
    meter.report("looking for duplicates", 0, len(rows))
    if rows.pictures is None:
        exact = duplicates.exact_groups(texts)
        near = duplicates.near_groups(texts, exact)
    else:
        exact = picture_duplicates.exact_groups(rows.pictures)
        near = picture_duplicates.near_groups(rows.pictures, exact)
    context = Context(rows=rows, texts=texts, split=None, exact=exact, near=near, roles=roles,
                      max_length=options.max_length, tokenizer=options.tokenizer or default_tokenizer(settings))
    split = _split(context, options)
    context = dataclasses.replace(context, split=split)
    meter.report("checking", 0, len(rows))
    findings = (*table.findings, *_shift_domain(split, options), *passed_over.findings(table, roles),
                *registry.run(context, thorough=options.thorough))
    counts = Counter(rows.label.tolist())
    classes = dict(sorted(((name, counts[i]) for i, name in enumerate(rows.classes)),
                          key=lambda item: (-item[1], item[0])))
    report = ImportReport(
        source=table.name, rows_read=table.rows_read, rows_kept=rows.kept, left_out=rows.left_out,
        columns={name: str(role) for name, role in roles.items()}, evidence=dict(evidence or {}), classes=classes,
        shape=str(rows.shape or ""), shape_evidence=why if rows.shape is not None else "",
        groups=0 if rows.group is None else len(np.unique(rows.group)),
        passages=len(rows) if rows.kept < len(rows) else 0,
        answers=closed_answers(context.asked[1]) if rows.shape is Shape.CHAT else (),
        splits=count_splits(rows, split), findings=trimmed(findings), format=table.format,
        read_seconds=round(table.read_seconds + unpack_seconds, 3),
        check_seconds=round(time.perf_counter() - started - unpack_seconds, 3))
    reading = Reading(template=options.template, by_folder=table.by_folder,
                      depth=rows.pictures.depth if rows.pictures else Depth())
    return Examined(rows=rows, split=split, report=report, reading=reading, findings=findings,
                    groups=Groups(exact=exact, near=near))


def _shift_domain(split: Any, options: Options) -> Iterator[Finding]:
    if options.shift_domain is not None:
        count = int((np.asarray(split) == Split.SHIFT.value).sum())
        yield Finding(code="shift-domain", severity=INFO, count=count,
                      message=f"The rows of the domain {options.shift_domain[:60]!r} are the shift set: every run is "
                              "judged on them, and none is trained on them.",
                      remedy="Nothing to do; import the file again to set another domain apart.")


def _split(context: Context, options: Options) -> Any:
    """Splits from the column where there is one, otherwise stratified with duplicates (and equal ids) kept together."""
    rows, near = context.rows, context.near
    if not len(rows):
        return np.zeros(0, dtype="<U10")
    groups = groups_of.merge_groups(context.exact, groups_of.without_large_groups(near))
    if (repeated := _repeated_ids(rows, context.roles)) is not None:
        groups = groups_of.merge_groups(groups, repeated)
    if rows.shape is not None:
        if rows.shape is Shape.CHAT:                                 # one question with several answers
            prompts = duplicates.exact_groups(context.asked[0])
            groups = groups_of.merge_groups(groups, groups_of.without_large_groups(prompts))
        return language_splits.of(rows, alike=(groups, context.exact), near=near, options=options)
    if rows.split is None:
        return splits.stratified(rows.label, seed=options.seed, fractions=options.fractions, sizes=options.sizes,
                                 groups=groups)
    split = splits.from_column(rows.split, rows.label, seed=options.seed, groups=groups)
    return groups_of.fix_leaks(split, near) if options.fix_leaks else split


def _repeated_ids(rows: Rows, roles: Mapping[str, str]) -> Any | None:
    """Group numbers of the id column where ids repeat (one patient, one author); None when every id is different."""
    name = next((name for name, role in roles.items() if role == Role.ID), None)
    if name is None or rows.others is None or name not in rows.others:
        return None
    encoded = rows.others[name].dictionary_encode()
    if len(encoded.dictionary) == len(rows):
        return None
    codes = encoded.indices.fill_null(-1).to_numpy(zero_copy_only=False).astype(np.int64)
    alone = codes < 0
    codes[alone] = len(encoded.dictionary) + np.flatnonzero(alone)
    return codes


def count_splits(rows: Rows, split: Sequence[str]) -> dict[str, dict[str, int]]:
    """split -> class -> rows, for the splits that occur."""
    pairs = Counter(zip(map(str, split), rows.label.tolist(), strict=True))
    order = [*splits.NAMES, "shift"]
    named = list(enumerate(rows.classes)) if rows.shape is None else [(-1, "")]
    return {part: {name: pairs[part, i] for i, name in named} for part in order
            if any(p == part for p, _ in pairs)}


def default_tokenizer(settings: Settings) -> Path | None:
    """The tokenizer of the bundled text model, when it has been fetched."""
    path = settings.assets / "models" / "minilm" / "tokenizer.json"
    return path if path.is_file() else None
