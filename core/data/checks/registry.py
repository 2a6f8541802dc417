"""All checks, in the order in which their findings are shown. Adding one is a function and a line here."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from core.data.checks import combined, duplicates, giveaway, labels, language, noise, nulls, pictures, splits, texts
from core.data.checks.context import Context
from core.data.report import ERROR, INFO, WARNING, Finding

Check = Callable[[Context], Iterable[Finding]]

CHECKS: tuple[Check, ...] = (
    labels.classes,
    splits.coverage,
    texts.left_out,
    duplicates.leakage,
    giveaway.column,
    giveaway.text_start,
    duplicates.contradictions,
    labels.spelling,
    combined.several_labels,
    nulls.answers,
    labels.rare,
    labels.balance,
    texts.extremes,
    texts.codes,
    texts.twice_encoded,
    texts.length,
    duplicates.exact,
    duplicates.near,
)

PICTURE_CHECKS: tuple[Check, ...] = (
    labels.classes,
    splits.coverage,
    texts.left_out,
    duplicates.leakage,
    giveaway.column,
    pictures.size_giveaway,
    duplicates.contradictions,
    labels.spelling,
    combined.several_labels,
    nulls.answers,
    labels.rare,
    labels.balance,
    pictures.blank,
    pictures.extremes,
    pictures.sizes,
    pictures.depth,
    duplicates.exact,
    duplicates.near,
)
"""The same for pictures."""

LANGUAGE_CHECKS: tuple[Check, ...] = (
    language.something,
    splits.coverage,
    language.cut,
    language.groups,
    texts.left_out,
    duplicates.leakage,
    language.prompts,
    language.answers,
    language.weights,
    language.marks,
    language.licences,
    language.mixed,
    texts.extremes,
    texts.codes,
    texts.twice_encoded,
    language.length,
    duplicates.exact,
    duplicates.near,
)
"""The same for rows without labels."""

SLOW_CHECKS: tuple[Check, ...] = (noise.label_noise,)
SLOW_PICTURE_CHECKS: tuple[Check, ...] = (noise.picture_noise,)
"""Seconds on thousands of rows; left out when an import should be quick."""


def run(context: Context, *, thorough: bool = False) -> tuple[Finding, ...]:
    """Findings of all checks, errors first, then warnings, then the rest."""
    quick, slow = (CHECKS, SLOW_CHECKS) if context.rows.pictures is None else (PICTURE_CHECKS, SLOW_PICTURE_CHECKS)
    checks = quick + (slow if thorough else ()) if context.rows.shape is None else LANGUAGE_CHECKS
    found = [finding for check in checks for finding in check(context)]
    rank = {ERROR: 0, WARNING: 1, INFO: 2}
    return tuple(sorted(found, key=lambda finding: rank[finding.severity]))
