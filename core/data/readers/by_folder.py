"""Rows from files in class folders, pictures or texts: what every reader of folders counts, leaves out and says."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType

from core.data.archive import UNREADABLE
from core.data.layout import Layout, Place
from core.data.readers.table import RowBuilder, Table
from core.data.report import INFO, WARNING, Finding, several
from core.data.source import HIDDEN, Source

SPLIT, DOMAIN, INNER = "split", "domain", "inner folder"
LINK = "it is a symbolic link, which is not followed"


def table(source: Source, layout: Layout, files: Sequence[str], *, wanted: Callable[[str], bool],
          why_not: Callable[[str], str], row: Callable[[str, Place], Sequence[str | None]], columns: Sequence[str],
          max_rows: int, format: str, thing: str, listed: Mapping[str, str] = MappingProxyType({})) -> Table:
    """One row a file: kept where it is wanted and lies in a class folder, else left out with the reason; hidden files
    and links last.

    files: in the order of the rows. row: the cells of a kept file, in the order of columns; a column `split` is added
    where folders tell it. thing: what a kept file is, for messages (`picture`). listed: file -> class of those whose
    folders say none, but a list does.
    """
    split = bool(layout.splits)
    level = DOMAIN if layout.domains else INNER if layout.inner else ""
    more = [*([SPLIT] if split else []), *([level] if level else [])]
    builder = RowBuilder([*columns, *more], max_rows=max_rows, name=source.name)
    places: list[Place] = []
    for name in files:
        place = layout.place(name) if wanted(name) else why_not(name)
        if isinstance(place, str) and name in listed:
            place = Place(label=listed[name], split=layout.split_of(name))
        cells = place if isinstance(place, str) else _cells(row, name, place)
        if isinstance(place, str) or isinstance(cells, str):
            builder.leave_out(str(cells), file=name)
        else:
            said = {SPLIT: place.split, DOMAIN: place.domain, INNER: place.inner or None}
            builder.add([*cells, *(said[name] for name in more)])
            places.append(place)
    for names, reason in ((source.hidden, HIDDEN), (source.links, LINK)):
        for name in names:
            builder.leave_out(reason, file=name)
    found = builder.table(format=f"{format}, one folder a class" + (" within splits" if split and layout.above else
                                                                    ", split within" if split else
                                                                    " within domains" if layout.domains else ""),
                          findings=list(_findings(source, layout, places, thing)))
    return replace(found, by_folder=True)


def _cells(row: Callable[[str, Place], Sequence[str | None]], name: str, place: Place) -> Sequence[str | None] | str:
    """The cells of a file, or why it cannot be read."""
    try:
        return row(name, place)
    except UNREADABLE as error:
        return f"it cannot be read from the archive ({str(error)[:80]})"


def _findings(source: Source, layout: Layout, places: Sequence[Place], thing: str) -> Iterator[Finding]:
    labels = {place.label for place in places}
    empty = sorted({place.label for name in source.folders if isinstance(place := layout.place(f"{name}/x"), Place)}
                   - labels)
    if empty:
        yield Finding(code="empty-folders", severity=WARNING, count=len(empty), example=", ".join(empty[:5])[:120],
                      message=several(len(empty), "folder beside the class folders holds",
                                      "folders beside the class folders hold")
                              + f" no {thing} that is read, and so makes no class: {', '.join(empty[:5])[:120]}.",
                      remedy=f"Add {thing}s there if they belong to the data; otherwise there is nothing to do.")
    dotted = sorted(label for label in labels if label.startswith("."))
    if dotted:
        yield Finding(code="dotted-classes", severity=INFO, count=len(dotted), example=", ".join(dotted[:5])[:120],
                      message=several(len(dotted), "class has", "classes have") + " a name with a dot in front.",
                      remedy="Nothing to do if these are classes; otherwise take the folders out, since a dot often "
                             "marks hidden ones.")
    if layout.domains:
        shown = ", ".join(sorted({place.domain or "" for place in places})[:5])
        yield Finding(code="domains", severity=INFO, count=len(places),
                      message=f"The outer folders ({shown[:120]}) hold the same class folders: they were read as "
                              "domains, the folders in them as classes.",
                      remedy="Nothing to do if that is right; one of them can be the shift set, which is only "
                             "evaluated on. If the outer folders are the classes, make their column the label.")
    nested = Counter(f"{place.label}/{place.inner}" for place in places if place.inner)
    if nested:
        shown = ", ".join(f"{path[:40]} ({count:,})" for path, count in nested.most_common(3))
        yield Finding(code="nested-folders", severity=INFO, count=nested.total(), example=shown,
                      message=several(nested.total(), f"{thing} lies", f"{thing}s lie")
                              + " in folders inside the class folders; the outer "
                              "folder counts as the class.",
                      remedy="Nothing to do if the outer folders are the classes; otherwise "
                             + (f"make the column {INNER!r} the label." if layout.inner else "move the inner ones up."))
