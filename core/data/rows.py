"""From a table with roles to labelled rows: texts joined, empty ones left out with the reason, labels numbered."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from core.data import labels, missing
from core.data.readers.table import Table
from core.data.report import LeftOut
from core.data.roles import check_column, content_role, require_roles
from core.data.splits import ALIASES, meanings
from core.domain.dataset import Depth, Role, Shape, Split
from core.errors import DataError

if TYPE_CHECKING:
    from core.data.pictures.source import DecodedPictures


@dataclass(frozen=True, kw_only=True, eq=False)
class Rows:
    """The rows that are kept, in file order."""

    row_id: Any
    """int64 array (n_rows,): row number in the file."""
    text: Any
    """`pyarrow` large_string array (n_rows,); of a picture: its name in the archive."""
    label: Any
    """int32 array (n_rows,): index into `classes`; −1 for rows without labels."""
    classes: tuple[str, ...]
    """Sorted names."""
    left_out: tuple[LeftOut, ...]
    """In row order; includes what the reader left out."""
    split: tuple[str, ...] | None = None
    """From the split column, when there is one: names of `Split`."""
    others: Mapping[str, Any] | None = None
    """Columns that are neither text nor label, for the checks: name -> large_string array (n_rows,)."""
    pictures: DecodedPictures | None = None
    """The pictures (n_rows,); None for texts."""
    shape: Shape | None = None
    """Of rows for language models: what each is; None for rows with labels."""
    group: Any = None
    """int32 array (n_rows,): equal for rows that no split may cut; None where each stands for itself."""
    weighted: tuple[int, ...] = ()
    """Positions of conversations with turns of weight 0, which is not looked at."""
    own_groups: bool = False
    """Whether the groups are the texts that passages were cut from, and no column of the file."""
    source_row: Any = None
    """int64 array (n_rows,): the row of the file that each is (a part) of; None where that is `row_id`."""

    @property
    def kept(self) -> int:
        """Rows of the file that are kept, however many passages they became."""
        return len(self) if self.source_row is None else len(np.unique(self.source_row))

    def __len__(self) -> int:
        return len(self.row_id)


def build(table: Table, roles: Mapping[str, str], *, template: str | None = None, merge_labels: bool = False,
          max_pixels: int = 50_000_000, depth: Depth | None = None, shift_domain: str | None = None) -> Rows:
    """Rows with text (or picture) and label from a table. roles: column name -> `Role` (columns not named are ignored).

    template: how text columns are joined, with column names in braces, e.g. `{title}: {body}`; by default their cells
    are put on lines of their own in file order. merge_labels: labels that look the same (`labels.key`) become one,
    spelled as most rows do.
    depth: how pictures of more than 8 bits are read; decided from these rows when None. shift_domain: value of the
    domain column whose rows are the shift set; those of classes that no other domain has are left out.
    Rows without text or label, whose split cell names no split, or whose picture cannot be used, are left out with the
    reason. Raises DataError for roles that do not fit the table.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    require_roles(table, roles)
    for name, role in roles.items():
        if role != Role.IGNORE:
            check_column(table, name)
    label = table.data.column(_first(roles, Role.LABEL))
    content = content_role(table)
    text = joined_text(table, roles, template) if content is Role.TEXT else table.data.column(_first(roles, Role.IMAGE))
    main = text if template is not None or content is not Role.TEXT else table.data.column(_first(roles, Role.TEXT))
    reasons: list[tuple[Any, str]] = [*missing.reasons(main, str(content)), *missing.reasons(label, "label")]
    split_name = next((name for name, role in roles.items() if role == Role.SPLIT), None)
    if split_name is not None:
        known = pc.is_in(missing.folded(table.data.column(split_name)),
                         value_set=pa.array(list(ALIASES), type=pa.large_string()))
        reasons.append((pc.invert(known), f"the cell in {split_name!r} names no split"))
    shifted = None if shift_domain is None else _of_domain(table, roles, shift_domain)
    if shifted is not None:
        known = pc.unique(label.filter(pc.invert(shifted)))
        reasons.append((pc.and_(shifted, pc.invert(pc.is_in(label, value_set=known))),
                        f"only the rows of {str(shift_domain)[:60]!r}, the shift set, have its class"))
    keep, left_out = _sieve(table, reasons)
    decoded = None
    if table.pictures is not None:
        decoded, keep, left_out = _decoded(table, text, keep, left_out, max_pixels=max_pixels, depth=depth)
    encoded = (_merged(label.filter(keep)) if merge_labels else _one_chunk(label.filter(keep))).dictionary_encode()
    names, codes = encoded.dictionary.to_pylist(), encoded.indices.to_numpy(zero_copy_only=False)
    classes = sorted(names)
    rank = {name: index for index, name in enumerate(classes)}
    lookup = np.asarray([rank[name] for name in names], dtype=np.int32)
    used = {_first(roles, Role.LABEL), *([_first(roles, Role.IMAGE)] if decoded else _text_columns(table, roles))}
    splits = None
    if split_name is not None:
        said = missing.folded(table.data.column(split_name)).filter(keep).to_pylist()
        meaning = meanings(set(said))
        splits = tuple(meaning[value] for value in said)
    if shifted is not None:
        apart = shifted.filter(keep).to_pylist()
        splits = tuple(Split.SHIFT.value if other else own
                       for other, own in zip(apart, splits or [Split.TRAIN.value] * len(apart), strict=True))
    return Rows(row_id=table.row_numbers[np.asarray(keep, dtype=bool)], text=_one_chunk(text.filter(keep)),
                label=lookup[codes] if len(codes) else np.zeros(0, dtype=np.int32), classes=tuple(classes),
                left_out=left_out, split=splits, pictures=decoded,
                others={name: _one_chunk(table.data.column(name).filter(keep)) for name in table.columns
                        if name not in used and name not in table.unusable})


def _of_domain(table: Table, roles: Mapping[str, str], value: str) -> Any:
    """Which rows are of this domain: booleans (n_rows,). Raises DataError where no column says domains, none of its
    cells says this one, or all do."""
    import pyarrow.compute as pc

    name = next((name for name, role in roles.items() if role == Role.DOMAIN), None)
    if name is None:
        raise DataError(f"No column is marked as {Role.DOMAIN}.",
                        why=f"The rows of {value[:60]!r} are to be the shift set, and no column says where rows "
                            "are from.",
                        remedy=f"Mark one as {Role.DOMAIN}.")
    column = table.data.column(name)
    hits = pc.fill_null(pc.equal(column, value), False)
    if not pc.any(hits).as_py() or pc.all(hits).as_py():
        values = [str(cell)[:40] for cell in pc.unique(column).to_pylist()[:8] if cell is not None]
        raise DataError(f"{'All' if pc.all(hits).as_py() else 'No'} rows are of the domain {value[:60]!r}.",
                        why=f"The column {name[:40]!r} says: {', '.join(values)}.",
                        remedy="Choose one of several domains as the shift set.")
    return hits


def _sieve(table: Table, reasons: list[tuple[Any, str]]) -> tuple[Any, tuple[LeftOut, ...]]:
    """(boolean array of rows to keep, every left-out row in row order); the first reason that holds counts."""
    import pyarrow as pa

    kept = np.ones(len(table), dtype=bool)
    found = list(table.left_out)
    for mask, reason in reasons:
        hit = np.asarray(mask, dtype=bool) & kept
        found += [LeftOut(row=int(row), reason=reason) for row in table.row_numbers[hit]]
        kept &= ~hit
    return pa.array(kept), tuple(sorted(found, key=lambda item: item.row))


def _decoded(table: Table, names: Any, keep: Any, left_out: tuple[LeftOut, ...], *,
             max_pixels: int, depth: Depth | None) -> tuple[DecodedPictures, Any, tuple[LeftOut, ...]]:
    """Decode the pictures of the rows to keep: (pictures, narrower mask, reasons with those of unusable ones added)."""
    import pyarrow as pa

    archive: Any = table.pictures
    mask = np.asarray(keep, dtype=bool).copy()
    cells = names.to_pylist()
    positions = np.flatnonzero(mask)
    missing = {int(p): archive.why_not(cells[p]) for p in positions if archive.resolve(cells[p]) is None}
    there = [int(p) for p in positions if int(p) not in missing]
    decoded, failed = archive.decode([archive.resolve(cells[p]) for p in there], max_pixels=max_pixels, depth=depth)
    problems = missing | {there[i]: reason for i, reason in failed.items()}
    mask[list(problems)] = False
    found = [LeftOut(row=int(table.row_numbers[p]), reason=reason, file=str(cells[p])[:200])
             for p, reason in problems.items()]
    return decoded, pa.array(mask), tuple(sorted((*left_out, *found), key=lambda item: item.row))


def _first(roles: Mapping[str, str], role: Role) -> str:
    return next(name for name, value in roles.items() if value == role)


def _text_columns(table: Table, roles: Mapping[str, str]) -> list[str]:
    return [name for name in table.columns if roles.get(name) in (Role.TEXT, Role.SECOND_TEXT)]


def joined_text(table: Table, roles: Mapping[str, str], template: str | None) -> Any:
    """One text a row from the columns that are text or second text. Without a template: filled cells on lines of their
    own.

    Raises DataError for a template that names no column, or one that cannot be used.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    names = _text_columns(table, roles)
    if template is None:
        columns = [table.data.column(name) for name in names]
        if len(columns) == 1:
            return columns[0]
        null = pa.scalar(None, type=pa.large_string())
        first = names.index(_first(roles, Role.TEXT))
        # pyarrow 26 leaves out the row where all are null: the text, whose gaps are put back below, never is
        cleaned = [pc.if_else(missing.is_missing(column), "" if place == first else null, column)
                   for place, column in enumerate(columns)]
        joined = pc.binary_join_element_wise(*cleaned, pa.scalar("\n", type=pa.large_string()), null_handling="skip")
        return pc.if_else(missing.is_missing(columns[first]), null, joined)
    pieces: list[Any] = []
    for piece in re.split(r"(\{[^{}]*\})", template):
        if re.fullmatch(r"\{[^{}]*\}", piece):
            name = piece[1:-1].strip()
            if name not in table.columns or name in table.unusable:
                raise DataError(f"The template names {name[:60]!r}, which is no column that can be used.",
                                why=f"The text columns are: {', '.join(names)}.",
                                remedy="Write column names in braces, such as {title}: {body}.")
            pieces.append(pc.fill_null(table.data.column(name), ""))
        elif piece:
            pieces.append(pa.scalar(piece, type=pa.large_string()))
    if not any(hasattr(piece, "chunks") for piece in pieces):
        raise DataError("The template names no column.",
                        remedy="Write column names in braces, such as {title}: {body}.")
    return pc.binary_join_element_wise(*pieces, pa.scalar("", type=pa.large_string()))


def _merged(column: Any) -> Any:
    """Labels that look the same spelled like the most frequent of them; see `labels.merged`."""
    import pyarrow as pa
    import pyarrow.compute as pc

    flat = _one_chunk(column)
    names = labels.merged({item["values"]: item["counts"] for item in pc.value_counts(flat).to_pylist()})
    encoded = flat.dictionary_encode()
    return pa.array([names[name] for name in encoded.dictionary.to_pylist()],
                    type=pa.large_string()).take(encoded.indices)


def _one_chunk(column: Any) -> Any:
    import pyarrow as pa

    combined = column.combine_chunks() if hasattr(column, "combine_chunks") else column
    if isinstance(combined, pa.ChunkedArray):
        return pa.concat_arrays(combined.chunks) if combined.num_chunks else pa.array([], type=pa.large_string())
    return combined
