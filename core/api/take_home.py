"""What a person takes away from a finished run."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from core.analysis import take_home
from core.analysis.comparison import recipe_of
from core.api.data import Data
from core.api.runs import Runs
from core.errors import NotFoundError


class TakeHome:
    """Files of finished runs, and the code that loads them."""

    def __init__(self, *, data: Data, runs: Runs) -> None:
        self._data = data
        self._runs = runs

    def predictions(self, ws: str, id: str) -> bytes:
        """Every prediction of a run as CSV, with the texts or file names of the rows while their dataset is here."""
        run = self._runs.get(ws, id)
        folder, result = Path(run.folder), self._runs.result_of(run)
        ids = [int(row) for found in take_home.predicted(folder).values() for row in found.row_ids]
        dataset = self._data.find(ws, run.recipe.dataset) if run.recipe else None
        contents = {}
        if dataset is not None and result is not None and dataset.content_hash == result.dataset_hash:
            contents = self._data.contents(ws, dataset.id, ids)
        return take_home.predictions_csv(folder, contents)

    def artifact(self, ws: str, id: str) -> tuple[str, Iterator[bytes]]:
        """(name without ending, the ZIP in pieces as it is read from disk). NotFoundError without an artifact."""
        run = self._runs.get(ws, id)
        recipe = recipe_of(run)
        if run.imported:
            raise NotFoundError("This run has no artifact.", why="It came with an archive, which holds no models.",
                                remedy="Start its recipe on the Train page to make one.")
        take_home.files_of(Path(run.folder))
        return take_home.folder_name(run.id), take_home.zipped(Path(run.folder), run.id, recipe)

    def size_bytes(self, ws: str, id: str) -> int:
        """Size of that ZIP; 0 without an artifact."""
        run = self._runs.get(ws, id)
        if run.imported:
            return 0
        try:
            return take_home.size_bytes(Path(run.folder))
        except NotFoundError:
            return 0

    def code(self, ws: str, id: str) -> str:
        """Five lines that load the unpacked artifact and predict with it."""
        run = self._runs.get(ws, id)
        return take_home.code(run.id, recipe_of(run))
