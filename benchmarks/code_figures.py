"""Count the lines, packages, parameter lists, classes and repetitions of the package's own code.

    python benchmarks/code_figures.py [PACKAGE]

PACKAGE is a folder of Python files, by default ``skgdpd`` beside this folder. Lines of code do not
include docstrings, comments and blank lines.
"""

from __future__ import annotations

import ast
import io
import sys
import tokenize
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

N_REPEATED = 6
"""Number of lines of code in a row from which the same lines in two places are a repetition."""


def docstring_lines(tree: ast.AST) -> set[int]:
    """Return the numbers of the lines that docstrings take, those of attributes included."""
    found: set[int] = set()
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        for statement in body if isinstance(body, list) else []:
            if isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant):
                if isinstance(statement.value.value, str):
                    found |= set(range(statement.lineno, (statement.end_lineno or 0) + 1))
    return found


def code_lines(source: str) -> dict[int, str]:
    """Return the lines of code of a module, stripped, by their numbers."""
    skipped = {
        tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT,
        tokenize.ENDMARKER, tokenize.ENCODING,
    }  # fmt: skip
    numbers: set[int] = set()
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type not in skipped:
            numbers |= set(range(token.start[0], token.end[0] + 1))
    lines = source.splitlines()
    kept = numbers - docstring_lines(ast.parse(source))
    return {number: lines[number - 1].strip() for number in sorted(kept)}


def parameter_lists(path: Path, tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Yield the length of each function's list of parameters, and the function's name."""
    for owner in ast.walk(tree):
        body = getattr(owner, "body", None)
        for node in body if isinstance(body, list) else []:
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                arguments = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]
                n = sum(argument.arg not in ("self", "cls") for argument in arguments)
                name = (
                    f"{owner.name}.{node.name}" if isinstance(owner, ast.ClassDef) else node.name
                )
                yield n, f"{name} ({path})"


def repeated_lines(modules: dict[Path, dict[int, str]]) -> int:
    """Return how many lines of code stand in runs that stand elsewhere, too."""
    places: dict[tuple[str, ...], list[tuple[Path, int]]] = defaultdict(list)
    for path, lines in modules.items():
        texts = [text for text in lines.values() if not text.startswith(("import ", "from "))]
        for start in range(len(texts) - N_REPEATED + 1):
            run = tuple(texts[start : start + N_REPEATED])
            if sum(len(text) for text in run) > 8 * N_REPEATED:  # brackets alone don't count
                places[run].append((path, start))
    repeated: set[tuple[Path, int]] = set()
    for found in places.values():
        if len(found) > 1:
            repeated |= {(path, start + i) for path, start in found for i in range(N_REPEATED)}
    return len(repeated)


def main() -> int:
    """Print the figures of a package."""
    given = sys.argv[1:]
    root = Path(given[0]) if given else Path(__file__).parents[1] / "skgdpd"
    paths = sorted(root.rglob("*.py"))
    if not paths:
        print(f"{root} holds no Python files", file=sys.stderr)
        return 2
    rooms: dict[str, int] = defaultdict(int)
    modules, parameters, classes = {}, [], []
    for path in paths:
        source = path.read_text()
        tree, lines = ast.parse(source), code_lines(source)
        own = path.relative_to(root)
        modules[own] = lines
        rooms[own.parts[0]] += len(lines)
        parameters += list(parameter_lists(own, tree))
        for node in ast.walk(tree):
            if isinstance(node, ast.ClassDef):
                last = node.end_lineno or node.lineno
                n = sum(node.lineno <= number <= last for number in lines)
                classes.append((n, f"{node.name} ({own})"))
    total = sum(rooms.values())
    print(f"{total} lines of code in {len(paths)} modules, {len(rooms)} rooms")
    for room, n in sorted(rooms.items(), key=lambda item: -item[1]):
        print(f"  {n:6d} {room}")
    print(f"{repeated_lines(modules)} lines in runs of {N_REPEATED} or more that stand twice")
    print("longest lists of parameters")
    for n, name in sorted(parameters, reverse=True)[:8]:
        print(f"  {n:6d} {name}")
    print("largest classes, lines of code")
    for n, name in sorted(classes, reverse=True)[:8]:
        print(f"  {n:6d} {name}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
