"""What to do about a failure, by its kind and by the work that failed."""

from __future__ import annotations

from core.domain.run import JobKind
from core.errors import TIPS, FailureKind

_CALLED = {JobKind.PREPARE: "fetching", JobKind.IMPORT: "import", JobKind.FEATURES: "extraction of features",
           JobKind.STRENGTH: "measurement", JobKind.MASK: "look at the tokens", JobKind.EXPORT: "export",
           JobKind.PREDICT: "prediction"}
"""Work that is no training run."""
_AGAIN = {FailureKind.OUT_OF_MEMORY: "Nothing else is lost. Start it again when less runs beside it, or where there is "
                                     "more memory.",
          FailureKind.FETCH: "Check the connection to the model hub or to PyPI; then start it again.",
          FailureKind.INTERRUPTED: "Nothing else is lost: start it again."}
"""What to do where there is no run to fork or to resume."""


def tip(found: FailureKind, kind: JobKind) -> str:
    """What to do about this kind of failure of that kind of work; empty where only the error itself can say."""
    return TIPS[found] if kind not in _CALLED or found is FailureKind.INTERNAL else _AGAIN.get(found, "")


def called(kind: JobKind) -> str:
    """What people call work of this kind: `run`, `import`."""
    return _CALLED.get(kind, "run")
