"""Singular and eigenvalue decompositions that come to an end: LAPACK's quick ones sometimes do not, on finite features
of real models too."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.linalg import LinAlgError
from numpy.typing import NDArray

Array = NDArray[np.floating[Any]]


def svd(matrix: Array, *, full_matrices: bool = True) -> tuple[Array, Array, Array]:
    """U, singular values in descending order, Vᵀ, as of `numpy.linalg.svd`: by divide and conquer (gesdd), and by the
    slower QR iteration (gesvd) in float64 where that does not converge. Raises LinAlgError where neither does."""
    import scipy.linalg

    try:
        found = np.linalg.svd(matrix, full_matrices=full_matrices)
    except LinAlgError:
        found = scipy.linalg.svd(np.asarray(matrix, np.float64), full_matrices=full_matrices, lapack_driver="gesvd")
    return found[0], found[1], found[2]


def eigh(matrix: Array) -> tuple[Array, Array]:
    """Eigenvalues in ascending order and eigenvectors of a symmetric matrix, as of `numpy.linalg.eigh`: by divide and
    conquer (syevd), and by QR iteration (syev) in float64 where that does not converge."""
    import scipy.linalg

    try:
        found = np.linalg.eigh(matrix)
    except LinAlgError:
        found = scipy.linalg.eigh(np.asarray(matrix, np.float64), driver="ev")
    return found[0], found[1]
