"""Imports point down, make no circle, and cost nothing where they should."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

# A part may import the parts of its own floor and of those below.
FLOORS = (
    {"errors", "files", "progress"},
    {"networks"},
    {"modeling"},
    {"data"},
    {"training"},
)
ABOVE = len(FLOORS)  # evaluate, export, report, tpu, search ...
# Settings can be read, checked and planned without TensorFlow.
LIGHT = ("efficientnet_tf.training.config", "efficientnet_tf.training.plan")
# Goes to boards alone, whatever Python they have.
COPIED = "edgetpu.run"


def _modules() -> dict[str, Path]:
    paths = [
        *ROOT.glob("efficientnet_tf/**/*.py"),
        *ROOT.glob("edgetpu/**/*.py"),
    ]
    paths += ROOT.glob("main.py")
    return {_dotted(path): path for path in sorted(paths)}


def _dotted(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts).removesuffix(".__init__")


MODULES = _modules()
OURS = ("efficientnet_tf", "edgetpu", "main")


def _imported(module: str) -> Iterator[str]:
    """Names that a module imports, wherever in it, but for type checkers.

    A name from a package is the module of that name where there is one.
    """
    for node in _nodes(ast.parse(MODULES[module].read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.module is not None
            source = node.module
            if node.level:
                assert module.startswith(COPIED), f"{module}: write imports out"
                source = f"{COPIED}.{node.module}"
            for alias in node.names:
                whole = f"{source}.{alias.name}"
                yield whole if whole in MODULES else source


def _nodes(tree: ast.AST) -> Iterator[ast.AST]:
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test):
            continue
        yield node
        yield from _nodes(node)


def _floor(module: str) -> int:
    part = module.split(".")[1] if "." in module else ""
    for number, parts in enumerate(FLOORS):
        if part in parts:
            return number
    return ABOVE


def _is_ours(module: str) -> bool:
    return module.split(".")[0] in OURS


def test_the_modules_are_found() -> None:
    assert "efficientnet_tf.networks.resolve" in MODULES
    for module in LIGHT:
        assert module in MODULES


@pytest.mark.parametrize(
    "module", [name for name in MODULES if name.startswith("efficientnet_tf.")]
)
def test_imports_point_down(module: str) -> None:
    for imported in _imported(module):
        top = imported.split(".")[0]
        assert top not in ("edgetpu", "main"), imported
        # The package itself is there for its version.
        if top == "efficientnet_tf" and imported != top:
            assert _floor(imported) <= _floor(module), imported


@pytest.mark.parametrize(
    "module", [name for name in MODULES if name.startswith("edgetpu")]
)
def test_the_coral_half_does_not_import_the_front_door(module: str) -> None:
    assert "main" not in _imported(module)


def test_no_circle() -> None:
    graph = {
        module: {name for name in _imported(module) if _is_ours(name)}
        for module in MODULES
    }
    TopologicalSorter(graph).prepare()


@pytest.mark.parametrize(
    "module",
    [
        name
        for name in MODULES
        if name.startswith(
            ("efficientnet_tf.networks", "efficientnet_tf.errors")
        )
    ],
)
def test_networks_import_the_standard_library_only(module: str) -> None:
    allowed = ("efficientnet_tf.networks", "efficientnet_tf.errors")
    for imported in _imported(module):
        if not imported.startswith(allowed):
            assert imported.split(".")[0] in sys.stdlib_module_names, imported


@pytest.mark.parametrize(
    "code",
    [
        "import efficientnet_tf; efficientnet_tf.variants()",
        "import efficientnet_tf; efficientnet_tf.network('efficientnet-b0')",
        *(f"import {module}" for module in LIGHT),
        "import edgetpu.run",
        "import efficientnet_tf.tpu.batch_search",
        "import efficientnet_tf.search.costs, efficientnet_tf.search.space",
        "import efficientnet_tf.search.scale",
    ],
)
def test_costs_no_tensorflow(code: str) -> None:
    check = "import sys; assert not {'tensorflow', 'keras'} & set(sys.modules)"
    subprocess.run(
        [sys.executable, "-c", f"{code}\n{check}"], cwd=ROOT, check=True
    )


@pytest.mark.parametrize(
    "module", [name for name in MODULES if name.startswith(COPIED)]
)
def test_what_goes_to_boards_needs_little(module: str) -> None:
    ast.parse(MODULES[module].read_text(), feature_version=(3, 7))
    needed = {"numpy", "PIL", "ai_edge_litert", "tflite_runtime"}
    for imported in _imported(module):
        top = imported.split(".")[0]
        there = imported.startswith(COPIED) or top in needed
        assert there or top in sys.stdlib_module_names, imported


def test_public_names_are_there() -> None:
    import efficientnet_tf

    for name in efficientnet_tf.__all__:
        assert getattr(efficientnet_tf, name) is not None
        assert name in dir(efficientnet_tf)
    with pytest.raises(AttributeError, match="bild"):
        efficientnet_tf.bild  # noqa: B018


@pytest.mark.parametrize("module", MODULES)
def test_nothing_is_called_utils(module: str) -> None:
    names = module.split(".")
    for node in ast.walk(ast.parse(MODULES[module].read_text())):
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            names.append(node.name)
    for name in names:
        assert name.strip("_").lower() not in ("util", "utils", "helpers")
