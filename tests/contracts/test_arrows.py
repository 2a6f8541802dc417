"""Who may know whom: the import-linter contracts, and what a real import leaves in sys.modules."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
HEAVY = ("torch", "transformers", "peft", "bitsandbytes", "timm", "accelerate")
UI_MODULES = sorted(".".join(path.relative_to(ROOT).with_suffix("").parts)
                    for path in (ROOT / "pages" / "_ui").rglob("*.py")
                    if path.stem != "__init__")
WEB_MODULES = ["core.api", "core.store", "core.plots", "core.shift", "core.data.library", "core.data.ingest",
               "core.data.bundled", "core.metrics", "core.jobs.launch", "core.jobs.supervisor", "core.models.catalogue",
               "core.models.facts", "core.models.methods", "core.planning.effort", "core.planning.estimate",
               "core.tasks", "core.serving.client", "core.__main__"]


def loaded_by(*statements: str) -> list[set[str]]:
    """Top-level names in sys.modules of a fresh interpreter after each of the statements, run one after another."""
    tell = "print('@' + json.dumps(sorted({name.partition('.')[0] for name in sys.modules})))"
    code = "\n".join(["import json, sys", *(f"{statement}\n{tell}" for statement in statements)])
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=120,
                          check=False)
    assert done.returncode == 0, done.stderr
    return [set(json.loads(line[1:])) for line in done.stdout.splitlines() if line.startswith("@")]


def test_the_import_contracts_hold() -> None:
    tool = Path(sys.executable).with_name("lint-imports")
    done = subprocess.run([str(tool), "--no-logo"], cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert " 0 broken" in done.stdout


@pytest.mark.parametrize(("modules", "unwanted"), [(WEB_MODULES, (*HEAVY, "streamlit")), (UI_MODULES, HEAVY)],
                         ids=["core", "pages"])
def test_the_web_process_leaves_torch_out(modules: list[str], unwanted: tuple[str, ...]) -> None:
    assert modules
    found = {module: loaded & set(unwanted) for module,
             loaded in zip(modules, loaded_by(*(f"import {m}" for m in modules)), strict=True)}
    assert {module: names for module, names in found.items() if names} == {}


def test_asking_methods_and_defaults_leaves_torch_out() -> None:
    """Not only the import: the calls that a page makes, too."""
    loaded, = loaded_by("from core.models.methods import REGISTRY\n"
                       "from core.planning.effort import defaults\n"
                       "from core.domain.dataset import Task\n"
                       "from core import tasks\n"
                       "[(t.card, t.card.head_parameters(8, 2)) for t in tasks.REGISTRY.values()]\n"
                       "[(m.card, m.note(None)) for m in REGISTRY.values()]\n"
                       "[defaults(dataset='d', task=Task.TEXT_CLASSIFICATION, base_model='m', method=m)\n"
                       " for m in REGISTRY if m != 'partial']")
    assert loaded.isdisjoint(HEAVY)


def test_the_vocabulary_needs_only_the_standard_library() -> None:
    allowed = set(sys.stdlib_module_names) | {"core"}
    for path in (ROOT / "core" / "domain").glob("*.py"):
        for name in _imports(path):
            assert name.partition(".")[0] in allowed, f"{path.name} imports {name}"
            # the last wraps RE2: no module of the standard library matches safely
            own = ("core.domain", "core.errors", "core.patterns")
            assert not name.startswith("core") or name.startswith(own), f"{path.name} imports {name}"


def _imports(path: Path) -> list[str]:
    found: list[str] = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            found.append(node.module or "")
    return found
