"""What can be told of a `HyperModel.fit` from its text: whether all it returns is the History of `model.fit`.

Only then can an objective that the model will not log be refused before the first epoch; another `fit` may compute it.
"""

from __future__ import annotations

import ast
import inspect
import textwrap
from collections.abc import Callable
from typing import Any


def history_keywords(fit: Callable[..., Any]) -> frozenset[str] | None:
    """Names that `fit` may pass to `model.fit` beside what it was given, when it returns `model.fit(...)` in any case.

    Args:
        fit: a method `fit(self, hp, model, *args, **kwargs)`.

    Returns:
        The keywords written in the calls, and every text constant in the body (`kwargs["callbacks"]`); None when the
        result may be something else, or the text is not there.
    """
    function = _parsed(fit)
    if function is None or len(function.args.args) < 3:
        return None
    model = function.args.args[2].arg
    nodes = [n for statement in function.body for n in ast.walk(statement)]
    if any(isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef | ast.Yield | ast.YieldFrom) for n in nodes):
        return None
    assigned = [(t, n.value) for n in nodes if isinstance(n, ast.Assign) for t in n.targets if isinstance(t, ast.Name)]
    returned = [n.value for n in nodes if isinstance(n, ast.Return)]
    if not returned or any(target.id == model for target, _ in assigned):
        return None
    for value in returned:
        sources: list[ast.expr | None] = [v for t, v in assigned if isinstance(value, ast.Name) and t.id == value.id]
        if not all(_is_fit_of(source, model) for source in sources or [value]) or _may_change(value, nodes):
            return None
    keywords = {k.arg for n in nodes if isinstance(n, ast.Call) for k in n.keywords if k.arg is not None}
    return frozenset(keywords | {n.value for n in nodes if isinstance(n, ast.Constant) and isinstance(n.value, str)})


def _parsed(fit: Callable[..., Any]) -> ast.FunctionDef | None:
    try:
        tree = ast.parse(textwrap.dedent(inspect.getsource(fit)))
    except (OSError, TypeError, SyntaxError):
        return None
    return tree.body[0] if tree.body and isinstance(tree.body[0], ast.FunctionDef) else None


def _is_fit_of(node: ast.expr | None, model: str) -> bool:
    """Whether the expression is `<model>.fit(...)`."""
    if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "fit"):
        return False
    return isinstance(node.func.value, ast.Name) and node.func.value.id == model


def _may_change(history: ast.expr | None, nodes: list[ast.AST]) -> bool:
    """Whether metrics may be added to what is returned: `h.history["f1"] = ...`, `h.history.update(...)`, `add(h)`."""
    for node in nodes:
        parts: list[ast.expr] = []
        match node:
            case ast.Subscript(ctx=ast.Store()) | ast.Attribute(ctx=ast.Store()):
                parts = [node]
            case ast.Call(func=function, args=args, keywords=keywords):
                parts = [a for a in (*args, *(k.value for k in keywords)) if isinstance(a, ast.Name | ast.Attribute)]
                if isinstance(function, ast.Attribute) and function.attr in ("update", "setdefault"):
                    parts.append(function)
            case ast.Assign(value=ast.Name() | ast.Attribute()):
                parts = [node.value]
        names = {n.id for part in parts for n in ast.walk(part) if isinstance(n, ast.Name)}
        if isinstance(history, ast.Name) and history.id in names:
            return True
    return False
