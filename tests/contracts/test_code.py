"""What every module of core keeps to: public names say what they are, nothing prints, nothing is swallowed, nothing
runs data as code."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
TEXTS = {path.relative_to(ROOT).as_posix(): path.read_text(encoding="utf-8")
         for path in sorted((ROOT / "core").rglob("*.py"))}
TREES = {name: ast.parse(text) for name, text in TEXTS.items()}
TALKING = ("core/__main__.py", "core/cli/")
MOST_LINES = 480
MOST_FUNCTION_LINES = 75


def public(module: ast.Module) -> Iterator[ast.ClassDef | ast.FunctionDef]:
    """Public classes and functions of a module (methods may be plain from their class)."""
    return (n for n in module.body if isinstance(n, (ast.ClassDef, ast.FunctionDef)) and not n.name.startswith("_"))


def calls(module: ast.Module) -> Iterator[tuple[str, int]]:
    """(name, line) of every call of a plain name."""
    return ((n.func.id, n.lineno) for n in ast.walk(module) if isinstance(n, ast.Call) and isinstance(n.func, ast.Name))


def test_the_scan_sees_the_code() -> None:
    assert "core/domain/recipe.py" in TREES
    assert {n.name for n in public(TREES["core/domain/recipe.py"])} >= {"Recipe", "differences"}


def test_modules_and_public_classes_say_what_they_are() -> None:
    silent = [name for name, module in TREES.items() if not ast.get_docstring(module)]
    silent += [f"{name}: {n.name}" for name, module in TREES.items() for n in public(module)
               if isinstance(n, ast.ClassDef) and not ast.get_docstring(n)]
    assert silent == []


def test_nearly_every_public_function_says_what_it_does() -> None:
    """The few whose name and types say it all may go without."""
    functions = [(f"{name}: {n.name}", bool(ast.get_docstring(n))) for name, module in TREES.items()
                 for n in public(module)
                 if isinstance(n, ast.FunctionDef)]
    silent = [name for name, told in functions if not told]
    assert len(silent) <= 0.08 * len(functions), silent


def test_library_code_neither_prints_nor_exits() -> None:
    found = [f"{name}:{line} {call}()" for name, module in TREES.items() if not name.startswith(TALKING)
             for call, line in calls(module) if call in ("print", "input", "exit", "quit")]
    assert found == []


def test_no_error_is_swallowed_in_silence() -> None:
    def silent(node: ast.ExceptHandler) -> bool:
        broad = (node.type
                 is None or (isinstance(node.type, ast.Name) and node.type.id in ("Exception", "BaseException")))
        return broad and len(node.body) == 1 and isinstance(node.body[0], ast.Pass)

    found = [f"{name}:{node.lineno}" for name, module in TREES.items() for node in ast.walk(module)
             if isinstance(node, ast.ExceptHandler) and silent(node)]
    assert found == []


def test_no_code_comes_from_data() -> None:
    unsafe = re.compile(
        r"trust_remote_code\s*=\s*True|weights_only\s*=\s*False|allow_pickle\s*=\s*True|shell\s*=\s*True")
    found = [f"{name}: {match[0]}" for name, text in TEXTS.items() for match in unsafe.finditer(text)]
    found += [f"{name}:{line} {call}()" for name, module in TREES.items() for call, line in calls(module)
              if call in ("eval", "exec")]
    runs_data = {"pickle", "dill", "cloudpickle", "shelve", "marshal"}
    for name, module in TREES.items():
        for node in ast.walk(module):
            names = [a.name for a in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            found += [f"{name}: imports {n}" for n in names if n.partition(".")[0] in runs_data]
    assert found == []


def test_a_module_has_one_subject_and_a_function_fits_a_screen() -> None:
    long = [f"{name}: {len(text.splitlines())} lines" for name, text in TEXTS.items() if len(text.splitlines())
            > MOST_LINES]
    long += [f"{name}: {node.name}()" for name, module in TREES.items() for node in ast.walk(module)
             if isinstance(node, ast.FunctionDef) and (node.end_lineno or 0) - node.lineno >= MOST_FUNCTION_LINES]
    assert long == []


def test_every_file_is_renamed_into_place_in_one_module() -> None:
    """`os.replace`, `os.rename`, `shutil.move`, and the methods of paths that take one place: `path.rename(x)`,
    `path.replace(x)`."""
    def renames(call: ast.Call) -> bool:
        if not isinstance(call.func, ast.Attribute) or call.func.attr not in ("rename", "replace", "renames", "move"):
            return False
        of = call.func.value.id if isinstance(call.func.value, ast.Name) else ""
        if call.func.attr in ("renames", "move"):
            return of in ("os", "shutil")
        return of == "os" or (of != "dataclasses" and len(call.args) == 1 and not call.keywords)

    found = {f"{name}:{node.lineno}" for name, module in TREES.items() for node in ast.walk(module)
             if isinstance(node, ast.Call) and renames(node)}
    assert {place.partition(":")[0] for place in found} == {"core/files.py"}, sorted(found)
