"""Who may import whom: the layers of lib/headcount, which only ever look down."""

import ast
from pathlib import Path

import pytest

from helpers.programs import ROOT

LIB = ROOT / "lib" / "headcount"
LAYERS = [
    {"errors", "checkout"},
    {"values"},
    {"io"},
    {"cli"},
    {"filters"},
    {"formats"},
    {"db"},
    {"pipelines"},
    {"reports"},
    {"operations", "testdata"},
]
MOST_MODULES = 15  # of a package: as many as one takes in at a glance
MOST_LINES = 400


def name_of(path: Path) -> str:
    parts = path.relative_to(LIB).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {name_of(path): path for path in sorted(LIB.rglob("*.py"))}


def imports(tree: ast.AST) -> set[str]:
    """The modules of ours that a module imports, at its head or later, in a function."""
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, "imports are absolute"
            for alias in node.names:
                name = f"{node.module}.{alias.name}"
                is_module = name.removeprefix("headcount.") in MODULES
                found.add(name if is_module else node.module)
    ours = {name.removeprefix("headcount.") for name in found if name.startswith("headcount.")}
    return {name for name in ours if MODULES[name].name != "__init__.py"}


EDGES = {name: imports(ast.parse(path.read_text())) for name, path in MODULES.items()}


def layer(name: str) -> int:
    top = name.partition(".")[0]
    (number,) = [i for i, tops in enumerate(LAYERS) if top in tops]
    return number


def pipeline(name: str) -> str | None:
    """The pipeline whose package a module is in."""
    parts = name.split(".")
    return parts[1] if parts[0] == "pipelines" and len(parts) > 2 else None


def broken(name: str, imported: str) -> bool:
    """Whether a module must not import another."""
    if layer(imported) > layer(name):
        return True
    if layer(imported) == layer(name) and name.partition(".")[0] != imported.partition(".")[0]:
        return layer(name) > 0
    others = pipeline(imported)
    return layer(name) == layer("pipelines") and others is not None and others != pipeline(name)


def circle(edges: dict[str, set[str]]) -> list[str]:
    """Modules that import each other in a ring, if there are any."""
    done: set[str] = set()
    path: list[str] = []

    def visit(name: str) -> list[str]:
        if name in path:
            return path[path.index(name) :]
        if name in done:
            return []
        path.append(name)
        for imported in sorted(edges[name]):
            if ring := visit(imported):
                return ring
        done.add(path.pop())
        return []

    return next((ring for name in sorted(edges) if (ring := visit(name))), [])


def test_a_module_imports_only_what_lies_below_it():
    assert [(a, b) for a, found in EDGES.items() for b in sorted(found) if broken(a, b)] == []


def test_there_is_no_circle():
    assert circle(EDGES) == []


@pytest.mark.parametrize(
    ("name", "imported"),
    [
        ("values.zones", "io.output"),
        ("db.ledger", "pipelines.session"),
        ("pipelines.comments.count", "pipelines.active_users.days.store"),
        ("pipelines.session", "pipelines.active_users.options.engagement_options"),
        ("operations.doctor", "testdata.changes"),
    ],
)
def test_it_would_be_seen(name, imported):
    assert broken(name, imported)
    assert circle({name: {imported}, imported: {name}})


def test_imports_in_functions_are_seen():
    tree = ast.parse("def f():\n    from headcount.db import ledger\n    import headcount.errors")
    assert imports(tree) == {"db.ledger", "errors"}


@pytest.mark.parametrize("folder", sorted({path.parent for path in MODULES.values()}))
def test_a_package_is_taken_in_at_a_glance(folder):
    entries = [path for path in folder.iterdir() if path.name not in ("__pycache__", "__init__.py")]
    assert len(entries) <= MOST_MODULES


@pytest.mark.parametrize("name", [name for name, path in MODULES.items() if path.stat().st_size])
def test_a_module_has_one_reason_to_exist(name):
    """Its size, and a docstring whose first sentence is one."""
    text = MODULES[name].read_text()
    assert text.count("\n") <= MOST_LINES
    summary = ast.get_docstring(ast.parse(text)).partition("\n")[0]
    if not name.startswith("testdata.kinds."):  # there it is the help of a kind
        assert " and " not in summary, summary
