"""The graph behind a tensor, as text in the dot language or, where graphviz is installed, as a picture."""

from __future__ import annotations

import os
import pathlib
import shutil

from .errors import ArgumentError
from .files import replacing
from .tensor import Tensor


def to_dot(root: Tensor) -> str:
    """The graph in the dot language: boxes are operations, ellipses are leaves, edges carry shapes.

    Iterative, like the backward walk, so that graphs of any depth can be drawn. The same graph gives the same text.
    """
    lines = ["digraph {", '  rankdir="LR"; node [fontname="sans-serif"]; edge [fontsize=9]']
    numbers: dict[int, int] = {}  # by identity, in the order of meeting: addresses would differ from run to run

    def number(tensor: Tensor) -> int:
        return numbers.setdefault(id(tensor.node or tensor), len(numbers))

    drawn: set[int] = set()
    stack = [root]
    while stack:
        tensor = stack.pop()
        key = number(tensor)
        if key in drawn:
            continue
        drawn.add(key)
        shape = "x".join(map(str, tensor.shape)) or "scalar"
        if tensor.node is None:
            colour = "lightblue" if tensor.requires_grad else "white"
            lines.append(f'  n{key} [label="{shape}", style=filled, fillcolor={colour}]')
            continue
        lines.append(f'  n{key} [label="{tensor.node.function.__name__}", shape=box]')
        for source in () if tensor.node.freed else tensor.node.inputs:
            if source is not None:
                label = "x".join(map(str, source.shape)) or "scalar"
                lines.append(f'  n{number(source)} -> n{key} [label="{label}"]')
                stack.append(source)
    return "\n".join([*lines, "}"])


def draw(root: Tensor, path: str | os.PathLike | None = None):
    """Draw the graph that made ``root``.

    Parameters
    ----------
    root : Tensor
    path : path, optional
        ``.dot`` writes text; ``.svg``, ``.png`` or ``.pdf`` need the graphviz program ``dot`` and the Python package.

    Returns
    -------
    graphviz.Source or str
        What a notebook shows as a picture if the ``graphviz`` package is installed, else the dot text.

    Raises
    ------
    ArgumentError
        If a picture file is asked for without graphviz; the message says what to install.
    """
    text = to_dot(root)
    try:
        import graphviz
    except ImportError:
        graphviz = None
    if path is not None:
        path = pathlib.Path(path)
        if path.suffix == ".dot":
            with replacing(path) as temporary:
                temporary.write_text(text)
        elif path.suffix not in (".svg", ".png", ".pdf"):
            raise ArgumentError(f"draw: {path} must end in .dot, .svg, .png or .pdf")
        elif graphviz is None or shutil.which("dot") is None:
            raise ArgumentError(
                f"draw: {path.suffix} files need the package graphviz (pip install 'minicnn-from-scratch[draw]') and "
                f"the program dot (apt install graphviz); a .dot file needs neither"
            )
        else:
            with replacing(path) as temporary:
                temporary.write_bytes(graphviz.Source(text).pipe(format=path.suffix[1:]))
    return text if graphviz is None or shutil.which("dot") is None else graphviz.Source(text)
