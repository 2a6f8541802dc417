"""A run at a setting of its strength dials, as its exports see it: its artifact written anew at that setting, and what
its own network says of the test rows there. Every format that writes a run's weights then writes these."""

from __future__ import annotations

import contextlib
import functools
import json
import shutil
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from core import files, values
from core.analysis import predictions, strength_files
from core.domain.dataset import Split
from core.domain.run import Result
from core.domain.side import Side
from core.errors import ThawError
from core.export import rows as test_rows
from core.export.base import write
from core.export.finished import Finished
from core.export.strengths import refusal

if TYPE_CHECKING:
    from core.training.artifact import LoadedModel

FILE = "strength.json"
"""In an export: the setting it was written at."""
PAPERS = ("recipe.json", "environment.json", "origin.json")
"""Of a run's folder; not its result, which was measured as trained."""

@contextlib.contextmanager
def at(run: Finished, strength: str, *, form: str) -> Iterator[Finished]:
    """The run at a strength: a number or the name of a saved setting; the run itself where that is empty.

    Raises ThawError where that format cannot be written so, RecipeError and NotFoundError for what is no setting.
    """
    if not strength:
        yield run
        return
    if why := refusal(form, run.recipe):
        raise ThawError(f"This run cannot be written as {form} at another strength.", why=why,
                        remedy="Leave the strength out, or choose another format: adapter, merged, folder, onnx.")
    side = Side.of(run.folder).turned(strength)
    with files.temporary_folder(run.settings.home / "tmp") as room:
        yield _laid_out(run, side, room / run.folder.name)


def _laid_out(run: Finished, side: Side, folder: Path) -> Turned:
    """Write the artifact at that setting into a folder like a run's, and its answers on the run's test rows."""
    from safetensors.torch import save_file

    from core.training import artifact

    turn = strength_files.turn_of(side)
    _, dials = artifact.dials(side, settings=run.settings, device="cpu")
    dials.turn(turn)
    own = folder / "artifact"
    shutil.copytree(run.folder / "artifact", own)
    for name in PAPERS:
        if (run.folder / name).is_file():
            shutil.copy2(run.folder / name, folder / name)
    save_file(dials.head_tensors(), own / artifact.HEAD_FILE)
    if dials.adapts:
        save_file(dials.adapter_tensors(), own / artifact.ADAPTER / "adapter_model.safetensors",
                  metadata={"format": "pt"})
    else:
        shutil.rmtree(own / artifact.ADAPTER, ignore_errors=True)
        if tensors := dials.weight_tensors():
            save_file(tensors, own / artifact.WEIGHTS_FILE)
    words = turn.words if not side.point else f"the setting {side.point} ({turn.words})"
    found = Turned(folder=folder, settings=run.settings, workspace=run.workspace, observer=run.observer,
                   title=f"{run.name} at {words}", plain=run, side=side, strength=side.point or f"{side.strength:g}",
                   words=words)
    found.record()
    return found


@dataclass(kw_only=True)
class Turned(Finished):
    """A finished run at a setting: `folder` holds its artifact written at it. As it is read back to be compared, it is
    the run's own network, turned."""

    plain: Finished
    side: Side
    words: str

    @functools.cached_property
    def result(self) -> Result | None:
        return values.read(self.plain.folder / "result.json", Result)

    @property
    def own_workspace(self) -> str:
        return self.plain.own_workspace

    @property
    def said_by(self) -> str:
        return f"the run's own network at {self.words}, on the same rows"

    def as_trained(self, precision: str | None = None) -> LoadedModel:
        """The run's own files, turned; not those written here."""
        from core.training import artifact

        return artifact.load(self.side, settings=self.settings, device="cpu",
                             precision=None if self.four_bit else precision)

    def record(self) -> None:
        """Put down what the run's own network says of its test rows at this setting, where they are still there."""
        import pyarrow.parquet as parquet

        rows = test_rows.of_run(self.plain)
        if rows is None:
            return
        side, kept = test_rows.outputs(self, rows, precision=None)
        own: Any = self.plain.rows
        parquet.write_table(side.task.predictions(kept, own, rows.indices),
                            predictions.path(self.folder, Split.TEST))

    def describe(self, target: Path) -> None:
        """Say in the exported folder at which setting it was written."""
        turn = asdict(strength_files.turn_of(self.side))
        write(target / FILE, json.dumps({"saved_as": self.side.point, "words": self.words, **turn}, indent=1,
                                        ensure_ascii=False))
