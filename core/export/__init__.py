"""A finished run's model, written for use elsewhere. A new format is one file in this folder and one line here."""

from __future__ import annotations

from importlib import import_module

from core.export.base import Format

FILES = (
    "adapter",
    "merged",
    "folder",
    "onnx",
    "gguf",
    "script",
    "card",
)
"""Formats: a file of that name each, with its `FORMAT`. Importing them needs no torch."""

FORMATS: dict[str, Format] = {name: import_module(f"{__name__}.{name}").FORMAT for name in FILES}
