"""The house rules of docs/design.md, enforced on the source text."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "python" / "krigetuner"

FLOORS = {
    "errors": 0,
    "protos": 1,
    "space": 2,
    "trial": 2,
    "backend": 2,
    "gp": 3,
    "search": 4,
    "store": 4,
    "run": 5,
    "adapters": 6,
    "tuners": 7,
    "engine": 8,
    "oracles": 8,
    "applications": 8,
    "distribute": 8,
    "utils": 8,
    "config": 8,
    "versions": 7,
    "compat": 8,
    "cli": 8,
    "__init__": 9,
    "__main__": 9,
}
MAY_PRINT = {"run/progress.py", "cli.py"}
FILES = sorted(PACKAGE.rglob("*.py"))
TESTS = sorted((ROOT / "tests").rglob("*.py"))
NATIVE_SUFFIXES = {".hpp", ".cpp", ".cu", ".cuh"}
NATIVE = sorted(
    path
    for folder in ("cpp", "cuda")
    for path in (ROOT / folder).rglob("*")
    if path.suffix in NATIVE_SUFFIXES and path.parent.name in {"krige", "krige_cuda", "src", "levels", "bindings"}
)


def name(path: Path) -> str:
    """The path of a source file relative to the package."""
    return path.relative_to(PACKAGE).as_posix()


def room(path: Path) -> str:
    """The room that a source file belongs to."""
    return name(path).split("/")[0].removesuffix(".py")


def imports(tree: ast.Module, path: Path) -> set[str]:
    """Dotted names below the package that a module imports anywhere, lazily and for typing too."""
    found: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {a.name for a in node.names}
        elif isinstance(node, ast.ImportFrom):
            if node.level:
                base = path.relative_to(PACKAGE.parent).parent.parts[: None if node.level == 1 else 1 - node.level]
                module = ".".join([*base, *([node.module] if node.module else [])])
            else:
                module = node.module or ""
            found |= {f"{module}.{a.name}" for a in node.names}
    return {m for m in found if m.split(".")[0] == "krigetuner"}


def test_every_room_has_a_floor() -> None:
    assert {room(p) for p in FILES} == set(FLOORS)


@pytest.mark.parametrize("path", FILES, ids=name)
def test_imports_go_down(path: Path) -> None:
    here = room(path)
    for target in imports(ast.parse(path.read_text()), path):
        there = [*target.split("."), "__init__"][1]
        if there not in FLOORS:
            there = "__init__"  # a name of the package itself
        assert there == here or FLOORS[there] < FLOORS[here], f"{name(path)} (floor {FLOORS[here]}) imports {target}"


def test_no_import_cycle() -> None:
    files = {f"krigetuner/{name(p)}".removesuffix(".py").removesuffix("/__init__"): p for p in FILES}
    modules = {file.replace("/", "."): p for file, p in files.items()}
    graph: dict[str, set[str]] = {}
    for module, path in modules.items():
        targets = set()
        for target in imports(ast.parse(path.read_text()), path):
            while target and target not in modules:
                target = target.rpartition(".")[0]
            targets |= {target} - {"", module}
        graph[module] = targets
    done: set[str] = set()

    def visit(module: str, trail: tuple[str, ...]) -> None:
        assert module not in trail, " -> ".join([*trail, module])
        if module not in done:
            for target in sorted(graph[module]):
                visit(target, (*trail, module))
            done.add(module)

    for module in graph:
        visit(module, ())


@pytest.mark.parametrize("path", FILES, ids=name)
def test_file(path: Path) -> None:
    text = path.read_text()
    tree = ast.parse(text)
    assert text.count("\n") < 400
    assert ast.get_docstring(tree), "a module docstring comes first"
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            body = node.body[1:] if ast.get_docstring(node) else node.body
            length = (body[-1].end_lineno or 0) - body[0].lineno + 1 if body else 0
            assert length <= 40, f"{node.name}: {length} lines"
        assert not isinstance(node, ast.Assert), f"line {getattr(node, 'lineno', 0)}: assert is not validation"
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "print":
            assert name(path) in MAY_PRINT, f"line {node.lineno}: print"
        if isinstance(node, ast.ExceptHandler):
            assert not all(isinstance(s, ast.Pass) for s in node.body), f"line {node.lineno}: a swallowed exception"


@pytest.mark.parametrize("path", TESTS, ids=lambda p: p.relative_to(ROOT / "tests").as_posix())
def test_tests_are_short_and_say_what_they_are_about(path: Path) -> None:
    text = path.read_text()
    assert text.count("\n") < 400
    assert ast.get_docstring(ast.parse(text)), "a module docstring comes first"


@pytest.mark.parametrize("path", NATIVE, ids=lambda p: p.name)
def test_native_code_neither_prints_nor_dies(path: Path) -> None:
    text = re.sub(r"//.*", "", path.read_text())
    assert text.count("\n") < 400
    for word in ("printf", "std::cout", "std::cerr", "abort", "exit", "assert", "terminate"):
        assert not re.search(rf"(?<![\w_]){re.escape(word)}\s*(\(|<<)", text), word
