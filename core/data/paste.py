"""Pasted text becomes a file, and goes the way of every other file."""

from __future__ import annotations

import secrets
from pathlib import Path

from core.data.readers import whatsapp
from core.data.readers.dialect import SAMPLE_CHARS, SAMPLE_ROWS, detect_dialect
from core.data.uploads import folder
from core.errors import DataError
from core.settings import Settings


def to_file(text: str, *, settings: Settings, workspace: str, name: str = "pasted") -> Path:
    """Write pasted text (rows copied from a spreadsheet, CSV, JSON Lines, a chat, or one text a line) below the
    workspace's uploads.

    The kind is judged by the content. Raises DataError when there is nothing to read or too much.
    """
    if not text.strip():
        raise DataError("There is nothing to import.", why="The pasted text is empty.",
                        remedy="Copy the rows together with their column names and paste them again.")
    data = text.strip("\r\n").replace("\r\n", "\n").encode("utf-8", "replace")
    if len(data) > settings.max_upload_mb * 1_000_000:
        raise DataError(f"The pasted text has {len(data) / 1e6:,.1f} MB, more than the limit of "
                        f"{settings.max_upload_mb:,} MB.",
                        remedy="Save it as a file and import a part of it, or raise THAW_MAX_UPLOAD_MB "
                               "and start again.")
    safe = "".join(c if c.isalnum() or c in "-_ " else "_" for c in name).strip()[:60] or "pasted"
    home = folder(settings, workspace) / secrets.token_hex(6)
    home.mkdir(parents=True)
    path = home / f"{safe}{_suffix(text)}"
    path.write_bytes(data)
    return path


def _suffix(text: str) -> str:
    start = text.lstrip()[:1]
    if whatsapp.are_chat(text[:SAMPLE_CHARS].split("\n")[:SAMPLE_ROWS]):
        return ".txt"
    if start == "{":
        return ".jsonl"
    if start == "[":
        return ".json"
    lines = [line for line in text[:SAMPLE_CHARS].splitlines()[:SAMPLE_ROWS] if line.strip()]
    if lines and all("\t" in line for line in lines):
        return ".tsv"
    separator = detect_dialect("\n".join(lines)).separator
    return ".csv" if any(separator in line for line in lines) else ".txt"
