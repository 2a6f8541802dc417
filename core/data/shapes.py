"""What the rows of a table are for: labelled texts, passages to go on with, or conversations; with the evidence."""

from __future__ import annotations

from collections.abc import Mapping

from core.data import roles as role_finder
from core.data.forms import CHAT, Chosen, Form, Wanted, form_of
from core.data.readers.table import Table
from core.data.roles import ColumnFacts, Proposal, check_column, require_roles
from core.data.seen_columns import SeenColumns
from core.domain.dataset import Role

_BESIDE = ("input", "context", "passage", "article", "choices")
"""Columns that go on with an instruction or a question."""
_BEFORE = ("definition",)
"""Columns that say what is to be done with the input beside them."""
_SYSTEM = ("system", "system prompt", "system message", "systemprompt", "system instruction")
_ANSWERS = frozenset(("answer", "answers", "response", "responses", "completion", "completions", "chosen", "output",
                      "outputs", "targets", "reply", "replies", "solution", "solutions"))
"""Words in the names of columns without which a text is no more than what was asked."""
_GROUPS = ("group", "book", "conversation id", "document", "doc", "document id", "doc id", "session id", "thread id",
           "chapter", "work", "author")
_BY_HAND = (Role.PROMPT, Role.RESPONSE, Role.MESSAGES, Role.SYSTEM, Role.GROUP)
"""Roles that only rows without labels have."""


def choose(table: Table, wanted: Wanted | None = None) -> Chosen:
    """Roles for every column, as wanted or proposed. Raises DataError, naming the columns, where none fits."""
    wanted = wanted or Wanted()
    for name in filter(None, wanted.columns.values()):
        check_column(table, name)
    text, label = wanted.of(Role.TEXT), wanted.of(Role.LABEL)
    labelled = wanted.task is not None and wanted.task.labelled
    if table.pictures is not None or labelled:
        return _labelled(table, wanted, text=text or wanted.of(Role.IMAGE), label=label)
    seen = SeenColumns(table, role_finder.propose(table))
    if not _without_labels(seen, wanted):
        return _labelled(table, wanted, text=text, label=label)
    chosen = _language(seen, wanted)
    require_roles(table, chosen.roles)
    return chosen


def given(roles: Mapping[str, str]) -> Chosen:
    """Roles that a person gave."""
    form = form_of(roles)
    proposals = {name: Proposal(role=Role(role), evidence="chosen by hand") for name, role in roles.items()}
    return Chosen(proposals=proposals, form=form, why="" if form is None else "its columns were chosen by hand")


def _labelled(table: Table, wanted: Wanted, *, text: str | None, label: str | None) -> Chosen:
    proposals = role_finder.choose(table, text=text, label=label, domain=wanted.of(Role.DOMAIN))
    if Role.LABEL not in {p.role for p in proposals.values()}:
        raise role_finder.lacks(table, "label", flag="label")
    return Chosen(proposals=proposals, form=None, why="a column holds the class of each row")


def _without_labels(seen: SeenColumns, wanted: Wanted) -> bool:
    """Whether the rows are for a language model: asked for, or because nothing looks more like it."""
    if wanted.task is not None:
        return not wanted.task.labelled
    if wanted.form or any(wanted.of(role) for role in _BY_HAND):
        return True
    if wanted.of(Role.LABEL):
        return False
    if seen.turns:                                                   # a chat and a yes or no is a chat with its class
        return not (seen.marked and seen.label is not None and seen.says_yes_or_no(seen.label))
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
    if seen.label == seen.pair[1] and response.mean_words >= 3 and response.repeats < 1.2 and response.filled > 9:
        return True                                                  # a class comes again, what is said does not
    return seen.label != seen.pair[1] and (response.mean_words >= 3 or response.repeats < 2)


def _language(seen: SeenColumns, wanted: Wanted) -> Chosen:
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
        if not wanted.of(Role.TEXT) and not wanted.form:
            _refuse_half(seen, found)
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


def _form(seen: SeenColumns, wanted: Wanted) -> Form:
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


def _prevails(seen: SeenColumns) -> bool:
    """Whether more rows hold conversations than texts, of rows that hold one of them."""
    import pyarrow.compute as pc

    def filled(name: str) -> int:
        return int(pc.sum(pc.is_valid(seen.table.data.column(name))).as_py() or 0)

    text = seen.named("text")
    return text is None or max(map(filled, seen.turns)) >= filled(text)


def _take_turns(seen: SeenColumns, wanted: Wanted, found: dict[str, Proposal]) -> tuple[Form, str]:
    first = wanted.of(Role.MESSAGES) or seen.first_turns
    if first is None:
        raise role_finder.lacks(seen.table, str(Role.MESSAGES), flag="messages")
    keys = seen.turns.get(first, "role and content")
    form, called = ((Form.SHAREGPT, "ShareGPT's conversations") if "from" in keys
                    else (Form.MESSAGES, "Gemini's contents" if "parts" in keys else "OpenAI's messages"))
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


def _more(seen: SeenColumns, first: str) -> list[str]:
    """Other columns with conversations, in rows where the first has none."""
    return [name for name in seen.turns if name != first and _fills(seen, name, (first,))]


def _fills(seen: SeenColumns, name: str, others: tuple[str, ...]) -> bool:
    """Whether a column is filled where the others are empty."""
    import pyarrow.compute as pc

    there = pc.is_valid(seen.table.data.column(name))
    for other in others:
        there = pc.and_(there, pc.is_null(seen.table.data.column(other)))
    return bool(pc.any(there).as_py())


def _take_pair(seen: SeenColumns, wanted: Wanted, found: dict[str, Proposal]) -> tuple[Form, str]:
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
    asked = role_finder.plain_name(prompt) in ("instruction", "question", "prompt")
    for beside in filter(None, map(seen.named, _BESIDE)) if asked else ():
        if beside in (prompt, response) or found[beside].role is not Role.IGNORE:
            continue
        found[beside] = Proposal(role=Role.SECOND_TEXT, evidence=f"it is named {beside!r} and goes on with {prompt!r}")
        if role_finder.plain_name(prompt) == "instruction":
            form, why = Form.ALPACA, f"{prompt!r}, {beside!r} and {response!r} are the columns of Alpaca"
    if role_finder.plain_name(prompt) in ("input", "inputs") and (before := seen.named(*_BEFORE)):
        found[before] = Proposal(role=Role.PROMPT, evidence=f"it is named {before!r} and says what to do with "
                                                            f"{prompt!r}")
    _take_system(seen, wanted, found)
    return form, why


def _refuse_half(seen: SeenColumns, found: Mapping[str, Proposal]) -> None:
    """Raise DataError where the column that looks most like texts is not what the rows say: answers stand beside it, or
    lists and objects that hold far more."""
    text = role_finder.best_text(_free(seen, found))
    if text is None:
        return
    aside = [name for name in seen.table.unusable if name not in seen.turns]
    answers = [name for name in (*aside, *(n for n, fact in seen.facts.items() if fact.mean_words >= 2))
               if name != text[0] and not _ANSWERS.isdisjoint(role_finder.plain_name(name).split())]
    if answers:
        raise role_finder.lacks(seen.table, str(Role.RESPONSE), flag=str(Role.RESPONSE))
    chars, words = seen.facts[text[0]].mean_chars, seen.facts[text[0]].mean_words
    larger = any(name in seen.table.columns and role_finder.column_facts(seen.table, name).mean_chars > 2 * chars
                 for name in aside)
    if not role_finder.is_named(text[0], Role.TEXT) and (larger or (aside and words < 2)):
        raise role_finder.lacks(seen.table, str(Role.TEXT), flag="text")


def _free(seen: SeenColumns, found: Mapping[str, Proposal]) -> dict[str, ColumnFacts]:
    """Columns that may be texts."""
    return {n: f for n, f in seen.facts.items() if f.filled and n not in seen.turns and found[n].role is Role.IGNORE}


def _take_system(seen: SeenColumns, wanted: Wanted, found: dict[str, Proposal]) -> None:
    name = seen.named(*_SYSTEM)
    if name and not wanted.of(Role.SYSTEM) and found[name].role is Role.IGNORE:
        found[name] = Proposal(role=Role.SYSTEM, evidence=f"it is named {name!r}")


def _take_text(seen: SeenColumns, wanted: Wanted, found: dict[str, Proposal]) -> str:
    by_hand = wanted.of(Role.TEXT)
    name, why = (by_hand, "chosen by hand") if by_hand else role_finder.best_text(_free(seen, found)) or (None, "")
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
