"""Suspected label noise: rows that a simple model, trained on the other rows, is sure belong to another class."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from core.data import meter
from core.data.checks.context import Context
from core.data.report import INFO, Finding
from core.threads import one_thread

_MIN_ROWS, _MAX_ROWS = 100, 20_000
_MAX_CLASSES = 50
_FOLDS = 4
_SURE = 0.9
_COMPONENTS = 64
"""Of the small copies of pictures, so that the model cannot learn each of them by heart."""
_LEAST_ACCURACY = 0.8
"""Of the simple model on pictures it was not trained on. Below, it knows too little about them to doubt a label."""
_STAGE = "looking for wrong labels"


def label_noise(context: Context) -> Iterator[Finding]:
    """Out-of-fold predictions of a tf-idf logistic regression against the given labels (as in Northcutt et al. 2021,
    simplified).

    Skipped below 100 rows, above 20,000 rows, above 50 classes, or when a class has fewer rows than there are folds.
    """
    if not _applies(context):
        return
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression

    meter.report(_STAGE, 0, len(context.rows))
    try:
        features = TfidfVectorizer(sublinear_tf=True, max_features=20_000,
                                   dtype=np.float32).fit_transform(t[:2_000] for t in context.texts)
    except ValueError:  # only stop words or single characters: nothing to learn from
        return
    probabilities = _out_of_fold(LogisticRegression(C=10.0, max_iter=100, tol=1e-2), features, context.rows.label)
    yield from _findings(context, probabilities, "row", "by a simple model of the words of the other rows")


def picture_noise(context: Context) -> Iterator[Finding]:
    """The same for pictures: a logistic regression on 64 principal components of 16 x 16 copies.

    Such a model sees colours and coarse shapes only, so it is heard only where it is right on at least 80 % of the
    pictures that it was not trained on.
    """
    if context.rows.pictures is None or not _applies(context):
        return
    from sklearn.decomposition import PCA
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline

    meter.report(_STAGE, 0, len(context.rows))
    features = (context.rows.pictures.thumb.reshape(len(context.rows), -1).astype(np.float32) / 255)  # (n_rows, 768)
    components = min(_COMPONENTS, len(features) // 2)
    model = make_pipeline(PCA(components, random_state=0), LogisticRegression(max_iter=200, tol=1e-2))
    probabilities = _out_of_fold(model, features, context.rows.label)
    right = float((probabilities.argmax(axis=1) == context.rows.label).mean())
    if right >= _LEAST_ACCURACY:
        judge = f"by a simple model of small copies of the others (right on {right:.0%})"
        yield from _findings(context, probabilities, "picture", judge)


def _applies(context: Context) -> bool:
    labels, n_classes = context.rows.label, len(context.rows.classes)
    return (_MIN_ROWS <= len(labels) <= _MAX_ROWS and 2 <= n_classes <= _MAX_CLASSES
            and bool(np.bincount(labels, minlength=n_classes).min() >= _FOLDS))


def _out_of_fold(model: Any, features: Any, labels: Any) -> Any:
    """(n_rows, n_classes) probabilities, each row judged by a model that has not seen it."""
    from sklearn.base import clone
    from sklearn.model_selection import StratifiedKFold

    found = np.zeros((len(labels), int(labels.max()) + 1))
    folds = StratifiedKFold(_FOLDS, shuffle=True, random_state=0)
    for number, (train, held_out) in enumerate(folds.split(features, labels), start=1):
        with one_thread():
            found[held_out] = clone(model).fit(features[train], labels[train]).predict_proba(features[held_out])
        meter.report(_STAGE, len(labels) * number // _FOLDS, len(labels))
    return found


def _findings(context: Context, probabilities: Any, thing: str, judge: str) -> Iterator[Finding]:
    """One finding for the rows whose label the model contradicts with at least 90 %, the surest first."""
    labels, names = context.rows.label, context.rows.classes
    guess, sure = probabilities.argmax(axis=1), probabilities.max(axis=1)
    suspects = np.flatnonzero((guess != labels) & (sure > _SURE))
    if not len(suspects):
        return
    suspects = suspects[np.argsort(-sure[suspects], kind="stable")]
    first = int(suspects[0])
    yield from context.about(
        suspects, "label-noise", (f"{thing} looks", f"{thing}s look"), f"like another class, judged {judge}.",
        severity=INFO, suggested=tuple(names[at] for at in guess[suspects].tolist()),
        example=f"labelled {names[labels[first]][:40]}, looks like {names[guess[first]][:40]}: "
                               f"{context.quote(first)}",
        remedy=f"Look at these {thing}s; correct the labels that are wrong. Some will be right: the simple model errs "
               "too.")
