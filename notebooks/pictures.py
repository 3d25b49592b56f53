"""Drawings that several cells of the chapters share. Each returns nothing and leaves ``plt.show()`` to the cell."""

from __future__ import annotations

from collections.abc import Sequence

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.patches import FancyBboxPatch, Rectangle

BLUE, ORANGE, GREEN, GREY = "#0072b2", "#e69f00", "#009e73", "#888888"  # Okabe and Ito: told apart by everybody


def value_graph(places: dict, names: dict, gradients: bool = True) -> None:
    """The graph of chapter 00's Values: a box for each, with its number and, in orange, its gradient.

    Parameters
    ----------
    places : dict of Value to (column, row)
    names : dict of Value to str
        How it was made, such as ``"a * b"``.
    gradients : bool
        Also write them.
    """
    columns, rows = (max(at[i] for at in places.values()) + 1 for i in (0, 1))
    _, axes = plt.subplots(figsize=(2.1 * columns, 1.1 * rows + 0.3))
    for value, (column, row) in places.items():
        box = FancyBboxPatch((2 * column, -row - 0.3), 1.2, 0.6, boxstyle="round,pad=0.06", fc="white", ec=GREY)
        axes.add_patch(box)
        axes.text(2 * column + 0.6, -row + 0.12, f"{names[value]} = {value.data:g}", ha="center", va="center", size=10)
        if gradients:
            text = f"gradient {value.grad:g}"
            axes.text(2 * column + 0.6, -row - 0.16, text, ha="center", va="center", size=9, color="#b34700")
        for source in value.sources:
            start, end = (2 * places[source][0] + 1.26, -places[source][1]), (2 * column - 0.06, -row)
            axes.annotate("", end, start, arrowprops={"arrowstyle": "->", "color": GREY})
    axes.set_xlim(-0.2, 2 * columns - 0.6)
    axes.set_ylim(-rows + 0.4, 0.5)
    axes.axis("off")


def matrix(axes, array: np.ndarray, colours=None, title: str = "", numbers: str = "{:g}") -> None:
    """A matrix as a grid of numbers; ``colours`` has one for each element, or None where it stays white."""
    rows, columns = array.shape
    for r in range(rows):
        for c in range(columns):
            colour = "white" if colours is None or colours[r][c] is None else colours[r][c]
            axes.add_patch(Rectangle((c, r), 1, 1, fc=colour, ec=GREY, lw=0.7))
            axes.text(c + 0.5, r + 0.52, numbers.format(array[r, c]), ha="center", va="center", size=9)
    axes.set_xlim(-0.05, columns + 0.05)
    axes.set_ylim(rows + 0.05, -0.05)
    axes.set_aspect("equal")
    axes.axis("off")
    axes.set_title(title, size=10)


def images(array: np.ndarray, titles: Sequence[str] = (), columns: int = 8, signed: bool = False) -> None:
    """Grey pictures side by side, (N, H, W); ``signed``: red above zero, blue below, white at zero."""
    rows = -(-len(array) // columns)
    _, grid = plt.subplots(rows, columns, figsize=(1.05 * columns, (1.3 if titles else 1.05) * rows), squeeze=False)
    limit = np.abs(array).max()
    look = {"cmap": "RdBu_r", "vmin": -limit, "vmax": limit} if signed else {"cmap": "gray_r"}
    for i, axes in enumerate(grid.flat):
        axes.axis("off")
        if i < len(array):
            axes.imshow(array[i], **look)
            axes.set_title(titles[i] if titles else "", size=9)


def windows(axes, size: int, kernel: int, stride: int, padding: int, outputs: int) -> None:
    """Along one row of ``size`` pixels: which of them each output sees. A row of boxes for each output."""
    for o in range(outputs):
        for p in range(-padding, size + padding):
            inside = 0 <= p < size
            colour = "white" if not o * stride - padding <= p < o * stride - padding + kernel else BLUE
            axes.add_patch(Rectangle((p, o), 1, 0.86, fc=colour, ec=GREY, lw=0.7, ls="-" if inside else ":"))
    unseen = [p for p in range(size) if p >= (outputs - 1) * stride - padding + kernel]
    for p in unseen:
        axes.text(p + 0.5, outputs + 0.4, "never\nseen", ha="center", va="center", size=7, color="#b34700")
    axes.set_xlim(-2.1, 11.1)
    axes.set_ylim(outputs + 0.8, -0.1)
    axes.axis("off")
    axes.set_title(f"{size} pixels, kernel {kernel}, stride {stride}, padding {padding}: {outputs} outputs", size=9)


def threads(n: int, blocks: int, block: int) -> None:
    """Which thread of which block takes which of ``n`` elements, one thread each."""
    _, axes = plt.subplots(figsize=(0.62 * blocks * block, 1.7))
    for i in range(blocks * block):
        there = i < n
        axes.add_patch(Rectangle((i, 0), 1, 0.8, fc=(BLUE, GREEN)[i // block % 2] if there else "white", ec=GREY))
        axes.text(
            i + 0.5, 0.4, str(i) if there else "-", ha="center", va="center", color="white" if there else "#b34700"
        )
        axes.text(i + 0.5, 1.05, str(i % block), ha="center", va="center", size=9)
    for b in range(blocks):
        axes.text((b + 0.5) * block, 1.55, f"blockIdx.x = {b}", ha="center", va="center")
    axes.text(-0.15, 1.05, "threadIdx.x", ha="right", va="center", size=9)
    axes.text(-0.15, 0.4, "element", ha="right", va="center", size=9)
    axes.set_xlim(-2.4, blocks * block + 0.1)
    axes.set_ylim(-0.1, 1.8)
    axes.axis("off")


def roofline(gpu, points: dict[str, float]) -> None:
    """The most FLOP/s that a GPU can reach, against FLOPs for each byte; ``points``: names and FLOPs for a byte."""
    intensity = np.logspace(-1.3, 3, 200)
    most = np.minimum(gpu.flops32, intensity * gpu.bandwidth) / 1e12
    plt.figure(figsize=(6, 3.6))
    plt.loglog(intensity, most, color=GREY)
    for (name, at), colour in zip(points.items(), (BLUE, ORANGE, GREEN)):
        height = min(gpu.flops32, at * gpu.bandwidth) / 1e12
        plt.loglog([at], [height], "o", color=colour, ms=8)
        plt.annotate(f"{name}: {height:.1f}", (at, height), (9, -10), textcoords="offset points")
    plt.xlabel("FLOPs for each byte that is asked for")
    plt.ylabel("at most, TFLOP/s")
    plt.grid(alpha=0.3)
