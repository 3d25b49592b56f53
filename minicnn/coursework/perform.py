"""What is done with a submission: it is loaded, its functions are called, its layers are run. Nothing is judged here.

This runs where the submission runs: in a process of its own (``child.py``), or in a notebook (``notebook.py``).
"""

from __future__ import annotations

import contextlib
import importlib
import linecache
import traceback
import types
from collections.abc import Iterator

import numpy as np

from .. import random
from ..autograd import Function
from ..ops.registry import FUNCTIONS
from ..tensor import Tensor
from .wire import WireError, pack

LONGEST = 800  # characters of a message of an error
_own: set[str] = set()  # names of the files that were loaded


class Forbidden(RuntimeError):  # noqa: N818 - read by students: "Forbidden: this is the op you were asked to write"
    """The submission used what it was asked to write."""


def load(source: str, filename: str) -> dict:
    """Run the submission's text; the names that it defines."""
    module = types.ModuleType("submission")
    module.__file__ = filename
    _own.add(filename)
    linecache.cache[filename] = (len(source), None, source.splitlines(True), filename)  # for the lines in tracebacks
    exec(compile(source, filename, "exec"), module.__dict__)
    return module.__dict__


@contextlib.contextmanager
def forbidding(names: tuple[str, ...]) -> Iterator[None]:
    """In this block the ops and kernels of these names raise: "this is the op you were asked to write"."""
    from .. import kernels
    from ..kernels import plain  # noqa: F401 - loads the plain room

    put_back = []
    for name in names:
        function, kernel = FUNCTIONS.get(name), kernels.KERNELS.get(name)
        if function is not None:
            put_back.append((FUNCTIONS.__setitem__, name, function))
            FUNCTIONS[name] = _refusing(name)
        if kernel is not None:
            put_back.append((kernel._functions.__setitem__, "plain", kernel.function("plain")))
            kernel._functions["plain"] = _refusal(name)
            room = importlib.import_module(f"{kernels.__name__}.plain.{kernel.file}")
            put_back.append((lambda n, f, room=room: setattr(room, n, f), name, getattr(room, name)))
            setattr(room, name, _refusal(name))
    try:
        yield
    finally:
        for put, name, before in reversed(put_back):
            put(name, before)


def _refusal(name: str):
    def refuse(*arguments, **options):
        raise Forbidden(f"this is the op you were asked to write: {name} cannot be used here")

    return refuse


def _refusing(name: str) -> type[Function]:
    return type(
        "Refused", (Function,), {"forward": staticmethod(_refusal(name)), "apply": staticmethod(_refusal(name))}
    )


def perform(request: dict, names: dict) -> dict:
    """One request of the grader. The reply has ``value``, ``changed`` (arguments changed in place), or ``error``."""
    try:
        value, changed = _ACTIONS[request["do"]](request, names)
        pack(value)  # else what cannot travel is found out too late
        return {"value": value, "changed": changed}
    except WireError as error:
        return {"error": {"type": "WireError", "message": f"{request.get('name', 'it')} returned {error}"}}
    except KeyboardInterrupt:  # a student's, in a notebook
        raise
    except BaseException as error:  # also SystemExit: the submission's own business ends here
        return {"error": described(error)}


def described(error: BaseException) -> dict:
    """Type, message and the last line of the submission that an error went through."""
    try:
        message = str(error)[:LONGEST]
    except Exception as second:  # a __str__ of the submission's own
        message = f"(its message cannot be read: {type(second).__name__})"
    found = {"type": type(error).__name__, "message": message, "line": None, "code": ""}
    if isinstance(error, SyntaxError):
        return {**found, "message": str(error.msg), "line": error.lineno, "code": (error.text or "").strip()[:200]}
    lines = [f for f in traceback.extract_tb(error.__traceback__) if f.name != "perform" and _is_own(f.filename)]
    if lines:
        found |= {"line": lines[-1].lineno, "code": (lines[-1].line or "")[:200]}
    return found


def _is_own(filename: str) -> bool:
    return filename in _own or "ipykernel" in filename  # or a cell of a notebook


# The requests --------------------------------------------------------------------------------------------------------
def _call(request: dict, names: dict) -> tuple[object, list[str]]:
    function = _named(request["name"], names)
    args, kwargs = request["args"], request["kwargs"]
    before, named_before = _copied(args), _copied(kwargs)
    value = function(*args, **kwargs)
    return value, _changed(before, args) + _changed(named_before, kwargs)


def _value(request: dict, names: dict) -> tuple[object, list[str]]:
    return _named(request["name"], names), []


def _module(request: dict, names: dict) -> tuple[object, list[str]]:
    """Make a layer of the submission's, give it numbers, run it there and back."""
    random.manual_seed(request["seed"])
    layer = _named(request["name"], names)(*request["args"], **request["kwargs"])
    if request["state"] is not None:
        layer.load_state_dict(request["state"])
    layer.train(request["training"])
    inputs = [Tensor(a, a.dtype.kind == "f") for a in request["inputs"]]
    before = [a.copy() for a in request["inputs"]]
    value = {"shapes": {n: tuple(p.shape) for n, p in layer.named_parameters()}}
    value["layers"] = {path: type(m).__name__ for path, m in layer.named_modules() if path}
    if inputs:
        out = layer(*inputs)
        value["output"] = out
        if request["upstream"] is not None:
            out.backward(request["upstream"])
            value["input_grads"] = [t.grad for t in inputs]
            value["grads"] = {n: p.grad for n, p in layer.named_parameters()}
    value["state"] = layer.state_dict()
    return value, _changed([before], [request["inputs"]])


_ACTIONS = {"call": _call, "value": _value, "module": _module}


def _named(name: str, names: dict):
    if name not in names:
        raise NameError(f"{name} is not defined in this file; keep the names of the stub")
    return names[name]


def _copied(value):
    if isinstance(value, np.ndarray):
        return value.copy()
    if isinstance(value, (list, tuple)):
        return [_copied(v) for v in value]
    return {k: _copied(v) for k, v in value.items()} if isinstance(value, dict) else value


def _changed(before, after, name: str = "") -> list[str]:
    """Which arguments are no longer what they were: "0", "1.2", "1.mean", "key" ..."""
    if isinstance(before, np.ndarray):
        same = isinstance(after, np.ndarray) and np.array_equal(before, after, equal_nan=before.dtype.kind in "fc")
        return [] if same else [name]
    if isinstance(before, dict):
        pairs = [(k, v, after.get(k)) for k, v in before.items()]
    elif isinstance(before, list):
        pairs = [(i, v, after[i] if i < len(after) else None) for i, v in enumerate(before)]
    else:
        return []
    return [found for key, one, other in pairs for found in _changed(one, other, f"{name}.{key}".lstrip("."))]
