"""Imports run one way, from the rooms of the harness that know much to those that know little, and in no circle."""

from __future__ import annotations

import ast
from pathlib import PurePosixPath

import pytest

TOP = PurePosixPath()
#: The folders and modules of harness/, from low to high: each may import from the rows before its own.
ROWS = (
    ("errors", "column"),
    ("case_parts",),
    ("schema",),
    ("text", "files"),
    ("data", "metrics"),
    ("config",),
    ("link",),
    ("image",),
    ("locks",),
    ("boards",),
    ("power", "measure"),
    ("build",),
    ("store",),
    ("report",),
    ("run",),
    ("profile",),
    ("health",),
    ("farm",),
    ("search",),
    ("pytest_plugin", "api"),
    ("cli",),
    ("__main__",),
)

#: Those of harness/boards/virtual/, likewise.
VIRTUAL = PurePosixPath("boards/virtual")
ROWS_OF_VIRTUAL = (
    ("ports",),
    ("chips",),
    ("core",),
    ("cycles",),
    ("usb",),
    ("families",),
    ("chip",),
    ("machine",),
    ("arduino_bootloader",),
    ("debug",),
    ("faults",),
    ("board",),
)


@pytest.fixture(scope="module")
def imports(root):
    """Return the modules that each file of harness/ imports, late imports and those for types included."""
    trees = {
        PurePosixPath(path.relative_to(root / "harness").as_posix()): ast.parse(path.read_text(encoding="utf-8"))
        for path in (root / "harness").rglob("*.py")
    }
    modules = {module_of(path): path for path in trees}
    found = {path: set() for path in trees}
    for path, tree in trees.items():
        for node in statements(tree):
            if isinstance(node, ast.Import):
                named = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom):
                assert node.level == 0, f"{path}:{node.lineno}: a relative import"
                inner = [f"{node.module}.{alias.name}" for alias in node.names]
                named = [name if name in modules else node.module for name in inner]
            else:
                continue
            found[path] |= {modules[name] for name in named if name in modules} - {path}
    return found


def statements(node):
    """Yield all statements below a node. No expression has an import in it, and most of a tree are expressions."""
    for part in ("body", "orelse", "finalbody", "handlers", "cases"):
        for child in getattr(node, part, ()):
            yield child
            yield from statements(child)


def module_of(path):
    return "harness." + ".".join(path.with_suffix("").parts) if path.name != "__init__.py" else package_of(path)


def package_of(path):
    return ".".join(("harness", *path.parent.parts))


def arrows_back(imports, rows, folder=TOP):
    """Return the imports of a room in `folder` by one that isn't above it. The folder's own __init__ only hands on."""
    level = {name: number for number, row in enumerate(rows) for name in row}
    inside = {path: path.relative_to(folder).parts[0].removesuffix(".py") for path in imports if folder in path.parents}
    assert set(inside.values()) - {"__init__"} == set(level), "a room without a place in the order, or the reverse"
    return {
        f"{path} -> {inside[other]}"
        for path, others in imports.items()
        for other in others
        if inside.get(path) in level and inside.get(other) in level
        if inside[path] != inside[other] and level[inside[path]] <= level[inside[other]]
    }


def circles(imports):
    """Return the groups of files of which each imports each other, over others or itself (by Tarjan's algorithm)."""
    number, low, stack, found = {}, {}, [], []

    def visit(path):
        number[path] = low[path] = len(number)
        stack.append(path)
        for other in imports[path]:
            if other not in number:
                visit(other)
                low[path] = min(low[path], low[other])
            elif other in stack:
                low[path] = min(low[path], number[other])
        if low[path] == number[path]:
            place = stack.index(path)
            found.append(sorted(map(str, stack[place:])))
            del stack[place:]

    for path in imports:
        if path not in number:
            visit(path)
    return [group for group in found if len(group) > 1]


def test_imports_run_from_high_rooms_to_low_ones(imports):
    assert arrows_back(imports, ROWS) == set()


def test_imports_run_one_way_within_the_virtual_board(imports):
    assert arrows_back(imports, ROWS_OF_VIRTUAL, VIRTUAL) == set()


def test_no_files_import_each_other_in_a_circle(imports):
    assert circles(imports) == []


def test_arrows_and_circles_are_found():
    a, b, c = map(PurePosixPath, ("low/a.py", "low/b.py", "high/c.py"))
    tangled = {a: {b}, b: {c}, c: {a}}
    assert arrows_back(tangled, (("low",), ("high",))) == {"low/b.py -> high"}
    assert circles(tangled) == [["high/c.py", "low/a.py", "low/b.py"]]
    assert circles({a: {b}, b: set(), c: {a}}) == []
