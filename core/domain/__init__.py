"""Thaw's vocabulary as frozen values: standard library only, JSON-serialisable, imported by everyone."""
