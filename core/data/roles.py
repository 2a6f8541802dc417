"""Propose what each column is used for, with the evidence in words."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from core.data.readers.table import Table
from core.data.splits import ALIASES
from core.domain.dataset import Role
from core.errors import DataError

_SAMPLE_ROWS = 5_000
_SAMPLE_CELLS = 250_000
"""Of all columns together: of a wide table fewer rows are looked at."""
_NAMES: Mapping[Role, frozenset[str]] = {
    Role.TEXT: frozenset({"text", "sentence", "sentence1", "review", "content", "body", "message", "comment",
                          "document", "tweet", "article", "question", "premise", "text1", "utterance", "abstract",
                          "question1", "review body", "chosen"}),
    Role.SECOND_TEXT: frozenset({"text2", "sentence2", "hypothesis", "title", "subject", "headline", "question2",
                                 "summary", "context"}),
    Role.LABEL: frozenset({"label", "labels", "class", "classes", "category", "categories", "target", "sentiment",
                           "topic", "y", "intent", "emotion", "label text", "label name", "labels text", "rating",
                           "stars", "tag", "verdict", "overall", "polarity"}),
    Role.ID: frozenset({"id", "index", "idx", "uid", "uuid", "guid", "key", "row id", "doc id", "document id",
                        "item id", "unnamed: 0"}),
    Role.SPLIT: frozenset({"split", "set", "fold", "partition", "subset", "usage"}),
    Role.DOMAIN: frozenset({"domain", "source", "site", "origin", "corpus", "dataset"}),
}

_TOOLS: Mapping[str, tuple[frozenset[str], frozenset[str]]] = {
    "Label Studio": (frozenset({"annotation_id", "annotator", "lead_time", "inner_id", "total_annotations",
                                "completed_by", "file_upload"}),
                     frozenset({"annotation_id", "annotator", "annotators", "lead_time", "inner_id",
                                "total_annotations", "completed_by", "file_upload", "created_at", "updated_at",
                                "cancelled_annotations", "total_predictions", "comment_count",
                                "unresolved_comment_count", "comment_authors", "last_comment_updated_at", "project",
                                "updated_by", "drafts", "predictions", "prediction", "meta", "agreement",
                                "was_cancelled", "ground_truth", "task", "import_id",
                                "state", "created_username", "last_created_by", "parent_annotation",
                                "parent_prediction", "result_count", "unique_id", "last_action", "bulk_created",
                                "draft_created_at", "annotator_email", "reviewed"})),
    "Prodigy": (frozenset({"_task_hash", "_input_hash"}),
                frozenset({"_task_hash", "_input_hash", "_session_id", "_view_id", "_annotator_id", "_timestamp",
                           "_is_binary", "answer", "options", "meta", "config", "priority", "score"})),
    "Doccano": (frozenset({"annotation_approver", "Comments", "annotator"}),
                frozenset({"annotation_approver", "Comments", "annotator"})),
}
"""Annotation tool -> (columns that give it away: two, or one with _ or an approver; what it keeps for itself)."""

_LABEL_ENDS = frozenset({"label", "class", "category", "sentiment", "emotion", "topic", "intent", "stance", "polarity"})
"""Words with which the name of a label often ends: `airline_sentiment`, `gold_label`."""
_LABEL_BEGINS = frozenset({"class", "label", "category"})
"""Words with which the name of a label in words begins: `ClassName`."""

_MEDIA = re.compile(
    r"\s*\S{1,500}\.(png|jpe?g|webp|bmp|gif|tiff?|svg|heic|mp3|mp4|wav|ogg|flac|webm|avi|mov|pdf)(\?\S*)?\s*",
                    re.IGNORECASE)

_OF_FILES: Mapping[Role, str] = {Role.TEXT: "one row a file", Role.IMAGE: "one row a file",
                                 Role.LABEL: "the folder that each file lies in",
                                 Role.SPLIT: "the folder above the classes",
                                 Role.DOMAIN: "the folder above the classes"}
"""Evidence where rows are files in folders."""


@dataclass(frozen=True, kw_only=True)
class ColumnFacts:
    """What a sample of a column's cells looks like."""

    name: str
    filled: int
    distinct: int
    mean_chars: float
    mean_words: float
    split_words: float
    """Share of cells that name a split."""
    whole_numbers: float
    """Share of cells that are whole numbers."""
    numbers: float
    """Share of cells that are numbers of any kind."""
    picture_names: float = 0.0
    """Share of cells that are file names or addresses of pictures, audio or video."""

    @property
    def repeats(self) -> float:
        """Filled cells per distinct value."""
        return self.filled / max(1, self.distinct)


@dataclass(frozen=True, kw_only=True)
class Proposal:
    """A role and why."""

    role: Role
    evidence: str


def bookkeeping(columns: Sequence[str]) -> dict[str, str]:
    """Columns that an annotation tool keeps for itself -> the evidence; none for other tables."""
    found: dict[str, str] = {}
    for tool, (signs, own) in _TOOLS.items():
        seen = signs.intersection(columns)
        if len(seen) > 1 or any(sign.startswith("_") or sign == "annotation_approver" for sign in seen):
            found |= {name: f"{tool} keeps it for itself" for name in columns if name in own}
    return found


def column_facts(table: Table, name: str) -> ColumnFacts:
    """Facts of one column from at most 5,000 cells spread over the table; fewer above 50 columns."""
    cells = sample(table, name)
    filled = [cell for cell in cells if cell.strip()]
    n = max(1, len(filled))
    return ColumnFacts(
        name=name, filled=len(filled), distinct=len(set(filled)),
        mean_chars=sum(map(len, filled)) / n,
        mean_words=sum(len(cell[:2000].split()) for cell in filled) / n,
        split_words=sum(cell.strip().lower() in ALIASES for cell in filled) / n,
        whole_numbers=sum(bool(re.fullmatch(r"\s*[+-]?\d{1,18}\s*", cell)) for cell in filled) / n,
        numbers=sum(is_number(cell) for cell in filled) / n,
        picture_names=sum(bool(_MEDIA.fullmatch(cell)) for cell in filled) / n)


def is_number(cell: str) -> bool:
    """Whether a cell is a plain number (`nan` and `inf` are not)."""
    return bool(re.fullmatch(r"\s*[+-]?(\d+([.,]\d*)?|[.,]\d+)([eE][+-]?\d+)?\s*", cell[:60]))


def sample(table: Table, name: str) -> list[str]:
    """Cells of a column, spread over the table; at most 5,000."""
    column: Any = table.data.column(name)
    step = max(1, len(column) // min(_SAMPLE_ROWS, max(100, _SAMPLE_CELLS // max(1, len(table.columns)))))
    picked = column.take(list(range(0, len(column), step))) if step > 1 else column
    return [cell for cell in picked.to_pylist() if cell is not None]


def propose(table: Table) -> dict[str, Proposal]:
    """A role for every column. Text and label are proposed where any column could serve; the rest is ignored.

    Names count first, then what the cells look like: text is long and varied, a label is short and repeats.
    """
    facts = {name: column_facts(table, name) for name in table.columns if name not in table.unusable}
    found: dict[str, Proposal] = {name: Proposal(role=Role.IGNORE, evidence=why)
                                  for name, why in table.unusable.items()}
    kept_by_tool = bookkeeping(table.columns) | table.aside
    for name, fact in facts.items():
        if name in kept_by_tool:
            found[name] = Proposal(role=Role.IGNORE, evidence=kept_by_tool[name])
        elif not fact.filled:
            found[name] = Proposal(role=Role.IGNORE, evidence="it is empty")
        elif is_named(name, Role.SPLIT) and fact.split_words > 0.9:
            found[name] = Proposal(role=Role.SPLIT, evidence=f"it is named {name!r} and says train, test or the like")
        elif name == table.image_column:
            found[name] = Proposal(role=Role.IMAGE,
                                   evidence=f"its cells name pictures: {fact.distinct:,} different ones in "
                                                             f"{fact.filled:,} sampled rows")
        elif fact.picture_names > 0.9:
            found[name] = Proposal(role=Role.IGNORE,
                                   evidence="its cells name pictures or other media, which are not here")
        elif fact.split_words == 1.0 and fact.distinct > 1:
            found[name] = Proposal(role=Role.SPLIT, evidence="every cell names a split")
    if label := _best_label({n: f for n, f in facts.items() if n not in found},
                            with_pictures=table.pictures is not None):
        names = _names_of_numbers(table, facts, label[0])
        found[names or label[0]] = Proposal(role=Role.LABEL, evidence=label[1] if names is None else
                                            f"it says in words what {label[0]!r} says in numbers")
    text = None if table.pictures else best_text({n: f for n, f in facts.items() if n not in found})
    if text:
        found[text[0]] = Proposal(role=Role.TEXT, evidence=text[1])
    for name, fact in facts.items():
        if name not in found:
            found[name] = _other(fact, has_text=text is not None)
    if table.by_folder:
        found = {name: Proposal(role=p.role, evidence=_OF_FILES.get(p.role, p.evidence)) for name, p in found.items()}
    return {name: found[name] for name in table.columns + tuple(n for n in table.unusable if n not in table.columns)}


def _best_label(facts: Mapping[str, ColumnFacts], *, with_pictures: bool) -> tuple[str, str] | None:
    named = [f for f in facts.values() if is_named(f.name, Role.LABEL) and f.mean_chars < 100] or [
        f for f in facts.values() if "." not in f.name and 1 < f.distinct <= f.filled // 2 and f.mean_chars < 60
        and plain_name(f.name).rpartition(" ")[2] in _LABEL_ENDS]
    if named:
        plain = ("label", "labels", "class")
        best = max(named, key=lambda f: (f.repeats > 1.5 and f.distinct > 1, f.name.lower() in plain, f.numbers < 1,
                                         f.repeats))
        return (best.name,
                f"it is named {best.name!r} and has {best.distinct:,} different values in {best.filled:,} sampled rows")
    shaped = [f for f in facts.values() if 1 < f.distinct <= max(2, min(200, f.filled // 3)) and f.mean_chars
              < 60 and f.repeats >= 2 and "." not in f.name          # what is inside an object must be named like one
              and not any(is_named(f.name, role) for role in (Role.ID, Role.DOMAIN, Role.TEXT))]
    if not shaped or (len(facts) < 2 and not with_pictures):
        return None
    best = min(shaped, key=lambda f: (f.numbers == 1.0, f.distinct))
    return best.name, f"it is short and repeats: {best.distinct:,} different values in {best.filled:,} sampled rows"


def _names_of_numbers(table: Table, facts: Mapping[str, ColumnFacts], label: str) -> str | None:
    """The column that says in words what a label of numbers says, one word for each; None where there is none. Where a
    label has a text of its own (`label_text`), the file itself says which of the two is the label."""
    if facts[label].numbers < 1:
        return None
    cells: Any = table.data.column(label)
    for name, fact in facts.items():
        own = plain_name(name).startswith(f"{plain_name(label)} ")
        said = is_named(name, Role.LABEL) or plain_name(name).partition(" ")[0] in _LABEL_BEGINS
        if said and not own and fact.numbers == 0 and fact.distinct == facts[label].distinct > 1:
            pairs = cells.slice(0, _SAMPLE_ROWS).to_pylist(), table.data.column(name).slice(0, _SAMPLE_ROWS).to_pylist()
            found = set(zip(*pairs, strict=True))
            if len(found) == len({a for a, _ in found}) == len({b for _, b in found}):
                return name
    return None


def best_text(facts: Mapping[str, ColumnFacts]) -> tuple[str, str] | None:
    """(the column that looks most like texts, why) of these; None where none does."""
    facts = {name: fact for name, fact in facts.items() if fact.picture_names <= 0.9}
    named = [f for f in facts.values() if is_named(f.name, Role.TEXT) and f.numbers < 0.5]
    shaped = [f for f in facts.values() if f.numbers < 0.5 and not is_named(f.name, Role.ID)]
    pool = named or shaped
    if not pool:
        return None
    best = max(pool, key=lambda f: f.mean_chars)
    why = f"it is named {best.name!r}" if named else "its cells are the longest"
    return (best.name, f"{why}: {best.mean_words:.0f} words on average, {best.distinct:,} different ones in "
                       f"{best.filled:,} sampled rows")


def _other(fact: ColumnFacts, *, has_text: bool) -> Proposal:
    if has_text and is_named(fact.name, Role.SECOND_TEXT) and fact.mean_words >= 2 and fact.numbers < 0.5:
        return Proposal(role=Role.SECOND_TEXT,
                        evidence=f"it is named {fact.name!r} and holds {fact.mean_words:.0f} words on average")
    if is_named(fact.name, Role.ID) and fact.mean_chars < 60 and fact.repeats <= 10:
        unique = " and every value is different" if fact.repeats == 1 else ""
        return Proposal(role=Role.ID, evidence=f"it is named {fact.name!r}{unique}")
    if is_named(fact.name, Role.DOMAIN) and fact.repeats >= 2 and fact.mean_chars < 60:
        return Proposal(role=Role.DOMAIN,
                        evidence=f"it is named {fact.name!r} and has {fact.distinct:,} different values")
    return Proposal(role=Role.IGNORE, evidence="nothing in its name or cells says what it is for")


def is_named(name: str, role: Role) -> bool:
    """Whether a column is named as those of a role often are, by its whole name or what is behind its last dot."""
    return not _NAMES[role].isdisjoint((plain_name(name), plain_name(name.rpartition(".")[2])))


def plain_name(name: str) -> str:
    """A column's name in lower case, its words parted by blanks: `systemPrompt` and `system_prompt` are alike."""
    words = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name)
    return re.sub(r"[\s_\-.]+", " ", words).strip().lower()


def choose(table: Table, *, text: str | None = None, label: str | None = None,
           domain: str | None = None) -> dict[str, Proposal]:
    """`propose`, with text, label and domain column given by hand where not None.

    Raises DataError naming the columns when a given one is missing or unusable, or when none could be found.
    """
    roles = propose(table)
    content = content_role(table)
    for given, role in ((text, content), (label, Role.LABEL), (domain, Role.DOMAIN)):
        if given is None:
            continue
        check_column(table, given)
        roles = {n: Proposal(role=Role.IGNORE, evidence="another column was chosen") if p.role is role else p
                 for n, p in roles.items()}
        roles[given] = Proposal(role=role, evidence="chosen by hand")
    taken = {p.role for p in roles.values()}
    if text is None and content is Role.TEXT and Role.TEXT not in taken:
        free = [n for n, p in roles.items() if p.role is Role.IGNORE and n not in table.unusable and n != label]
        if best := best_text({n: column_facts(table, n) for n in free}):
            roles[best[0]] = Proposal(role=Role.TEXT, evidence=best[1])
    require_roles(table, {name: proposal.role for name, proposal in roles.items()})
    return roles


def content_role(table: Table) -> Role:
    """What a model looks at in this table: texts, or pictures."""
    return Role.TEXT if table.pictures is None else Role.IMAGE


def check_column(table: Table, name: str) -> None:
    """Raise DataError naming the columns unless `name` is one that can be used."""
    if name in table.unusable:
        raise DataError(f"The column {name!r} cannot be used: {table.unusable[name]}.",
                        remedy="Choose another column, or write this one as plain text and import the file again.")
    if name not in table.columns:
        raise DataError(f"{table.name} has no column {name!r}.", why=f"Its columns are: {listed(table)}.",
                        remedy="Choose one of these.")


def require_roles(table: Table, roles: Mapping[str, str]) -> None:
    """Raise DataError unless exactly one column is text (or picture) and one is label; or none is label, and there are
    texts, or conversations, or prompts with their responses."""
    taken = list(roles.values())
    for role in (content_role(table), Role.LABEL, Role.RESPONSE, Role.SPLIT, Role.GROUP):
        names = [name for name, value in roles.items() if value == role]
        if len(names) > 1:
            raise DataError(f"Two columns are marked as {role}: {', '.join(names)}.",
                            remedy="Keep one of them; give the other another role.")
    if table.pictures is not None or Role.LABEL in taken:
        for role in (content_role(table), Role.LABEL):
            if role not in taken:
                raise lacks(table, str(role), flag="label" if role is Role.LABEL else "text")
    elif (Role.PROMPT in taken) != (Role.RESPONSE in taken):
        other = Role.RESPONSE if Role.PROMPT in taken else Role.PROMPT
        raise lacks(table, str(other), flag=str(other))
    elif not {Role.TEXT, Role.MESSAGES, Role.PROMPT} & {str(role) for role in taken}:
        raise lacks(table, "text", flag="text")


def lacks(table: Table, what: str, *, flag: str) -> DataError:
    """The refusal of a table in which no column is what is needed. flag: how the command line is told."""
    unusable = "".join(f" {name[:40]!r} cannot be used: {why}." for name, why in list(table.unusable.items())[:3])
    without = " A language model needs no label: choose that task." if flag == "label" else ""
    mend = "Save each value in a cell of its own, as plain text or a number, or say" if unusable else "Say"
    return DataError(f"No column of {table.name} looks like the {what}.",
                     why=f"Its columns are: {listed(table)}.{unusable}",
                     remedy=f"{mend} which column is the {what} (on the page, or with --{flag} on the command "
                            f"line).{without}")


def listed(table: Table) -> str:
    """The first 20 column names in quotation marks."""
    names = [repr(name[:40]) for name in (*table.columns, *table.unusable)]
    return ", ".join(dict.fromkeys(names[:20])) + (f" and {len(names) - 20} more" if len(names) > 20 else "")
