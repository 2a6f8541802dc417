"""What the rows of a file are to be: classes of texts, or what a language model learns from, in one of three forms."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import streamlit as st

from core.domain.dataset import Content, Dataset, Role, Task
from core.errors import DataError
from pages._ui import shell

if TYPE_CHECKING:
    from core.api import TablePreview

_ALWAYS = (Role.ID, Role.SPLIT, Role.IGNORE)


@dataclass(frozen=True, kw_only=True)
class Form:
    """One way to use the columns of a file."""

    label: str
    task: Task
    roles: tuple[Role, ...]
    """What a column can be, in the order in which the page offers it; the last one is not used."""
    once: tuple[Role, ...]
    """Roles that exactly one column has."""
    some: tuple[Role, ...] = ()
    """Roles that at least one column has."""
    help: str
    takes: Mapping[Role, Role]
    """What a column becomes that was proposed for another form."""


CLASSES = Form(
    label="Texts with a class each", task=Task.on(Content.TEXT), once=(Role.TEXT, Role.LABEL),
    roles=(Role.TEXT, Role.SECOND_TEXT, Role.LABEL, Role.DOMAIN, *_ALWAYS), help="A model learns to sort them.",
    takes={Role.PROMPT: Role.TEXT, Role.RESPONSE: Role.LABEL, Role.MESSAGES: Role.TEXT})
PICTURES = Form(
    label="Pictures with a class each", task=Task.on(Content.PICTURE), once=(Role.IMAGE, Role.LABEL),
    roles=(Role.IMAGE, Role.LABEL, Role.DOMAIN, *_ALWAYS), help="A model learns to sort them.", takes={})
PASSAGES = Form(
    label="Plain text", task=Task.on(Content.TEXT, labelled=False), once=(Role.TEXT,),
    roles=(Role.TEXT, Role.SECOND_TEXT, Role.GROUP, *_ALWAYS), help="A language model learns to go on with it.",
    takes={Role.PROMPT: Role.TEXT, Role.RESPONSE: Role.SECOND_TEXT, Role.MESSAGES: Role.TEXT})
PROMPTS = Form(
    label="Prompt and response", task=Task.on(Content.TEXT, labelled=False), once=(Role.RESPONSE,), some=(Role.PROMPT,),
    roles=(Role.PROMPT, Role.SECOND_TEXT, Role.RESPONSE, Role.SYSTEM, Role.GROUP, *_ALWAYS),
    help="A language model learns to give the response (also instruction, input and output, as Alpaca has them).",
    takes={Role.TEXT: Role.PROMPT, Role.LABEL: Role.RESPONSE, Role.MESSAGES: Role.PROMPT})
CONVERSATIONS = Form(
    label="Conversations", task=Task.on(Content.TEXT, labelled=False), once=(), some=(Role.MESSAGES,),
    roles=(Role.MESSAGES, Role.SYSTEM, Role.PROMPT, Role.SECOND_TEXT, Role.RESPONSE, Role.GROUP, *_ALWAYS),
    help="Lists of turns in a column, as OpenAI (messages) and ShareGPT (conversations) write them; a language model "
         "learns the assistant's turns.", takes={Role.TEXT: Role.MESSAGES})
TEXTS = (CLASSES, PASSAGES, PROMPTS, CONVERSATIONS)


def of(roles: Mapping[str, str], content: Content = Content.TEXT) -> Form:
    """The form that roles speak for."""
    taken = set(roles.values())
    if content is Content.PICTURE:
        return PICTURES
    if Role.LABEL in taken:
        return CLASSES
    if Role.MESSAGES in taken:
        return CONVERSATIONS
    return PROMPTS if {Role.PROMPT, Role.RESPONSE} & taken else PASSAGES


def of_dataset(dataset: Dataset | None) -> Form | None:
    """The form that rows must have which are set beside these; None for no dataset."""
    if dataset is None:
        return None
    if dataset.task.labelled:
        return PICTURES if dataset.task.content is Content.PICTURE else CLASSES
    return of(dataset.columns)


def choose(preview: TablePreview, *, key: str, only: Form | None = None) -> Form:
    """The form that was seen, with the reason, and a choice of the others. only: the one that a shift set must have."""
    seen = of(preview.roles, preview.task.content)
    if seen is PICTURES or only is not None:
        return only or seen
    labels = {form.label: form for form in TEXTS}
    chosen = labels[str(st.segmented_control(
        "What the rows are", list(labels), default=seen.label, key=key, required=True,
        help="  \n".join(f"**{form.label}**: {form.help}" for form in TEXTS)) or seen.label)]
    reason = f"It looks more like {seen.label.lower()}." if chosen is not seen else \
        f"Seen so, as {preview.why}." if preview.why else ""
    st.caption(f"{chosen.help} {shell.escape(reason)}")
    return chosen


def role(form: Form, proposed: str, column: str, roles: Mapping[str, str]) -> Role:
    """What a column starts as in this form, given what was proposed for it. Of a role that one column has, the first
    column gets it, and the others none."""
    wanted = form.takes.get(Role(proposed), Role(proposed))
    if wanted not in form.roles:
        return Role.IGNORE
    if wanted in form.once:
        first = next(name for name, other in roles.items() if form.takes.get(Role(other), Role(other)) is wanted)
        if first != column:
            return Role.SECOND_TEXT if wanted is Role.TEXT else Role.IGNORE
    return wanted


def check(form: Form, roles: Mapping[str, str]) -> None:
    """Raise DataError for roles that do not make rows of this form."""
    for wanted in (*form.once, *form.some):
        chosen = [c for c, r in roles.items() if r == wanted]
        if (len(chosen) != 1 and wanted in form.once) or not chosen:
            raise DataError(f"{'No' if not chosen else 'More than one'} column is marked as {wanted.value}.",
                            why=f"Columns: {', '.join(roles)}.",
                            remedy=f"Choose {'exactly ' * (wanted in form.once)}one {wanted.value} column above.")


def shift_domain(preview: TablePreview, roles: Mapping[str, str], *, key: str) -> dict[str, Any]:
    """Which domain is the shift set, where a column says domains: an option of the import."""
    column = next((name for name, role in roles.items() if role == Role.DOMAIN), "")
    if not preview.values.get(column):
        return {}
    values: list[str | None] = [None, *preview.values[column]]
    chosen = st.selectbox("Shift set", values, format_func=lambda value: value or "none: all domains together",
                          key=f"shift_domain_{key}_{column}",
                          help="Rows of this domain are only evaluated on: how well does a model do there that was "
                               "trained on the others?")
    return {"shift_domain": chosen}


def cutting(preview: TablePreview, form: Form, *, key: str) -> dict[str, Any]:
    """How long passages are, where there are some: options of the import."""
    if form is not PASSAGES:
        return {}
    by_line = preview.lines and st.checkbox("Each line is a text of its own", key=f"lines_{key}",
                                            help="Off: a file is one text, which is cut into passages.")
    if by_line:
        return {"by_line": True}
    usual = shell.api().data.import_options().passage_tokens
    with st.container(horizontal=True, vertical_alignment="bottom"):
        tokens = st.number_input("Passage length", 0, 8192, usual, 20, key=f"passage_{key}", width=170,
                                 help="Long texts are cut into passages of about so many tokens, at the ends of "
                                      "paragraphs or sentences. No split parts the passages of a text. 0 cuts nothing.")
        overlap = st.number_input("Overlap", 0, 4096, 0, 10, key=f"overlap_{key}", width=130,
                                  help="Tokens at the end of a passage with which the next one begins again.")
    return {"passage_tokens": int(tokens), "passage_overlap": int(overlap)}
