"""Values as bytes and back, between the grader and the process that runs a submission. Never pickle: it can run code.

A message is ``MCW1``, two lengths, a JSON header, and the arrays' numbers one after another. What the header says of
an array is compared with the bytes that came before an array is made of them, so that a forged header costs nothing.
"""

from __future__ import annotations

import json
import math
import struct

import numpy as np

MAGIC = b"MCW1"
HEAD = struct.Struct(">4sQQ")  # magic, bytes of the header, bytes of the arrays
LARGEST_HEADER = 4 << 20
LARGEST_BODY = 64 << 20
KINDS = "biufc"  # of the arrays that may travel: truth values, integers, floating and complex numbers


class WireError(ValueError):
    """A message is none, or a value cannot travel."""


def pack(value: object) -> bytes:
    """A message. Arrays, numbers, strings, None, and lists, tuples and dicts of these can travel; tensors as arrays.

    Raises
    ------
    WireError
        Something else is in it, named by its type; or there is too much.
    """
    arrays: list[np.ndarray] = []
    try:
        header = json.dumps(_encoded(value, arrays)).encode()
    except RecursionError:
        raise WireError("a value nested too deeply") from None
    body = b"".join(a.tobytes() for a in arrays)
    if len(header) > LARGEST_HEADER or len(body) > LARGEST_BODY:
        raise WireError(f"{len(header) + len(body)} bytes at once; at most {LARGEST_BODY} fit")
    return HEAD.pack(MAGIC, len(header), len(body)) + header + body


def sizes(head: bytes) -> tuple[int, int]:
    """Bytes of header and body that follow the first ``HEAD.size`` bytes of a message."""
    magic, header, body = HEAD.unpack(head)
    if magic != MAGIC or header > LARGEST_HEADER or body > LARGEST_BODY:
        raise WireError("this is no message")
    return header, body


def unpack(header: bytes, body: bytes) -> object:
    """What :func:`pack` was given. Raises WireError for anything but a sound message."""
    try:
        value, used = _decoded(json.loads(header), body, 0)
    except (ValueError, TypeError, KeyError, AttributeError, IndexError, RecursionError, OverflowError) as error:
        raise WireError(f"a damaged message: {error}") from None
    if used != len(body):
        raise WireError("a damaged message: numbers are left over")
    return value


def through(value: object) -> object:
    """What arrives on the other side."""
    message = pack(value)
    header, _ = sizes(message[: HEAD.size])
    return unpack(message[HEAD.size : HEAD.size + header], message[HEAD.size + header :])


def _encoded(value: object, arrays: list[np.ndarray]) -> object:
    if value is None or isinstance(value, (bool, str)):
        return value
    if isinstance(value, (int, float)) and not isinstance(value, np.generic):
        return value
    if isinstance(value, list):
        return [_encoded(v, arrays) for v in value]
    if isinstance(value, tuple):
        return {"tuple": [_encoded(v, arrays) for v in value]}
    if isinstance(value, dict):
        return {"dict": [[_encoded(k, arrays), _encoded(v, arrays)] for k, v in value.items()]}
    scalar = isinstance(value, np.generic)
    array = np.asarray(value) if scalar else getattr(value, "data", None) if _is_tensor(value) else value
    if not isinstance(array, np.ndarray):
        raise WireError(f"{type(value).__name__} cannot be handed over; arrays, numbers, strings, lists and dicts can")
    if array.dtype.kind not in KINDS or array.dtype.itemsize > 16 or array.dtype == np.longdouble:
        raise WireError(f"an array of {array.dtype} cannot be handed over; one of numbers can (a ragged list?)")
    array = np.ascontiguousarray(array).reshape(array.shape).astype(array.dtype.newbyteorder("<"), copy=False)
    arrays.append(array)
    return {"array": array.dtype.str, "shape": list(array.shape), "scalar": scalar}


def _is_tensor(value: object) -> bool:
    return any(cls.__name__ == "Tensor" for cls in type(value).__mro__)


def _decoded(value, body: bytes, used: int):
    """The value, and how much of the body has been used."""
    if not isinstance(value, (list, dict)):
        return value, used
    if isinstance(value, list):
        parts = []
        for one in value:
            part, used = _decoded(one, body, used)
            parts.append(part)
        return parts, used
    if "tuple" in value:
        parts, used = _decoded(value["tuple"], body, used)
        return tuple(parts), used
    if "dict" in value:
        pairs, used = _decoded(value["dict"], body, used)
        return {key: one for key, one in pairs}, used
    dtype, shape = np.dtype(str(value["array"])), [int(n) for n in value["shape"]]
    if dtype.kind not in KINDS or min(shape, default=0) < 0 or len(shape) > 32:
        raise WireError("a damaged message: an array that cannot be")
    size = math.prod(shape) * dtype.itemsize
    if used + size > len(body):
        raise WireError("a damaged message: numbers are missing")
    array = np.frombuffer(body, dtype, math.prod(shape), used).reshape(shape).copy()
    return (array[()] if value["scalar"] else array), used + size
