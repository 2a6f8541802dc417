"""From a table with roles to rows for language models: passages of texts, or conversations; nothing has a label."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from core.data import missing
from core.data.conversations import ASSISTANT, SYSTEM, USER, Turn, dump
from core.data.passages import Cutting, cut
from core.data.readers.table import Table, text_array
from core.data.report import LeftOut
from core.data.roles import check_column, require_roles
from core.data.rows import Rows, joined_text
from core.data.splits import ALIASES, meanings
from core.data.turns import NoConversation, checked, read, turns_of, value_of
from core.domain.dataset import Role, Shape

_WEIGHT = re.compile(r"""["']weight["']\s*:\s*0(\.0*)?\s*[,}]""")
CHAT_ROLES = (Role.MESSAGES, Role.PROMPT, Role.RESPONSE)
"""Roles of columns that make rows conversations."""


@dataclass(kw_only=True)
class _Kept:
    """What is kept so far, a place for each kept row of the table; passages are several texts a row."""

    texts: list[list[str]] = field(default_factory=list)
    place: list[int] = field(default_factory=list)
    left_out: list[LeftOut] = field(default_factory=list)


def is_language(table: Table, roles: Mapping[str, str]) -> bool:
    """Whether these roles make rows without labels."""
    return table.pictures is None and Role.LABEL not in roles.values()


def shape_of(roles: Mapping[str, str]) -> Shape:
    """Whether these roles make conversations or passages."""
    return Shape.CHAT if any(role in CHAT_ROLES for role in roles.values()) else Shape.TEXT


def build(table: Table, roles: Mapping[str, str], *, template: str | None = None,
          cutting: Cutting | None = None) -> Rows:
    """Rows with a passage or a conversation each. roles: column name -> `Role` (columns not named are ignored).

    Conversations come from the first of these that a row has: a cell with all turns (`Role.MESSAGES`); prompt and
    response, with a system message where there is one. Several prompt columns (instruction and input) stand below each
    other. Texts are cut as `cutting` says; the passages of a text make a group unless a column names the groups. Rows
    without content, whose split cell names no split, or whose turns are no conversation are left out with the reason.
    Row ids are row numbers, unless texts were cut: then they count the passages. Raises DataError for roles that do
    not fit the table.
    """
    require_roles(table, roles)
    for name, role in roles.items():
        if role != Role.IGNORE:
            check_column(table, name)
    shape = shape_of(roles)
    columns = _Columns(table, roles)
    splits = columns.splits()
    kept = _Kept(left_out=list(table.left_out))
    texts = columns.texts(template) if shape is Shape.TEXT else []
    for place in range(len(table)):
        try:
            if splits is not None and not splits[place]:
                raise NoConversation(f"the cell in {columns.split!r} names no split")
            if shape is Shape.CHAT:
                kept.texts.append([dump(columns.conversation(place))])
            elif not (pieces := cut(texts[place] or "", cutting or Cutting())):
                raise NoConversation("the text is empty")
            else:
                kept.texts.append(pieces)
            kept.place.append(place)
        except NoConversation as reason:
            kept.left_out.append(LeftOut(row=int(table.row_numbers[place]), reason=str(reason),
                                         file=columns.file(place)))
    return _rows(table, columns, kept, shape, splits)


def _rows(table: Table, columns: _Columns, kept: _Kept, shape: Shape, splits: list[str] | None) -> Rows:
    counts = np.asarray([len(pieces) for pieces in kept.texts], dtype=np.int64)
    place = np.repeat(np.asarray(kept.place, dtype=np.int64), counts)
    was_cut = bool((counts > 1).any())
    numbers = np.asarray(table.row_numbers, dtype=np.int64)[place]
    group = columns.groups(place)
    own_groups = group is None and was_cut
    if own_groups:
        group = np.unique(place, return_inverse=True)[1]
    others = {name: columns.cells(name, place) for name in columns.ids}
    return Rows(row_id=np.arange(1, len(place) + 1, dtype=np.int64) if was_cut else numbers,
                text=text_array([piece for pieces in kept.texts for piece in pieces]),
                label=np.full(len(place), -1, dtype=np.int32), classes=(), shape=shape,
                source_row=numbers, own_groups=own_groups,
                others=others, weighted=tuple(np.flatnonzero(np.isin(place, list(columns.weighted))).tolist()),
                group=None if group is None else group.astype(np.int32),
                left_out=tuple(sorted(kept.left_out, key=lambda item: item.row)),
                split=None if splits is None else tuple(splits[at] for at in place.tolist()))


class _Columns:
    """The columns of a table by their roles, as Python values."""

    def __init__(self, table: Table, roles: Mapping[str, str]) -> None:
        self._table, self._roles = table, roles
        self.weighted: set[int] = set()
        """Places of conversations with turns of weight 0."""
        self.split = next((name for name, role in roles.items() if role == Role.SPLIT), "")
        self._files = self._of("file") if table.by_folder and "file" in table.columns else None
        self._cells = {role: [self._of(name) for name in table.columns if roles.get(name) == role]
                       for role in (*CHAT_ROLES, Role.SYSTEM)}
        self._prompts = [self._of(name) for role in (Role.PROMPT, Role.SECOND_TEXT) for name in table.columns
                         if roles.get(name) == role]

    def _of(self, name: str) -> list[str | None]:
        return list(self._table.data.column(name).to_pylist())

    @property
    def ids(self) -> list[str]:
        return [name for name, role in self._roles.items() if role == Role.ID]

    def cells(self, name: str, place: Any) -> Any:
        """The cells of a column at these places."""
        import pyarrow as pa

        found = self._table.data.column(name).take(pa.array(place)).combine_chunks()
        return pa.concat_arrays(found.chunks) if isinstance(found, pa.ChunkedArray) else found

    def file(self, place: int) -> str:
        return (self._files[place] or "") if self._files else ""

    def splits(self) -> list[str] | None:
        """The split that each row names; empty where it names none. None without a split column."""
        if not self.split:
            return None
        said = missing.folded(self._table.data.column(self.split)).to_pylist()
        meaning = meanings({value for value in said if value in ALIASES})
        return [meaning.get(value, "") for value in said]

    def groups(self, place: Any) -> Any:
        """Numbers of the groups of these rows; a row without a cell is a group by itself. None without a column."""
        name = next((name for name, role in self._roles.items() if role == Role.GROUP), None)
        if name is None:
            return None
        cells = [(cell or "").strip() for cell in self._of(name)]
        keys = [cells[at] or at for at in place.tolist()]
        numbers: dict[Any, int] = {}
        return np.asarray([numbers.setdefault(key, len(numbers)) for key in keys], dtype=np.int64)

    def texts(self, template: str | None) -> list[str | None]:
        """The text of each row; of several columns the filled cells stand below each other."""
        if template is not None:
            return list(joined_text(self._table, self._roles, template).to_pylist())
        columns = [self._of(name) for name in self._table.columns
                   if self._roles.get(name) in (Role.TEXT, Role.SECOND_TEXT)]
        return [_below(cells, "\n") for cells in zip(*columns, strict=True)]

    def conversation(self, place: int) -> tuple[Turn, ...]:
        """The conversation of a row. Raises NoConversation."""
        for column in self._cells[Role.MESSAGES]:
            if cell := (column[place] or "").strip():
                turns = self._with_system(place, read(cell))
                if _WEIGHT.search(cell):
                    self.weighted.add(place)
                return turns
        prompt, response = (_below([column[place] for column in columns], "\n\n")
                            for columns in (self._prompts, self._cells[Role.RESPONSE]))
        if not self._prompts or (self._cells[Role.MESSAGES] and not (prompt + response).strip()):
            raise NoConversation("it has no conversation")
        if not prompt.strip():
            raise NoConversation("the prompt is empty")
        if not response.strip():
            raise NoConversation("the response is empty")
        turns = (*_turns(prompt, USER), *_turns(response, ASSISTANT))
        return self._with_system(place, checked(turns))

    def _with_system(self, place: int, turns: tuple[Turn, ...]) -> tuple[Turn, ...]:
        """With what a system column says, where the turns do not begin with a message of the system."""
        said = _below([column[place] for column in self._cells[Role.SYSTEM]], "\n")
        return turns if not said.strip() or turns[0].role == SYSTEM else (Turn(SYSTEM, said), *turns)


def _below(cells: Any, between: str) -> str:
    return between.join(cell for cell in cells if cell and cell.strip())


def _turns(cell: str, role: str) -> list[Turn]:
    """A cell as a turn; or as the turns that it lists, as trl writes prompts and completions."""
    if cell.lstrip()[:1] == "[" and cell.rstrip()[-1:] == "]" and ("role" in cell or "from" in cell):
        try:
            return turns_of(value_of(cell))
        except NoConversation:
            pass
    return [Turn(role, cell)]
