"""Pasted text, judged by its content, becomes a file that reads as it was meant."""

from __future__ import annotations

import pytest

from core.data import paste, tables
from core.errors import DataError
from core.settings import Settings


@pytest.mark.parametrize(("text", "suffix", "columns", "n"), [
    ("text\tlabel\r\nhello, you\tgood\r\nbye, you\tbad\r\n", ".tsv", ("text", "label"), 2),
    ("text,label\nhello,good\nbye,bad", ".csv", ("text", "label"), 2),
    ("text;label\nhello;good\nbye;bad", ".csv", ("text", "label"), 2),
    ('{"text": "a", "label": "x"}\n{"text": "b", "label": "y"}', ".jsonl", ("text", "label"), 2),
    ('[{"text": "a", "label": "x"}]', ".json", ("text", "label"), 1),
    ("just a sentence\nand another one", ".txt", ("text",), 2),
])
def test_the_kind_is_judged_by_the_content(settings: Settings, text: str, suffix: str, columns: tuple[str, ...],
                                           n: int) -> None:
    path = paste.to_file(text, settings=settings, workspace="w", name="my ../rows")
    assert path.suffix == suffix and path.is_relative_to(settings.workspace("w") / "uploads")
    table = tables.read(path, settings=settings)
    assert (table.columns, len(table)) == (columns, n)


def test_nothing_and_too_much_are_refused(settings: Settings) -> None:
    with pytest.raises(DataError, match="nothing to import"):
        paste.to_file("  \n ", settings=settings, workspace="w")
    with pytest.raises(DataError, match="limit of 1 MB"):
        paste.to_file("x" * 1_100_000, settings=Settings(home=settings.home, max_upload_mb=1), workspace="w")
