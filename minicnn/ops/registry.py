"""Which Function runs under which name, and how a student puts another in its place."""

from __future__ import annotations

import contextlib
import inspect
from collections.abc import Callable, Iterator

from ..autograd import Function
from ..errors import ArgumentError, suggest
from ..tensor import Tensor

FUNCTIONS: dict[str, type[Function]] = {}

#: An option with this value asks for nothing: a replacement that does not know the option may go without it.
NEUTRAL = {
    "padding": (0, 0, 0, 0),
    "dilation": (1, 1),
    "groups": 1,
    "ceil_mode": False,
    "count_include_pad": True,
    "algorithm": "auto",
    "label_smoothing": 0.0,
    "average": True,
}


def register(name: str) -> Callable[[type[Function]], type[Function]]:
    """Class decorator: make a Function the one that ``apply_op(name, ...)`` runs."""

    def add(function: type[Function]) -> type[Function]:
        FUNCTIONS[name] = function
        return function

    return add


def apply_op(name: str, *inputs, **options) -> Tensor:
    """Apply the Function that is registered under ``name`` at this moment."""
    return FUNCTIONS[name].apply(*inputs, **options)


@contextlib.contextmanager
def replace(name: str, function: type[Function]) -> Iterator[None]:
    """Run every model on your own Function: ``with mc.replace("max_pool2d", MyMaxPool2d): model(x)``.

    ``forward`` receives the arrays and, by keyword, the operation's options in normal form: ``kernel_size``, ``stride``
    and ``dilation`` as pairs, ``padding`` as (top, bottom, left, right). It may leave out options of no effect
    (``dilation`` when it is (1, 1), ``padding`` when it is all zeros ...); if a model does use one that ``forward``
    does not take, that is an error.

    Parameters
    ----------
    name : str
        An operation's name in ``minicnn.functional``, such as ``"conv2d"``.
    function : subclass of Function

    Raises
    ------
    ArgumentError
        If there is no such operation, or ``function`` is not a Function.

    Examples
    --------
    >>> import minicnn as mc
    >>> class Twice(Function):
    ...     @staticmethod
    ...     def forward(ctx, x):
    ...         return x * 2
    >>> with replace("relu", Twice):
    ...     mc.nn.ReLU()(mc.tensor([-1.0])).tolist()
    [-2.0]
    """
    if name not in FUNCTIONS:
        raise ArgumentError(f"replace: there is no operation {name!r}; {suggest(name, FUNCTIONS)}")
    if not (isinstance(function, type) and issubclass(function, Function)):
        raise ArgumentError(f"replace: {name!r} must be replaced by a subclass of mc.Function, got {function!r}")
    before = FUNCTIONS[name]
    FUNCTIONS[name] = _taking_only_what_it_knows(name, function)
    try:
        yield
    finally:
        FUNCTIONS[name] = before


def _taking_only_what_it_knows(name: str, function: type[Function]) -> type[Function]:
    """A subclass whose ``apply`` leaves out the neutral options that ``function.forward`` does not name."""
    parameters = inspect.signature(function.forward).parameters.values()
    neutral = NEUTRAL | ({"stride": (1, 1)} if name == "conv2d" else {})  # a pool's stride is its window's, no neutral
    takes_any = any(p.kind is p.VAR_KEYWORD for p in parameters)
    known = {p.name for p in parameters}

    class Replacement(function):
        @classmethod
        def apply(cls, *inputs, **options) -> Tensor:
            for option in [] if takes_any else [o for o in options if o not in known]:
                value = options.pop(option)
                if option not in neutral or value != neutral[option]:
                    raise ArgumentError(
                        f"{function.__name__}.forward takes no option {option!r}, but this call needs "
                        f"{option}={value!r}"
                    )
            return function.apply(*inputs, **options)

    return Replacement
