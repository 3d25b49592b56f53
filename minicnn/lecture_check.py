"""What a claim of the lecture is, whether our numbers agree with it, and what can be counted in a summary's rows."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cached_property

from . import functional as F
from . import models, nn
from .kernels import shapes
from .rows import Row
from .summary import Summary, summary

MB, KB = 2**20, 2**10
NUMBER = re.compile(r"(?<![\w^.,])[0-9][0-9,]*(?:\.[0-9]+)?")


@dataclass(frozen=True)
class Claim:
    """One line.

    Attributes
    ----------
    what : str
    printed : str
        In the lecture, such as ``"1.9 MB, 61 M"``; every number in it is compared.
    compute : callable
        From :class:`Tables` to as many numbers, in the units printed.
    counted : str
        What was counted, and of which network.
    as_usual : bool
        Whether that is what ``minicnn table`` counts of the network meant; else agreement is "under this convention".
    tolerance : float
        Relative; for figures that the lecture calls equal although they nearly are.
    template, verdict : str
        For claims in words: how to print our numbers, and the verdict.
    """

    what: str
    printed: str
    compute: Callable[[Tables], Iterable[float]]
    counted: str = ""
    as_usual: bool = True
    tolerance: float = 0.0
    template: str = ""
    verdict: str = ""

    def check(self, tables: Tables) -> Finding:
        values = tuple(float(v) for v in self.compute(tables))
        if self.template:
            return Finding(self, values, self.template.format(*values), self.verdict)
        ours = iter(values)
        shown = NUMBER.sub(lambda number: _one_digit_more(number[0], next(ours)), self.printed)
        return Finding(self, values, shown, self._verdict(values))

    def _verdict(self, values: tuple[float, ...]) -> str:
        agreements = [_agreement(p, v) for p, v in zip(NUMBER.findall(self.printed), values, strict=True)]
        if "differs" in agreements:
            off = max(abs(v / (_value(p) or 1) - 1) for p, v in zip(NUMBER.findall(self.printed), values))
            return f"within {math.ceil(1000 * off) / 10} %" if off <= self.tolerance else "erratum"
        exact = "cut off, not rounded" if "cut off" in agreements else "exact"
        return exact if self.as_usual else f"{exact} under this convention"


@dataclass(frozen=True)
class Finding:
    """A claim, our ``values``, how they are printed, and the verdict."""

    claim: Claim
    values: tuple[float, ...]
    computed: str
    verdict: str


def _value(printed: str) -> float:
    return float(printed.replace(",", ""))


def _digits(printed: str) -> int:
    return len(printed.partition(".")[2])


def _agreement(printed: str, value: float) -> str:
    """Whether a number rounds to the printed one, or is cut off to it."""
    unit = 10.0 ** -_digits(printed)
    if abs(_value(printed) - value) <= unit / 2:
        return "exact"
    return "cut off" if 0 <= value - _value(printed) < unit else "differs"


def _one_digit_more(printed: str, value: float) -> str:
    digits = 0 if _value(printed) >= 10_000 else _digits(printed) + 1
    return f"{value:,.{digits}f}" if "," in printed else f"{value:.{digits}f}"


class Tables:
    """Summaries of models, each made once."""

    def __init__(self) -> None:
        self._made: dict[str, Summary] = {}

    def __call__(self, name: str, variant: str | None = None, **options) -> Summary:
        key = repr((name, variant, options))
        if key not in self._made:
            with shapes.shapes_only():
                model = models.get_model(name, variant=variant, **options)
            self._made[key] = summary(model, models.input_size(name, model), show=False)
        return self._made[key]

    @cached_property
    def inceptions(self) -> tuple[Summary, Summary]:
        """CS231n's module on 256 maps of 28x28: naive, and with 1x1 convolutions to 64 maps before 3x3 and 5x5."""
        return summary(Module(256), (256, 28, 28), show=False), summary(Module(64), (256, 28, 28), show=False)


class Module(nn.Module):
    """128 maps by 1x1, 192 by 3x3, 96 by 5x5 convolution, and the pool; all from 256 maps or through ``reduced``."""

    def __init__(self, reduced: int) -> None:
        super().__init__()

        def squeeze() -> nn.Module:
            return nn.Conv2d(256, reduced, 1) if reduced < 256 else nn.Identity()

        self.ones = nn.Conv2d(256, 128, 1)
        self.threes = nn.Sequential(squeeze(), nn.Conv2d(reduced, 192, 3, padding=1))
        self.fives = nn.Sequential(squeeze(), nn.Conv2d(reduced, 96, 5, padding=2))
        self.pool = nn.Sequential(nn.MaxPool2d(3, 1, padding=1), squeeze())

    def forward(self, x):
        return F.cat([self.ones(x), self.threes(x), self.fives(x), self.pool(x)], axis=1)


# What can be counted ----------------------------------------------------------------------------------------------
CONV, CONV_FC, CONV_POOL_FC = ("conv",), ("conv", "fc"), ("conv", "fc", "maxpool", "avgpool", "gap")


def memory(rows: Iterable[Row], kinds: tuple[str, ...] = CONV_FC) -> int:
    """Bytes of the outputs of the layers of these kinds."""
    return sum(r.memory for r in rows if r.kind in kinds)


def macs(rows: Iterable[Row], pools: bool = False) -> int:
    """Multiply-adds, with or without what pools compare."""
    return sum(r.macs + (r.pool_ops if pools else 0) for r in rows)


def params(rows: Iterable[Row], biases: bool = True) -> int:
    """Parameters; without biases, those of layers that have no batch-norm."""
    return sum(r.params - (0 if biases or not r.params else r.filters) for r in rows)


def down_to_28(table: Summary) -> list[Row]:
    """The layers before the map is 28x28, and the pool that makes it so."""
    last = next(i for i, r in enumerate(table.rows) if r.output_shape[1:] == (28, 28))
    return list(table.rows[: last + 1])


def block(table: Summary, name: str) -> list[Row]:
    """The convolutions of a residual block."""
    return [r for r in table.rows if r.name.startswith(name + ".") and r.kind == "conv"]


def per_pixel(rows: Iterable[Row], channels: int = 1) -> float:
    """Multiply-adds in units of H W C^2."""
    rows = list(rows)
    return macs(rows) / math.prod(rows[-1].output_shape[1:]) / channels**2


def last_of_stages(table: Summary) -> list[int]:
    """Multiply-adds of the last convolution before each pool."""
    pairs = zip(table.rows, table.rows[1:])
    return [before.macs for before, after in pairs if after.kind == "maxpool"]
