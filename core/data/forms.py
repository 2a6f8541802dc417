"""How files write rows for language models, what a person said of a file, and what was chosen for its columns."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from core.data.roles import Proposal
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


def form_of(roles: Mapping[str, str]) -> Form | None:
    """The form that these roles make, as far as roles tell it; None for rows with labels."""
    taken = {str(role) for role in roles.values()}
    if Role.LABEL in taken or Role.IMAGE in taken:
        return None
    if Role.MESSAGES in taken:
        return Form.MESSAGES
    return Form.PROMPTS if Role.PROMPT in taken else Form.TEXT


def wanted_form(value: str | None) -> str | None:
    """A form by its name. Raises DataError naming those that there are."""
    if value is None or value == CHAT or value in {form.value for form in Form}:
        return value
    raise DataError(f"There is no shape {value[:40]!r}.", why=f"There are: {CHAT}, {', '.join(Form)}.",
                    remedy="Choose one of these.")
