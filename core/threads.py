"""How many threads linear algebra runs on."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Any


def one_thread() -> AbstractContextManager[Any]:
    """Linear algebra on one thread, for small matrices: threads only wait for each other there.

    Solving a head (1,600 rows of 384) took 0.4 processor seconds on one thread and 10 on two of a busy machine; on 16
    idle cores 8 instead of 0.4. scipy brings a thread pool of its own, which a limit reaches only once scipy is loaded:
    an SVD of 384 x 384 by a scipy that was loaded later took 1.7 processor seconds instead of 0.05.
    """
    import scipy.linalg  # noqa: F401
    from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

    return threadpool_limits(limits=1)
