"""What an import found: rows left out, findings, and the report that is shown before anything is accepted."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from core.domain import codec
from core.errors import DataError
from core.spreadsheets import to_csv


class Severity(StrEnum):
    """An error keeps the dataset from being made; a warning asks for a look; an info is good to know."""

    ERROR = "error"
    WARNING = "warning"
    INFO = "info"


ERROR, WARNING, INFO = Severity


def several(count: int, one: str, many: str) -> str:
    """`1 row is` or `1,234 rows are`, for messages."""
    return f"{count:,} {one if count == 1 else many}"


@dataclass(frozen=True, kw_only=True)
class LeftOut:
    """A row that was read but not kept."""

    row: int
    """Row number in the file: 1 is the first row after the header."""
    reason: str
    file: str = ""
    """Where a row is a file of its own (a picture): its name."""


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One thing a careful colleague would point out."""

    code: str
    """Stable name, e.g. `exact-duplicates`."""
    severity: Severity
    count: int
    """Rows, classes or columns concerned."""
    message: str
    remedy: str
    rows: tuple[int, ...] = ()
    """Row numbers: of a check all of them, of a report a few as examples (see `core.data.found`)."""
    example: str = ""
    """A short piece of what was found."""
    twins: tuple[int, ...] = ()
    """Of duplicates and leaks: for each of `rows` the row that it is like."""
    suggested: tuple[str, ...] = ()
    """Of labels in doubt: for each of `rows` the class that it may belong to."""


@dataclass(frozen=True, kw_only=True)
class ImportReport:
    """The import report. Counts always add up: `rows_read == rows_kept + len(left_out)`."""

    source: str
    rows_read: int
    rows_kept: int
    left_out: tuple[LeftOut, ...] = ()
    columns: dict[str, str] = field(default_factory=dict)
    """column name -> role."""
    evidence: dict[str, str] = field(default_factory=dict)
    """column name -> why that role was proposed."""
    classes: dict[str, int] = field(default_factory=dict)
    """class -> rows, largest first."""
    splits: dict[str, dict[str, int]] = field(default_factory=dict)
    """split -> class -> rows."""
    findings: tuple[Finding, ...] = ()
    read_seconds: float = 0.0
    check_seconds: float = 0.0
    format: str = ""
    """What the file was read as, e.g. `CSV, comma, UTF-8`."""
    shape: str = ""
    """Of rows for language models: `text` or `chat`; empty for rows with labels."""
    shape_evidence: str = ""
    """Why, in words."""
    groups: int = 0
    """Groups of rows that no split cuts; 0 where each row stands for itself."""
    passages: int = 0
    """What the rows kept became where texts were cut; 0 where none was. `splits` counts passages then."""
    answers: tuple[str, ...] = ()
    """All last answers of conversations, where they are few and short."""
    tokens: dict[str, int] = field(default_factory=dict)
    """taught, context, cut: tokens of all rows under a base model; empty where none was named."""
    schema_version: int = 1

    @property
    def errors(self) -> tuple[Finding, ...]:
        """Findings that keep the dataset from being made."""
        return tuple(finding for finding in self.findings if finding.severity == ERROR)

    def to_json(self) -> dict[str, Any]:
        return dict(codec.to_json(self))

    @staticmethod
    def from_json(data: dict[str, Any]) -> ImportReport:
        return codec.from_json(ImportReport, data)

    def raise_errors(self) -> None:
        """Raise DataError for the first error finding, mentioning the others; nothing when there is none."""
        if not self.errors:
            return
        first, *others = self.errors
        why = f"Of {self.rows_read:,} rows read, {self.rows_kept:,} could be kept."
        if others:
            why += " Also: " + " ".join(other.message for other in others[:3])
        raise DataError(first.message, why=why, remedy=first.remedy)

    def left_out_csv(self) -> str:
        """All rows left out, with their reasons, as CSV for download; see `spreadsheets.to_csv`."""
        named = any(item.file for item in self.left_out)
        return to_csv(["row", *(["file"] if named else []), "reason"],
                      ([item.row, *([item.file] if named else []), item.reason] for item in self.left_out))
