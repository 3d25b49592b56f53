"""Element-wise arithmetic. Shapes broadcast as in NumPy; the engine sums a gradient over broadcast axes."""

from __future__ import annotations

import numpy as np

from ..autograd import Function
from ..device import device_of, plain_array, to_device
from ..errors import DeviceError
from ..kernels.layout import add as sum_of
from ..tensor import Tensor, as_array
from .operands import alike, explain
from .registry import apply_op, register


@register("add")
class Add(Function):
    """a + b"""

    @staticmethod
    def forward(ctx, a, b):
        return sum_of(a, b)  # a + b, with channels side by side on a GPU too

    @staticmethod
    def backward(ctx, grad):
        return grad, grad


@register("sub")
class Sub(Function):
    """a - b"""

    @staticmethod
    def forward(ctx, a, b):
        return a - b

    @staticmethod
    def backward(ctx, grad):
        return grad, -grad


@register("mul")
class Mul(Function):
    """a * b"""

    @staticmethod
    def forward(ctx, a, b):
        ctx.save_for_backward(a, b)
        return a * b

    @staticmethod
    def backward(ctx, grad):
        a, b = ctx.saved
        need_a, need_b = ctx.needs_input_grad
        return grad * b if need_a else None, grad * a if need_b else None


@register("div")
class Div(Function):
    """a / b"""

    @staticmethod
    def forward(ctx, a, b):
        ctx.save_for_backward(a, b)
        return a / b

    @staticmethod
    def backward(ctx, grad):
        a, b = ctx.saved
        need_a, need_b = ctx.needs_input_grad
        return grad / b if need_a else None, -grad * a / (b * b) if need_b else None


@register("neg")
class Neg(Function):
    """-x"""

    @staticmethod
    def forward(ctx, x):
        return -x

    @staticmethod
    def backward(ctx, grad):
        return -grad


@register("pow")
class Pow(Function):
    """a ** b;  da = b a^(b-1),  db = a^b log a"""

    @staticmethod
    def forward(ctx, a, b):
        y = a**b
        ctx.save_for_backward(a, b, y)
        return y

    @staticmethod
    def backward(ctx, grad):
        a, b, y = ctx.saved
        need_a, need_b = ctx.needs_input_grad
        da = grad * np.where(b == 0, 0, b * a ** (b - 1)).astype(a.dtype) if need_a else None
        db = grad * np.where((a == 0) & (b >= 0), 0, y * np.log(a)).astype(a.dtype) if need_b else None
        return da, db


@register("exp")
class Exp(Function):
    """e^x"""

    @staticmethod
    def forward(ctx, x):
        y = np.exp(x)
        ctx.save_for_backward(y)
        return y

    @staticmethod
    def backward(ctx, grad):
        (y,) = ctx.saved
        return grad * y


@register("log")
class Log(Function):
    """natural logarithm"""

    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return np.log(x)

    @staticmethod
    def backward(ctx, grad):
        (x,) = ctx.saved
        return grad / x


@register("sqrt")
class Sqrt(Function):
    """square root; dx = 1 / (2 y)"""

    @staticmethod
    def forward(ctx, x):
        y = np.sqrt(x)
        ctx.save_for_backward(y)
        return y

    @staticmethod
    def backward(ctx, grad):
        (y,) = ctx.saved
        return grad / (2 * y)


@register("abs")
class Abs(Function):
    """|x|; the slope at 0 is 0"""

    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return np.abs(x)

    @staticmethod
    def backward(ctx, grad):
        (x,) = ctx.saved
        return np.where(x > 0, grad, np.where(x < 0, -grad, 0))


@register("maximum")
class Maximum(Function):
    """the larger of a and b; where they are equal each gets half the gradient, as in PyTorch"""

    @staticmethod
    def forward(ctx, a, b):
        ctx.save_for_backward(a, b)
        return np.maximum(a, b)

    @staticmethod
    def backward(ctx, grad):
        a, b = ctx.saved
        shared = np.where(a == b, grad / 2, grad)
        return np.where(a < b, 0, shared), np.where(b < a, 0, shared)  # a NaN passes the gradient to both


@register("minimum")
class Minimum(Function):
    """the smaller of a and b; where they are equal each gets half the gradient"""

    @staticmethod
    def forward(ctx, a, b):
        ctx.save_for_backward(a, b)
        return np.minimum(a, b)

    @staticmethod
    def backward(ctx, grad):
        a, b = ctx.saved
        shared = np.where(a == b, grad / 2, grad)
        return np.where(a > b, 0, shared), np.where(b > a, 0, shared)


@register("clip")
class Clip(Function):
    """min(max(x, low), high); the gradient passes where low <= x <= high"""

    @staticmethod
    def forward(ctx, x, low=None, high=None):
        inside = np.ones_like(x, bool)
        if low is not None:
            inside &= x >= low
        if high is not None:
            inside &= x <= high
        ctx.save_for_backward(inside)
        return np.clip(x, low, high)

    @staticmethod
    def backward(ctx, grad):
        (inside,) = ctx.saved
        return grad * inside


def _binary(name: str, a, b) -> Tensor:
    try:
        return apply_op(name, *alike(a, b))
    except (TypeError, ValueError):
        explain(name, a, b)
        raise


def add(a, b) -> Tensor:
    return _binary("add", a, b)


def sub(a, b) -> Tensor:
    return _binary("sub", a, b)


def mul(a, b) -> Tensor:
    return _binary("mul", a, b)


def div(a, b) -> Tensor:
    return _binary("div", a, b)


def neg(x) -> Tensor:
    return apply_op("neg", x)


def pow(a, b) -> Tensor:  # noqa: A001 - PyTorch's name
    return _binary("pow", a, b)


def exp(x) -> Tensor:
    return apply_op("exp", x)


def log(x) -> Tensor:
    return apply_op("log", x)


def sqrt(x) -> Tensor:
    return apply_op("sqrt", x)


def abs(x) -> Tensor:  # noqa: A001 - PyTorch's name
    return apply_op("abs", x)


def maximum(a, b) -> Tensor:
    return _binary("maximum", a, b)


def minimum(a, b) -> Tensor:
    return _binary("minimum", a, b)


def clip(x, low: float | None = None, high: float | None = None) -> Tensor:
    return apply_op("clip", x, low=low, high=high)


def _arrays(a, b) -> tuple:
    """Two arrays on one device: a single number comes along to the other's."""
    a, b = as_array(a), as_array(b)
    places = device_of(a), device_of(b)
    if places[0] == places[1]:
        return a, b
    if (a if places[0] == "cpu" else b).ndim:
        raise DeviceError(f"compared were shape {a.shape} on {places[0]} and shape {b.shape} on {places[1]}; move one")
    device = places[0] if places[1] == "cpu" else places[1]
    return to_device(a, device), to_device(b, device)


def compare(operator):
    """A comparison as a method: element-wise, a boolean tensor without history."""

    def method(a, b):
        try:
            return Tensor(plain_array(operator(*_arrays(*alike(a, b)))))
        except ValueError:
            explain(operator.__name__, a, b)
            raise

    return method
