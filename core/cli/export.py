"""`core export`: a finished run's model, written for use elsewhere."""

from __future__ import annotations

from argparse import Namespace
from pathlib import Path
from typing import Any

from core.cli import output
from core.cli.use import run_folder
from core.errors import NotFoundError, ThawError
from core.settings import Settings


def export(args: Namespace, settings: Settings) -> int:
    """Write a run's model: its artifact as it is, or one folder that transformers loads."""
    run_dir, target = run_folder(args.run_dir), Path(args.to).expanduser().absolute()
    if args.form == "onnx":
        raise ThawError("Thaw cannot write this model as ONNX.",
                        why="The head sits on the pooled feature of the body, and no exporter for that graph is part of this version.",
                        remedy="Use --as merged and convert the folder with the exporter of your runtime.")
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise ThawError(f"{target} exists and is not an empty folder.", why="An export never writes over files.",
                        remedy="Name a new folder.")
    files = _adapter(run_dir, target, settings) if args.form == "adapter" else _merged(run_dir, target, settings)
    report = {"run": run_dir.name, "as": args.form, "folder": str(target), "files": files,
              "bytes": sum((target / name).stat().st_size for name in files)}
    if args.json:
        output.document(report)
    else:
        print(f"Wrote {len(files)} files, {output.size(report['bytes'])}, to {target}")
    return 0


def _adapter(run_dir: Path, target: Path, settings: Settings) -> list[str]:
    """Copy what the run trained: adapter or changed weights, head, labels, processor, and the recipe."""
    import shutil

    from core.models import origin

    if not (run_dir / "artifact" / "labels.json").is_file():
        raise NotFoundError("This run has no artifact.", why="It did not finish, or failed.",
                            remedy="Resume it first: core resume RUN_DIR.")
    origin.check_model(run_dir, settings)  # an adapter names its base model: it must not go out with another one of that name
    shutil.copytree(run_dir / "artifact", target, dirs_exist_ok=True)
    for name in ("recipe.json", "environment.json", "result.json", origin.FILE):
        if (run_dir / name).is_file():
            shutil.copy2(run_dir / name, target / name)
    return _files(target)


def _merged(run_dir: Path, target: Path, settings: Settings) -> list[str]:
    """One folder: the body with the adapter folded in (`from_pretrained` loads it), head.safetensors, labels.json, the processor.

    A QLoRA adapter is folded into the full-precision base weights, not into their 4-bit rounding.
    """
    import shutil

    output.quiet_libraries()
    from core.training import artifact

    side = artifact.load(run_dir, settings=settings, device="cpu")
    body: Any = side.network.body
    if side.recipe.method == "qlora":
        body = _full_precision_body(run_dir, side, settings)
    if hasattr(body, "merge_and_unload"):
        body = body.merge_and_unload()
    target.mkdir(parents=True, exist_ok=True)
    body.save_pretrained(target, safe_serialization=True)
    for name in (artifact.HEAD_FILE, artifact.LABELS_FILE):
        shutil.copy2(run_dir / "artifact" / name, target / name)
    shutil.copytree(run_dir / "artifact" / "processor", target, dirs_exist_ok=True)
    shutil.copy2(run_dir / "recipe.json", target / "recipe.json")
    return _files(target)


def _full_precision_body(run_dir: Path, side: Any, settings: Settings) -> Any:
    """The base model in fp32 with the run's adapter on it."""
    import torch
    from peft import PeftModel

    from core.models import facts as facts_module
    from core.models import load

    folder = facts_module.folder(side.recipe.base_model, settings)
    body = load.load_body(folder, weights="pretrained", dropout=0.0, quantization=side.recipe.quantization, compute_dtype=torch.float32,
                          device="cpu")
    return PeftModel.from_pretrained(body, run_dir / "artifact" / "adapter", torch_device="cpu")


def _files(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())
