"""Checks of rows for language models: prompts on both sides of a split, closed answers, marks of templates, length."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

import numpy as np

from core.data import duplicates, leaks
from core.data.checks.context import Context
from core.data.checks.languages import guess
from core.data.language_splits import FEWEST_GROUPS, too_few_documents
from core.data.passages import tokens_of
from core.data.report import ERROR, INFO, WARNING, Finding, several
from core.domain.dataset import Shape

MOST_ANSWERS = 20
"""Different answers up to which they are like classes."""
_ANSWER_CHARS = 60
_ROWS_AN_ANSWER = 3
"""Rows for each answer, at least, before a set of answers counts as closed."""
_MARKS = re.compile(
    r"<\|[A-Za-z_][\w ]{0,40}\|>|</?s>|\[/?(?:INST|SYS)\]|<</?SYS>>|<(?:start|end)_of_turn>|<(?:bos|eos|pad|unk)>"
    r"|<｜[^｜>]{1,40}｜>|^#{2,3} ?(?:Instruction|Input|Response|Human|Assistant|User|System):"
    r"|^(?:Human|Assistant|USER|ASSISTANT): ?\S", re.MULTILINE)
"""What templates of published models put around turns, and what prompts in files imitate."""
_LICENCE = re.compile(r"project gutenberg|gutenberg-tm|gutenberg\.org", re.IGNORECASE)
_SAMPLE = 2_000
_FEW_SHARE = 0.02


def something(context: Context) -> Iterator[Finding]:
    """An error where nothing is left to learn from."""
    if not len(context.rows):
        yield Finding(code="no-rows", severity=ERROR, count=0, message="No row is left to learn from.",
                      remedy="Check that the right columns are chosen as text, as prompt and response, or as messages, "
                             "and that their cells are filled.")


def cut(context: Context) -> Iterator[Finding]:
    """How many passages the texts became."""
    if (context.rows.source_row is None or context.rows.shape is not Shape.TEXT
            or len(context.rows) == context.rows.kept):
        return
    n, texts = len(context.rows), context.rows.kept
    yield Finding(code="passages", severity=INFO, count=n,
                  message=f"{several(texts, 'document', 'documents')} became {n:,} passages.",
                  remedy="Nothing to do; another length and overlap can be chosen when the file is imported.")


def groups(context: Context) -> Iterator[Finding]:
    """Groups that a split column parts, and texts that are too few to part."""
    rows = context.rows
    if too_few_documents(rows) and rows.split is None:
        texts = len(np.unique(rows.group))
        yield Finding(code="few-documents", severity=WARNING, count=texts,
                      message=f"The passages are of {several(texts, 'document', 'documents')}, fewer than there are "
                              "splits: the first passages train, the last are tested. Test rows are alike to training "
                              "rows.",
                      remedy=f"Import {FEWEST_GROUPS} texts or more together: then each is in one split only.")
    elif rows.group is not None and rows.split is None and len(np.unique(rows.group)) < FEWEST_GROUPS:
        yield Finding(code="few-groups", severity=WARNING, count=len(np.unique(rows.group)),
                      message=f"There are {several(len(np.unique(rows.group)), 'group', 'groups')}, and no split may "
                              "cut one: some splits stay empty.",
                      remedy="Add rows of other groups, or give the column another role.")
    if rows.split is not None and rows.group is not None:
        said = np.asarray(rows.split, dtype="<U10")
        moved = np.flatnonzero(leaks.fix_leaks(said, rows.group) != said)
        yield from context.about(
            moved, "parted-groups", ("row was", "rows were"), "moved: the split column has their group in several "
            "splits, and no split may cut a group.",
            remedy="Nothing to do; give the group column another role if its rows are independent.")


def prompts(context: Context) -> Iterator[Finding]:
    """The same prompt on both sides of a split, and with different answers."""
    if context.rows.shape is not Shape.CHAT or not len(context.rows):
        return
    asked, answered = context.asked
    same = duplicates.exact_groups(asked)
    rows = np.setdiff1d(leaks.leaks(context.split, same), leaks.leaks(context.split, context.exact))
    yield from context.about(
        rows, "prompt-leakage", ("row has", "rows have"),
        "the prompt of a row on another side of the split, with another answer: scores may be too high.",
        twins=leaks.twins(rows, same, split=context.split),
        remedy="Drop these rows, or let Thaw split the rows: it keeps equal prompts together.")
    answer = duplicates.exact_groups(answered)
    several_answers = _torn(same, answer)
    rows = np.flatnonzero(np.isin(same, several_answers))
    rows = rows[np.argsort(same[rows], kind="stable")]
    yield from context.about(
        rows, "prompt-with-answers", ("row has", "rows have"), "the prompt of another row, but another answer.",
        severity=INFO, twins=leaks.twins(rows, same, apart=answer),
        remedy="Nothing to do where several answers are right; otherwise drop the wrong ones, no model can learn both.")


def _torn(groups: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Groups with more than one value."""
    pairs = np.unique(np.stack([groups, values]), axis=1)
    found, counts = np.unique(pairs[0], return_counts=True)
    return np.asarray(found[counts > 1])


def closed_answers(answers: Sequence[str]) -> tuple[str, ...]:
    """All different answers, sorted, where they are few, short and repeated: then they are like classes."""
    found = {answer.strip() for answer in answers}
    closed = (2 <= len(found) <= MOST_ANSWERS and len(answers) >= _ROWS_AN_ANSWER * len(found)
              and max(map(len, found)) <= _ANSWER_CHARS)
    return tuple(sorted(found)) if closed else ()


def answers(context: Context) -> Iterator[Finding]:
    """Answers from a small closed set."""
    if context.rows.shape is not Shape.CHAT or not len(context.rows):
        return
    if found := closed_answers(context.asked[1]):
        yield Finding(code="closed-answers", severity=INFO, count=len(found),
                      example=", ".join(answer[:30] for answer in found[:5]) + (" …" if len(found) > 5 else ""),
                      message=f"All answers are one of {len(found):,}: right ones are counted, for each of them too.",
                      remedy="Nothing to do. Such rows can also be learned as classes: import the file as text "
                             "classification, with the response as label.")


def weights(context: Context) -> Iterator[Finding]:
    """Turns that their file marks as not to be learned."""
    yield from context.about(
        np.asarray(context.rows.weighted, dtype=np.int64), "turn-weights", ("row has", "rows have"),
        "turns of weight 0; weights are not looked at, so that these answers are learned like all others.",
        remedy="Take these turns out of the file if they must not be learned.")


def marks(context: Context) -> Iterator[Finding]:
    """Special tokens or text of a template inside rows."""
    found = [(row, match[0]) for row, text in enumerate(_spoken(context)) if (match := _MARKS.search(text))]
    kinds = list(dict.fromkeys(mark.strip() for _, mark in found))
    yield from context.about(
        np.asarray([row for row, _ in found], dtype=np.int64), "template-text", ("row holds", "rows hold"),
        "special tokens or text of a chat template: the model's own template is put around them once more.",
        example=", ".join(mark[:30] for mark in kinds[:5]),
        remedy="Take them out of the file, so that a row holds only what is said; leave them where they are meant.")


def licences(context: Context) -> Iterator[Finding]:
    """Passages of what Project Gutenberg puts before and behind a book."""
    if context.rows.shape is not Shape.TEXT:
        return
    yield from context.about(
        np.asarray([row for row, text in enumerate(context.texts) if _LICENCE.search(text)], dtype=np.int64),
        "licence-text", ("row is", "rows are"), "of the header or the licence of Project Gutenberg, not of the book.",
        remedy="Drop these rows, or take this text out of the file: what stands before the line START OF and behind "
               "the line END OF.")


def _spoken(context: Context) -> list[str]:
    """What rows say, without who says it."""
    if context.rows.shape is not Shape.CHAT:
        return list(context.texts)
    from core.data.conversations import load

    return ["\n".join(turn.content for turn in load(text)) for text in context.rows.text.to_pylist()]


def mixed(context: Context) -> Iterator[Finding]:
    """Rows in several languages, as far as scripts and frequent words tell."""
    step = max(1, len(context.texts) // _SAMPLE)
    places = np.arange(0, len(context.texts), step)
    spoken = _spoken(context)
    said = np.asarray([guess(spoken[place]) for place in places.tolist()], dtype=object)
    told = said[said != ""]
    names, counts = np.unique(told.astype(str), return_counts=True)
    order = np.argsort(-counts, kind="stable")
    often = [(str(names[i]), int(counts[i])) for i in order.tolist() if counts[i] >= max(2, _FEW_SHARE * len(told))]
    if len(often) < 2:
        return
    other = places[(said != "") & (said != often[0][0])]
    shares = ", ".join(f"{name} {count / len(told):.0%}" for name, count in often[:5])
    yield from context.about(
        other, "mixed-languages", ("row looks", "rows look"),
        f"to be in another language than most (of {len(told):,} rows whose language can be told: {shares}).",
        severity=INFO, remedy="Nothing to do if that is meant; a small model learns one language better than several.")


def length(context: Context) -> Iterator[Finding]:
    """Rows that are far longer than what a model is given at once."""
    if not len(context.rows):
        return
    step = max(1, len(context.texts) // _SAMPLE)
    tokens = np.asarray([tokens_of(text).sum() for text in context.texts[::step]])
    share = float((tokens > context.max_length).mean())
    half, most = (int(np.percentile(tokens, q)) for q in (50, 95))
    cut = f"{share:.0%} are longer than {context.max_length} tokens" if share else f"all fit in {context.max_length}"
    yield Finding(code="length", severity=WARNING if share > 0.5 else INFO, count=round(share * len(context.texts)),
                  message=f"Half of the rows have about {half:,} tokens or more, one in twenty has {most:,} or more"
                          f"; {cut}.",
                  remedy="Nothing to do." if not share else
                         "What is longer than the length of a recipe is cut when a run reads it, and counted. Choose a "
                         "greater length there, or shorter passages here.")
