"""What the rows of a table are for: labelled texts, passages to go on with, or conversations; with the evidence."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from core.data import roles as role_finder
from core.data.readers.chat_json import CONTENT_KEYS, HOLDERS, SPEAKER_KEYS, listed
from core.data.readers.table import Table
from core.data.roles import ColumnFacts, Proposal, check_column, column_facts, require_roles, sample
from core.data.turns import NoConversation, value_of
from core.domain.dataset import Content, Dataset, Role, Shape, Task
from core.errors import DataError


class Form(StrEnum):
    """How a file writes rows for language models."""

    TEXT = "text"
    PROMPTS = "prompt-response"
    ALPACA = "alpaca"
    MESSAGES = "messages"
    SHAREGPT = "sharegpt"

    @property
    def shape(self) -> Shape:
        return Shape.TEXT if self is Form.TEXT else Shape.CHAT


CHAT = "chat"
"""What may be asked for besides the forms: any of conversations."""

PAIRS = (
    ("instruction", ("output", "response", "completion", "answer")),
    ("prompt", ("completion", "response", "output", "answer", "reply")),
    ("question", ("answer", "response", "reply", "output")),
    ("input", ("output", "response", "completion", "answer", "target")),
    ("query", ("response", "answer", "reply", "output")),
    ("user", ("assistant", "bot", "model")),
    ("human", ("assistant", "gpt", "bot")),
    ("problem", ("solution", "answer")),
)
"""What a column of prompts is called -> what that of its responses is called, the likeliest first."""
_BESIDE = ("input", "context")
"""Columns that go on with an instruction or a question."""
_SYSTEM = ("system", "system prompt", "system message", "systemprompt")
_GROUPS = ("group", "book", "conversation id", "document", "doc", "document id", "doc id", "session id", "thread id",
           "chapter", "work", "author")
_BY_HAND = (Role.PROMPT, Role.RESPONSE, Role.MESSAGES, Role.SYSTEM, Role.GROUP)
"""Roles that only rows without labels have."""
_CELLS = 60
"""Filled cells of a column that are looked into for turns."""


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """What a person said of a file; everything else is proposed."""

    task: Task | None = None
    form: str | None = None
    """A `Form`, or `chat`."""
    columns: Mapping[Role, str | None] = field(default_factory=dict)
    """role -> column chosen by hand."""

    def of(self, role: Role) -> str | None:
        return self.columns.get(role)

    def like(self, dataset: Dataset) -> Wanted:
        """The same, for a file whose rows are to be of the kind of this dataset's: its shift set."""
        if dataset.task.content is Content.PICTURE:
            return dataclasses.replace(self, task=None)
        form = None if dataset.task.labelled else Form.TEXT if dataset.shape is Shape.TEXT else CHAT
        return dataclasses.replace(self, task=dataset.task, form=form)


@dataclass(frozen=True, kw_only=True)
class Chosen:
    """Roles for the columns of a table, and what they make of its rows."""

    proposals: dict[str, Proposal]
    form: Form | None
    """None for rows with labels."""
    why: str
    """What tells the form, in words that go on after `because`."""

    @property
    def roles(self) -> dict[str, str]:
        return {name: str(proposal.role) for name, proposal in self.proposals.items()}

    @property
    def evidence(self) -> dict[str, str]:
        return {name: proposal.evidence for name, proposal in self.proposals.items()}


def choose(table: Table, wanted: Wanted | None = None) -> Chosen:
    """Roles for every column, as wanted or proposed. Raises DataError, naming the columns, where none fits."""
    wanted = wanted or Wanted()
    for name in filter(None, wanted.columns.values()):
        check_column(table, name)
    text, label = wanted.of(Role.TEXT), wanted.of(Role.LABEL)
    labelled = wanted.task is not None and wanted.task.labelled
    if table.pictures is not None or labelled:
        return _labelled(table, text=text or wanted.of(Role.IMAGE), label=label)
    seen = _Seen(table, role_finder.propose(table))
    if not _without_labels(seen, wanted):
        return _labelled(table, text=text, label=label)
    chosen = _language(seen, wanted)
    require_roles(table, chosen.roles)
    return chosen


def given(roles: Mapping[str, str]) -> Chosen:
    """Roles that a person gave."""
    form = form_of(roles)
    proposals = {name: Proposal(role=Role(role), evidence="chosen by hand") for name, role in roles.items()}
    return Chosen(proposals=proposals, form=form, why="" if form is None else "its columns were chosen by hand")


def form_of(roles: Mapping[str, str]) -> Form | None:
    """The form that these roles make, as far as roles tell it; None for rows with labels."""
    taken = {str(role) for role in roles.values()}
    if Role.LABEL in taken or Role.IMAGE in taken:
        return None
    if Role.MESSAGES in taken:
        return Form.MESSAGES
    return Form.PROMPTS if Role.PROMPT in taken else Form.TEXT


def _labelled(table: Table, *, text: str | None, label: str | None) -> Chosen:
    proposals = role_finder.choose(table, text=text, label=label)
    if Role.LABEL not in {p.role for p in proposals.values()}:
        raise role_finder.lacks(table, "label", flag="label")
    return Chosen(proposals=proposals, form=None, why="a column holds the class of each row")


class _Seen:
    """What the columns of a table look like, for the forms."""

    def __init__(self, table: Table, base: Mapping[str, Proposal]) -> None:
        self.table, self.base = table, base
        self.free = [name for name in table.columns
                     if name not in table.unusable and base[name].role not in (Role.SPLIT, Role.IMAGE)]
        self.facts: dict[str, ColumnFacts] = {name: column_facts(table, name) for name in self.free}
        self.label = next((name for name, p in base.items() if p.role is Role.LABEL), None)
        self.lost_label = any(role_finder.is_named(name, Role.LABEL) and not (name in self.facts and
                                                                              self.facts[name].filled)
                              for name in (*table.columns, *table.unusable))
        """Whether a column that is named like a label is empty, or cannot be used."""
        self.turns = dict(sorted(self._turns(), key=lambda item: _rank(item[0])))
        """Columns that hold conversations -> which keys their turns have."""
        self.pair = self._pair()
        if self.pair and self.pair[0] in self.turns:                 # a list of turns in each, as trl writes them
            both = self.pair[1] in self.turns
            self.turns = {name: keys for name, keys in self.turns.items() if not both or name not in self.pair}
            self.pair = self.pair if both else None

    def named(self, *names: str) -> str | None:
        """The first column called like one of these, the likeliest name first."""
        called = {role_finder.plain_name(name): name for name in reversed(self.free) if self.facts[name].filled}
        return next((called[name] for name in names if name in called), None)

    def _turns(self) -> Iterator[tuple[str, str]]:
        for name in self.free:
            cells = [cell for cell in sample(self.table, name) if cell.strip()][:_CELLS]
            there = [cell for cell in cells if cell.lstrip()[:1] in ("[", "{")]
            found = [turns for cell in there if (turns := _listed(cell))]
            like = role_finder.plain_name(name) in HOLDERS
            if found and "reject" not in name.casefold() and (len(found) >= len(cells) / 2 or like):
                first = next(turn for turns in found for turn in turns if isinstance(turn, dict))
                yield name, " and ".join(key for key in (*SPEAKER_KEYS, *CONTENT_KEYS) if key in first)

    def _pair(self) -> tuple[str, str] | None:
        for prompt, responses in PAIRS:
            one, other = self.named(prompt), self.named(*responses)
            if one and other:
                return one, other
        return None

    @property
    def first_turns(self) -> str | None:
        return next(iter(self.turns), None)


def _listed(cell: str) -> list[object] | None:
    try:
        return listed(value_of(cell[:200_000]))
    except NoConversation:
        return None


def _rank(name: str) -> int:
    plain = role_finder.plain_name(name)
    return HOLDERS.index(plain) if plain in HOLDERS else len(HOLDERS)


def _without_labels(seen: _Seen, wanted: Wanted) -> bool:
    """Whether the rows are for a language model: asked for, or because nothing looks more like it."""
    if wanted.task is not None:
        return not wanted.task.labelled
    if wanted.form or any(wanted.of(role) for role in _BY_HAND):
        return True
    if wanted.of(Role.LABEL):
        return False
    if seen.turns:
        return True
    if seen.label is None:                                           # a label that cannot be read is no set without one
        return seen.pair is not None or not seen.lost_label
    if seen.table.by_folder:
        return seen.facts[seen.label].distinct < 2
    if role_finder.plain_name(seen.label) in _GROUPS[:-1]:            # an author may be a class as well
        return True
    if wanted.of(Role.TEXT) or seen.pair is None:
        return False
    response = seen.facts[seen.pair[1]]
    if not role_finder.is_named(seen.label, Role.LABEL) and seen.label != "target":
        return True
    return seen.label != seen.pair[1] and (response.mean_words >= 3 or response.repeats < 2)


def _language(seen: _Seen, wanted: Wanted) -> Chosen:
    """Roles without a label, for the form that is wanted or seen."""
    found = {name: p if p.role not in _OF_LABELS else _unused(p, asked=wanted.task is not None)
             for name, p in seen.base.items()}
    form = _form(seen, wanted)
    why = ("language modelling was asked for" if wanted.task else
           "no column holds labels, responses or conversations")
    if form in (Form.MESSAGES, Form.SHAREGPT):
        form, why = _take_turns(seen, wanted, found)
    elif form is Form.PROMPTS or form is Form.ALPACA:
        form, why = _take_pair(seen, wanted, found)
    else:
        why = _take_text(seen, wanted, found) or why
    for role in (Role.GROUP, Role.SYSTEM, Role.ID, Role.SPLIT):
        if name := wanted.of(role):
            _only(found, role, (name,), "chosen by hand")
    if not wanted.of(Role.GROUP) and (name := seen.named(*_GROUPS)):
        fact = seen.facts[name]
        if found[name].role in (Role.IGNORE, Role.ID, Role.DOMAIN) and fact.repeats >= 1.2 and fact.distinct > 1:
            found[name] = Proposal(role=Role.GROUP, evidence=f"it is named {name!r} and has {fact.distinct:,} "
                                                             "different values: no split parts rows of one")
    return Chosen(proposals=found, form=form, why=why)


_OF_LABELS = (Role.LABEL, Role.TEXT, Role.SECOND_TEXT)


def _unused(proposal: Proposal, *, asked: bool) -> Proposal:
    if proposal.role is Role.LABEL and asked:
        return Proposal(role=Role.IGNORE, evidence="language models learn no labels; it can be the group instead")
    return Proposal(role=Role.IGNORE, evidence="nothing in its name or cells says what it is for")


def _form(seen: _Seen, wanted: Wanted) -> Form:
    """The form that is wanted, or that the columns speak for."""
    by_hand = {Role.MESSAGES: Form.MESSAGES, Role.PROMPT: Form.PROMPTS, Role.RESPONSE: Form.PROMPTS,
               Role.TEXT: Form.TEXT}
    if wanted.form and wanted.form != CHAT:
        return Form(wanted.form)
    for role, form in by_hand.items():
        if wanted.of(role):
            return form
    if seen.turns and (wanted.form == CHAT or _prevails(seen)):
        return Form.MESSAGES
    return Form.PROMPTS if seen.pair or wanted.form == CHAT else Form.TEXT


def _prevails(seen: _Seen) -> bool:
    """Whether more rows hold conversations than texts, of rows that hold one of them."""
    import pyarrow.compute as pc

    def filled(name: str) -> int:
        return int(pc.sum(pc.is_valid(seen.table.data.column(name))).as_py() or 0)

    text = seen.named("text")
    return text is None or max(map(filled, seen.turns)) >= filled(text)


def _take_turns(seen: _Seen, wanted: Wanted, found: dict[str, Proposal]) -> tuple[Form, str]:
    first = wanted.of(Role.MESSAGES) or seen.first_turns
    if first is None:
        raise role_finder.lacks(seen.table, str(Role.MESSAGES), flag="messages")
    keys = seen.turns.get(first, "role and content")
    form, called = ((Form.SHAREGPT, "ShareGPT's conversations") if "from" in keys
                    else (Form.MESSAGES, "OpenAI's messages"))
    why = f"{first!r} holds lists of turns with {keys}: {called}"
    taken = (first,) if wanted.of(Role.MESSAGES) else (first, *_more(seen, first))
    _only(found, Role.MESSAGES, taken, "chosen by hand" if wanted.of(Role.MESSAGES) else
          f"its cells are lists of turns with {keys}")
    for name in taken[1:]:
        found[name] = Proposal(role=Role.MESSAGES, evidence=f"its cells are lists of turns with {seen.turns[name]}, in "
                                                            f"rows where {first!r} is empty")
    if seen.pair and not wanted.of(Role.MESSAGES) and _fills(seen, seen.pair[1], taken):
        _take_pair(seen, wanted, found)
    _take_system(seen, wanted, found)
    return form, why


def _more(seen: _Seen, first: str) -> list[str]:
    """Other columns with conversations, in rows where the first has none."""
    return [name for name in seen.turns if name != first and _fills(seen, name, (first,))]


def _fills(seen: _Seen, name: str, others: tuple[str, ...]) -> bool:
    """Whether a column is filled where the others are empty."""
    import pyarrow.compute as pc

    there = pc.is_valid(seen.table.data.column(name))
    for other in others:
        there = pc.and_(there, pc.is_null(seen.table.data.column(other)))
    return bool(pc.any(there).as_py())


def _take_pair(seen: _Seen, wanted: Wanted, found: dict[str, Proposal]) -> tuple[Form, str]:
    pair = seen.pair or (None, None)
    prompt, response = wanted.of(Role.PROMPT) or pair[0], wanted.of(Role.RESPONSE) or pair[1]
    if prompt is None or response is None or prompt == response:
        what = Role.PROMPT if prompt is None else Role.RESPONSE
        raise role_finder.lacks(seen.table, str(what), flag=str(what))
    for role, name in ((Role.PROMPT, prompt), (Role.RESPONSE, response)):
        by_hand = wanted.of(role) is not None
        _only(found, role, (name,), "chosen by hand" if by_hand else f"it is named {name!r}, beside "
                                    f"{(response if role is Role.PROMPT else prompt)!r}")
    form, why = Form.PROMPTS, f"{prompt!r} and {response!r} are a prompt and its response"
    beside = seen.named(*_BESIDE) if role_finder.plain_name(prompt) in ("instruction", "question", "prompt") else None
    if beside and beside not in (prompt, response) and found[beside].role is Role.IGNORE:
        found[beside] = Proposal(role=Role.SECOND_TEXT, evidence=f"it is named {beside!r} and goes on with {prompt!r}")
        if role_finder.plain_name(prompt) == "instruction":
            form, why = Form.ALPACA, f"{prompt!r}, {beside!r} and {response!r} are the columns of Alpaca"
    _take_system(seen, wanted, found)
    return form, why


def _take_system(seen: _Seen, wanted: Wanted, found: dict[str, Proposal]) -> None:
    name = seen.named(*_SYSTEM)
    if name and not wanted.of(Role.SYSTEM) and found[name].role is Role.IGNORE:
        found[name] = Proposal(role=Role.SYSTEM, evidence=f"it is named {name!r}")


def _take_text(seen: _Seen, wanted: Wanted, found: dict[str, Proposal]) -> str:
    by_hand = wanted.of(Role.TEXT)
    free = {n: f for n, f in seen.facts.items()
            if f.filled and n not in seen.turns and found[n].role is Role.IGNORE}
    name, why = (by_hand, "chosen by hand") if by_hand else role_finder.best_text(free) or (None, "")
    if name is None:
        raise role_finder.lacks(seen.table, "text", flag="text")
    found[name] = Proposal(role=Role.TEXT, evidence=why)
    found |= {other: proposal for other, proposal in seen.base.items()
              if proposal.role is Role.SECOND_TEXT and other != name}
    return "" if by_hand is None else f"{name!r} was chosen as the text"


def _only(found: dict[str, Proposal], role: Role, names: tuple[str, ...], evidence: str) -> None:
    """Give a role to these columns alone."""
    for name, proposal in found.items():
        if proposal.role is role:
            found[name] = Proposal(role=Role.IGNORE, evidence="another column was chosen")
    for name in names:
        found[name] = Proposal(role=role, evidence=evidence)


def wanted_form(value: str | None) -> str | None:
    """A form by its name. Raises DataError naming those that there are."""
    if value is None or value == CHAT or value in {form.value for form in Form}:
        return value
    raise DataError(f"There is no shape {value[:40]!r}.", why=f"There are: {CHAT}, {', '.join(Form)}.",
                    remedy="Choose one of these.")
