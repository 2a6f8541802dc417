"""The export `onnx`: the model as a graph that onnxruntime runs, with a script that needs no torch for texts."""

from __future__ import annotations

import json
import shutil
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

from core.domain.dataset import Content
from core.domain.model import ModelFacts
from core.domain.recipe import Recipe
from core.errors import ThawError
from core.export import requirements
from core.export.base import CLOSE, Format, base_of, missing, whole_bytes, write

if TYPE_CHECKING:
    from core.export.finished import Finished

OPSET = 18
MODEL = "model.onnx"
PACKAGES = ("onnx", "onnxruntime", "onnxscript")
ONE_PICTURE_SIZE = "Pictures are of the one size that the base model's processor makes."

_README = """# {title}

{base} with what a run of Thaw trained in it, as an ONNX graph (opset {opset}). `python predict.py {example}` answers;
it needs `pip install -r requirements.txt`.

| input | |
|---|---|
{inputs}

Output: `logits`, {output}. `certificate.json` says how it was checked.
"""


class Onnx:
    """Body, pooling and head in one graph; of language models the whole network without a cache of what was read."""

    name = "onnx"
    summary = f"an ONNX graph (opset {OPSET}) for onnxruntime"
    tolerance: float | None = CLOSE

    def applies_to(self, recipe: Recipe, facts: ModelFacts | None) -> str | None:
        """See `core.export.base.Format`. What the exporter cannot write is told when it is tried."""
        return missing(PACKAGES)

    def size_bytes(self, recipe: Recipe, facts: ModelFacts, artifact_bytes: int) -> int:
        """See `core.export.base.Format`."""
        return 2 * whole_bytes(facts)

    def write(self, run: Finished, target: Path) -> dict[str, Any]:
        """See `core.export.base.Format`."""
        from core.export import merged, onnx_graph

        texts = run.recipe.task.content is Content.TEXT

        def graph() -> dict[str, Any]:
            side: Any = run.whole
            shutil.copytree(run.folder / "artifact" / "processor", target, dirs_exist_ok=True)
            run.progress(0, None, "graph", "ONNX graph")
            exporter = _export(side, target / MODEL, texts)
            return merged.about_of(run, side) | {"opset": OPSET, "exporter": exporter}

        about = run.once("graph", graph)
        write(target / "export.json", json.dumps(about, indent=1, ensure_ascii=False))
        shutil.copyfile(Path(onnx_graph.__file__).with_name("standalone_onnx.py"), target / "predict.py")
        requirements.write(run, target, "onnxruntime", "transformers", "numpy", *([] if texts else ["torch"]))
        self._readme(run, target, about, texts)
        note = f"{MODEL}: opset {OPSET}, written by torch's {about['exporter']}; rows and tokens may be of any number."
        return {"notes": [note if texts else f"{note} {ONE_PICTURE_SIZE}"]}

    def _readme(self, run: Finished, target: Path, about: dict[str, Any], texts: bool) -> None:
        language = "shape" in about
        inputs = ("| `input_ids` | int64, (rows, tokens) |\n| `attention_mask` | int64, 1 where a token is |" if texts
                  else f"| `pixel_values` | float32, (rows, channels, {about['size'][0]}, {about['size'][1]}), "
                       "normalised |")
        write(target / "README.md", _README.format(
            title=run.name, base=base_of(about), opset=OPSET, inputs=inputs,
            example='"a text"' if texts else "picture.png",
            output="(rows, tokens, vocabulary)" if language else "(rows, classes), in the order of `classes` in "
                                                                 "`export.json`"))


def _export(side: Any, path: Path, texts: bool) -> str:
    """Write the graph by the first of torch's exporters that can; says by which. Raises ThawError where neither can."""
    from core.export import onnx_graph

    failures = []
    for name, export in (("dynamo exporter", onnx_graph.by_dynamo), ("tracing exporter", onnx_graph.by_tracing)):
        for leftover in path.parent.glob(f"{MODEL}*"):
            leftover.unlink()
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                export(side, path, texts=texts, opset=OPSET)
            return name
        except MemoryError:
            raise
        except Exception as error:  # noqa: BLE001 - exporters raise what they like
            why = (str(error).strip() or type(error).__name__).splitlines()[0]
            failures.append(f"{name}: {why[:200]}")
    raise ThawError("torch cannot write this model as an ONNX graph.", why="; ".join(failures),
                    remedy="Export it as merged, and convert that folder with the exporter of your runtime.")


FORMAT: Format = Onnx()
