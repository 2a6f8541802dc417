"""Columns that a conversation may need and does not get: said, so that nothing is left away in silence."""

from __future__ import annotations

from collections.abc import Mapping

from core.data.readers.table import Table
from core.data.report import INFO, WARNING, Finding
from core.data.roles import plain_name
from core.domain.dataset import Role

_CONTEXT = frozenset(("choices", "options", "history", "context", "contexts", "passage", "article", "story", "document",
                      "documents", "definition", "background", "evidence", "knowledge", "persona", "personality"))
_MARKS = ("label", "is good", "good", "accepted", "chosen", "winner")
_REJECTED = frozenset(("rejected", "rejects", "dispreferred"))


def findings(table: Table, roles: Mapping[str, str]) -> tuple[Finding, ...]:
    """Of rows for language models: columns that look like a part of what is asked, and answers that were rejected."""
    chat = {str(role) for role in roles.values()} & {Role.PROMPT, Role.MESSAGES}
    left = [name for name, role in roles.items() if role == Role.IGNORE and _filled(table, name)] if chat else []
    words = {name: set(plain_name(name).split()) for name in left}
    context = [name for name in left if Role.PROMPT in chat and words[name] & _CONTEXT]
    rejected = [name for name in left if words[name] & _REJECTED]
    found = []
    if context:
        found.append(Finding(
            code="context-not-read", severity=WARNING, count=len(context), example=_named(context),
            message="Columns that may belong to what is asked are not read: the answers may need them.",
            remedy="Give them the role of a second text; save lists and objects as plain text before."))
    if marks := [name for name in left if plain_name(name) in _MARKS and _says_yes_or_no(table, name)]:
        found.append(Finding(
            code="marks-not-read", severity=WARNING, count=len(marks), example=_named(marks),
            message="A column says yes or no of each answer and is not read: answers that it marks as bad would be "
                    "learned like the good ones.",
            remedy="Keep only the rows with good answers, if it marks them; otherwise nothing to do."))
    if rejected:
        found.append(Finding(
            code="rejected-not-read", severity=INFO, count=len(rejected), example=_named(rejected),
            message="Answers that were rejected are not learned; the chosen ones are.",
            remedy="Nothing to do."))
    return tuple(found)


def _says_yes_or_no(table: Table, name: str) -> bool:
    cells = set(table.data.column(name).unique().to_pylist()) if name in table.columns else set()
    return {cell.strip().lower() for cell in cells if cell} in ({"true", "false"}, {"0", "1"})


def _named(names: list[str]) -> str:
    return ", ".join(name[:40] for name in names[:5])


def _filled(table: Table, name: str) -> bool:
    """Whether a column holds anything; one that is set aside does."""
    if name not in table.columns:
        return True
    return any((cell or "").strip() not in ("", "[]", "{}") for cell in table.data.column(name).to_pylist())
