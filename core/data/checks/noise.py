"""Suspected label noise: rows that a simple model, trained on the other rows, is sure belong to another class."""

from __future__ import annotations

from collections.abc import Iterator

from core.data.checks.context import Context
from core.data.report import INFO, Finding, several

_MIN_ROWS, _MAX_ROWS = 100, 20_000
_FOLDS = 4
_SURE = 0.9


def label_noise(context: Context) -> Iterator[Finding]:
    """Out-of-fold predictions of a tf-idf logistic regression against the given labels (as in Northcutt et al. 2021, simplified).

    Skipped below 100 rows, above 20,000 rows, above 50 classes, or when a class has fewer rows than there are folds.
    """
    import numpy as np

    labels = context.rows.label
    n_classes = len(context.rows.classes)
    if not _MIN_ROWS <= len(labels) <= _MAX_ROWS or not 2 <= n_classes <= 50 or np.bincount(labels, minlength=n_classes).min() < _FOLDS:
        return
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import StratifiedKFold, cross_val_predict

    try:
        features = TfidfVectorizer(sublinear_tf=True, max_features=20_000, dtype=np.float32).fit_transform(t[:2_000] for t in context.texts)
    except ValueError:                                               # only stop words or single characters: nothing to learn from
        return
    folds = StratifiedKFold(_FOLDS, shuffle=True, random_state=0)
    model = LogisticRegression(C=10.0, max_iter=100, tol=1e-2)
    probabilities = cross_val_predict(model, features, labels, cv=folds, method="predict_proba")
    guess = probabilities.argmax(axis=1)
    sure = np.flatnonzero((guess != labels) & (probabilities.max(axis=1) > _SURE))
    if len(sure):
        first = int(sure[np.argmax(probabilities.max(axis=1)[sure])])
        ordered = sure[np.argsort(-probabilities.max(axis=1)[sure])]
        names = context.rows.classes
        yield Finding(code="label-noise", severity=INFO, count=len(sure), rows=context.row_numbers(ordered),
                      example=f"labelled {names[labels[first]][:40]}, looks like {names[guess[first]][:40]}: {context.quote(first)}",
                      message=several(len(sure), "row looks", "rows look")
                              + " like another class, judged by a simple model of the other rows.",
                      remedy="Read these rows; correct the labels that are wrong. Some will be right: the simple model errs too.")
