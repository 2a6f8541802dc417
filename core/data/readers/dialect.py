"""How a delimited file is written: separator, quotation marks, escapes; judged by its first lines."""

from __future__ import annotations

import csv
import io
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice

SEPARATORS = {",": "comma", "\t": "tab", ";": "semicolon", "|": "bar", "^": "caret", "~": "tilde", "\x01": "control-A",
              "\x1f": "unit separator", " ": "space"}
"""The last two but one are what Hive and other databases write."""
SAMPLE_CHARS = 1 << 18
SAMPLE_ROWS = 200
_ENOUGH = 20
_QUOTED_WORDS = re.compile(r'"(?:[^"\\]|\\.|"")*"(?: (?:"(?:[^"\\]|\\.|"")*"|[^\s"]+))+')
_HINT = re.compile(r'\ufeff?"?sep=(\\t|.)"?[,;\t|\s]*', re.IGNORECASE)


@dataclass(frozen=True, kw_only=True)
class Dialect:
    """How a delimited file is written."""

    separator: str
    quote: str | None = '"'
    """None: a quotation mark is a character like any other."""
    backslash: bool = False
    """Inside a cell, a quotation mark is written as backslash-quote, a line break as backslash-break."""
    doubled: bool = False
    """A backslash that means itself is written twice."""
    spaced: bool = False
    """There are spaces between a separator and the quotation mark behind it."""

    def reader(self, lines: Iterable[str]) -> Iterator[list[str]]:
        if self.quote is None:
            return csv.reader(lines, delimiter=self.separator, quoting=csv.QUOTE_NONE)
        return csv.reader(lines, delimiter=self.separator, quotechar=self.quote, skipinitialspace=self.spaced)

    def cells(self, line: str) -> list[str]:
        """One line by itself; cut at every separator where its quotation marks do not pair up."""
        line = line.rstrip("\r\n")
        if self.quote is None or line.count(self.quote) % 2:
            return [cell.strip(self.quote or "") for cell in line.split(self.separator)]
        return next(self.reader([line]), [])


@dataclass(frozen=True, kw_only=True)
class Shape:
    """What a row of a file looks like, to tell a row from a line inside a cell."""

    dialect: Dialect
    width: int
    """Cells of most lines."""
    vocabulary: dict[int, frozenset[str]] = field(default_factory=dict)
    """Columns whose values repeat, such as labels -> these values."""
    hashes: bool = False
    """Whether rows that begin with `#` are nothing special here."""

    def is_row(self, line: str) -> bool:
        """Whether a line by itself could be a row."""
        cells = self.dialect.cells(line)
        return len(cells) == self.width and self.knows(cells)

    def could_be(self, cells: Sequence[str]) -> bool:
        """Whether a row that begins with `#` may be one all the same: cut like the others, and filled like them."""
        return len(cells) == self.width and (self.hashes or self.knows(cells))

    def knows(self, cells: Sequence[str]) -> bool:
        """Whether a row of the right width has a known value in every column whose values repeat."""
        return all(cells[position] in values for position, values in self.vocabulary.items())

    def opens_alone(self, line: str) -> bool:
        """Whether a line that leaves a quotation mark open is a whole row all the same: known cells follow the mark."""
        cells = self.dialect.cells(line)
        raw = line.rstrip("\r\n").split(self.dialect.separator)
        if len(cells) != self.width or len(raw) != self.width or not self.vocabulary:
            return False
        opened = max((i for i, cell in enumerate(raw) if cell.lstrip().startswith(self.dialect.quote or '"')),
                     default=0)
        return self.knows(cells) and any(position >= opened for position in self.vocabulary)


def hinted_separator(line: str) -> str | None:
    """The separator that a first line such as `sep=;` names; None for any other line."""
    match = _HINT.fullmatch(line.rstrip("\r\n"))
    return None if match is None else match[1].replace("\\t", "\t")


def lines_of(sample: str) -> list[str]:
    """The lines of a sample that are not blank, without the last one of a sample that is cut."""
    lines = [line for line in io.StringIO(sample, newline="") if line.strip()]
    return lines[:-1] if len(sample) >= SAMPLE_CHARS and len(lines) > 1 else lines


def detect_dialect(sample: str, *, hint: str = ",", separator: str | None = None) -> Dialect:
    """Separator and quoting of a sample: the separator that cuts most rows equally wide wins. separator: if known."""
    lines = lines_of(sample)[: 2 * SAMPLE_ROWS]
    quote = '"' if '"' in sample or not _single_quoted(lines) else "'"
    escaped = len(re.findall(r'\\"(?![,;\t|\r\n]|$)|\\"(?="[,;\t|\r\n])', sample))
    doubled_quotes = re.sub(r'(^|[,;\t|\n])""(?=[,;\t|\r\n]|$)', "", sample).replace('\\"', "").count('""')
    dumped = bool(re.search(r"(^|[,;\t|\n])\\N(?=[,;\t|\r\n]|$)", sample))
    backslash = escaped > doubled_quotes or (dumped and not doubled_quotes)
    plain = Dialect(separator=separator or hint, quote=quote, backslash=backslash,
                    doubled=backslash and not re.search(r'(?<!\\)(?:\\\\)*\\(?![\\"N\r\n])', sample))
    if separator is None:
        plain = replace(plain, separator=_best_separator(lines, plain, hint))
    return _quoting(lines, plain)


def _best_separator(lines: Sequence[str], plain: Dialect, hint: str) -> str:
    if lines and sum(bool(_QUOTED_WORDS.fullmatch(line.rstrip("\r\n"))) for line in lines) > 0.95 * len(lines):
        return " "
    best, best_score = hint, 0.0
    inside = "|" if sum(line.count("<|") + line.count("|>") for line in lines) > 0 == sum(
        re.sub(r"<\||\|>", "", line).count("|") for line in lines) else ""     # special tokens, such as <|user|>
    for separator in (hint, *(s for s in SEPARATORS if s not in (hint, " ", inside))):
        dialect = replace(plain, separator=separator)
        score = max(_evenness([row for row in islice(dialect.reader(cooked(lines, dialect)), SAMPLE_ROWS) if row]),
                    _evenness([dialect.cells(line) for line in lines[:SAMPLE_ROWS]]))
        if score > best_score + 0.05 or (score > 0 and best_score == 0):
            best, best_score = separator, score
    return best


def _evenness(rows: Sequence[Sequence[str]]) -> float:
    """Share of rows that are as wide as most; a little less where the header lacks a cell (R writes none above row
    names), less where it is of another width; 0 where most have one cell."""
    widths = [len(row) for row in rows]
    width = common_width(widths)
    if width < 2:
        return 0.0
    return sum(w == width for w in widths) / len(widths) - {width: 0.0, width - 1: 0.06}.get(widths[0], 0.1)


def common_width(widths: Sequence[int]) -> int:
    """The most frequent width, the larger of two equally frequent; 0 where there is none."""
    return max(Counter(widths).items(), key=lambda item: (item[1], item[0]), default=(0, 0))[0]


def _quoting(lines: Sequence[str], dialect: Dialect) -> Dialect:
    """Whether quotation marks stand behind spaces, or mean nothing at all."""
    separator = re.escape(dialect.separator)
    if dialect.separator != " " and any(re.search(rf'{separator} +"', line) for line in lines):
        spaced = replace(dialect, spaced=True)
        if _evenness([spaced.cells(line) for line in lines]) > _evenness([dialect.cells(line) for line in lines]):
            dialect = spaced
    if dialect.quote is None:
        return dialect
    mark = re.escape(dialect.quote)
    cell = rf"(?:^|(?<={separator})){' *' if dialect.spaced else ''}{mark}"
    proper = re.compile(rf"{cell}(?:[^{mark}]|{mark}{mark})*{mark}(?=\s*(?:{separator}|$))")
    whole = bare = 0
    for line in (line.rstrip("\r\n") for line in cooked(lines, dialect)):
        whole += len(proper.findall(line))
        bare += len(re.findall(cell, proper.sub("", line)))
    if dialect.backslash:                                            # a dump: either every text is quoted or none is
        return dialect if whole else replace(dialect, quote=None)
    even = [len(line.split(dialect.separator)) for line in lines]
    width = common_width(even)
    if bare > 1 and bare > whole and width > 1 and sum(w == width for w in even) >= 0.99 * len(even):
        return replace(dialect, quote=None)
    return dialect


def _single_quoted(lines: Sequence[str]) -> bool:
    quoted = sum(bool(re.search(r"(^|[,;\t|])'[^']*'([,;\t|]|$)", line.rstrip("\r\n"))) for line in lines[:SAMPLE_ROWS])
    return quoted > 0.8 * len(lines[:SAMPLE_ROWS])


def shape_of(sample: str, dialect: Dialect) -> Shape:
    """The shape of most records of a sample; of most lines, where a quotation mark leaves too few records."""
    lines = lines_of(sample)[: 10 * SAMPLE_ROWS]
    rows = [row for row in dialect.reader(cooked(lines, dialect)) if row]
    if len(rows) < _ENOUGH:
        rows = [dialect.cells(line) for line in lines]
    width = common_width([len(row) for row in rows])
    rows = [row for row in rows if len(row) == width]
    vocabulary: dict[int, frozenset[str]] = {}
    for position in range(width if len(rows) >= 5 else 0):
        counts = Counter(row[position] for row in rows)
        known = {value for value, count in counts.items() if count > 1 and value.strip() and len(value) <= 60}
        if sum(counts[value] for value in known) >= 0.8 * len(rows):
            vocabulary[position] = frozenset(known)
    hashes = sum(row[0].startswith("#") for row in rows) > max(2, 0.02 * len(rows))
    return Shape(dialect=dialect, width=width, vocabulary=vocabulary, hashes=hashes)


QUOTE, BREAK, _TWICE = "\ufdd0", "\ufdd1", "\ufdd2"
"""Stand for an escaped quotation mark, line break and backslash until a line is cut into cells."""
_MARKS = re.compile(f"[{QUOTE}{BREAK}{_TWICE}]")


def cooked(lines: Iterable[str], dialect: Dialect) -> Iterator[str]:
    """Lines with what backslashes escape out of the way of the CSV reader; see `restored`."""
    if not dialect.backslash:
        yield from lines
        return
    held = ""
    for line in lines:
        line = re.sub(r"\\(.)", lambda m: QUOTE if m[1] == '"' else ("\\" + _TWICE if m[1] == "\\" else m[0]), line)
        body = line.rstrip("\r\n")
        if body.endswith("\\") and body != line:
            held += body[:-1] + BREAK
        else:
            yield held + line
            held = ""
    if held:
        yield held


def restored(cells: list[str], dialect: Dialect) -> list[str]:
    """Cells with the characters that `cooked` put out of the way."""
    if not dialect.backslash:
        return cells
    twice = "" if dialect.doubled else "\\"
    return [cell.replace(QUOTE, '"').replace(BREAK, "\n").replace(_TWICE, twice) if _MARKS.search(cell) else cell
            for cell in cells]
