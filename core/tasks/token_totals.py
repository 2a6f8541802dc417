"""How many tokens of some rows a base model would be taught, read as context, or not see: counts alone."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from core.domain.dataset import Shape
from core.models import tokens
from core.tasks import taught_rows, teaching
from core.tasks.base import Rows


def count(content: list[str], *, groups: np.ndarray | None, shape: Shape, digest: str, model: Path, limit: int,
          cache: Path) -> dict[str, int]:
    """{taught, context, cut} of all rows, with the tokenizer in the folder `model`.

    digest: of the rows. limit: tokens a row.
    """
    n = len(content)
    rows = Rows(row_ids=np.arange(n), content=content, labels=np.full(n, -1), splits=np.full(n, "train"), groups=groups,
                dataset_hash=digest, shape=shape)
    encoded = taught_rows.encode(rows, tokens.load(model), taught=teaching.AUTO, limit=limit, revision="", cache=cache)
    taught, every = int(encoded.n_taught.sum()), int(encoded.lengths.sum())
    return {"taught": taught, "context": every - taught, "cut": int(encoded.arrays["cut"].sum())}
