"""Linear algebra on one thread, and as many as before afterwards."""

from __future__ import annotations

from threadpoolctl import threadpool_info, threadpool_limits  # type: ignore[import-untyped]

from core.threads import one_thread


def test_every_pool_has_one_thread_within_and_its_own_number_after() -> None:
    import sklearn.linear_model  # noqa: F401

    with threadpool_limits(limits=2):
        before = [pool["num_threads"] for pool in threadpool_info()]
        with one_thread():
            assert {pool["num_threads"] for pool in threadpool_info()} == {1}
        assert [pool["num_threads"] for pool in threadpool_info()][: len(before)] == before
