"""The stand-in against the really installed CuPy, which imports without a GPU: names, parameters, layouts, errors.

What runs a kernel of CuPy's cannot be tried without a GPU. But views, strides and refusals need none, if an array is
laid over host memory.
"""

from __future__ import annotations

import inspect
import re

import numpy as np
import pytest

from minicnn.kernels import sim
from minicnn.kernels.sim import standin as xp

cupy = pytest.importorskip(
    "cupy", reason="CuPy is not installed (cupy-cuda13x imports without a GPU)", exc_type=ImportError
)
OURS = {"allocations", "launches", "operations", "transfers"}  # what CuPy has not
NAMES = [name for name in xp.__all__ if name not in OURS]
FUNCTIONS = [name for name in NAMES if inspect.isfunction(getattr(xp, name)) and name != "size"]  # size tells nothing


def public(thing) -> set[str]:
    return {name for name in dir(thing) if not name.startswith("_")}


def test_every_name_is_cupys():
    """Code that runs on the stand-in finds all its names in CuPy."""
    assert [name for name in NAMES if not hasattr(cupy, name)] == []
    assert not any(hasattr(cupy, name) for name in OURS)
    assert int(cupy.__version__.split(".")[0]) == int(xp.__version__.split(".")[0])


@pytest.mark.parametrize("name", ["inf", "nan", "pi", "e", "newaxis"])
def test_constants_are_equal(name):
    """inf, pi and their like."""
    ours, theirs = getattr(xp, name), getattr(cupy, name)
    assert ours is theirs or ours == theirs or (ours != ours and theirs != theirs)


@pytest.mark.parametrize("name", xp.FROM_NUMPY)
def test_what_is_numpys_is_numpys(name):
    """Types are NumPy's own, so that x.dtype == xp.float32 means the same."""
    if inspect.isclass(getattr(cupy, name)):
        assert getattr(xp, name) is getattr(cupy, name)


@pytest.mark.parametrize(
    ("path", "beyond"),
    [
        ("ndarray", set()),
        ("RawModule", set()),
        ("RawKernel", set()),
        ("cuda.Stream", set()),
        ("cuda.Event", set()),
        ("cuda.Device", set()),
        ("cuda.MemoryPool", set()),
        ("cuda.MemoryPointer", set()),
        ("cuda.memory.BaseMemory", set()),
        ("random.RandomState", set()),
        ("random.Generator", set()),
    ],
)
def test_attributes_of_classes(path, beyond):
    """A method or attribute that CuPy's class lacks would fail on a GPU only."""
    ours, theirs = xp, cupy
    for part in path.split("."):
        ours, theirs = getattr(ours, part), getattr(theirs, part)
    assert public(ours) - public(theirs) == beyond


@pytest.mark.parametrize("path", ["cuda.runtime", "cuda.driver", "cuda.memory", "linalg", "random", "cuda"])
def test_names_of_modules(path):
    """The same for modules, as far as they have names of their own."""
    ours, theirs = xp, cupy
    for part in path.split("."):
        ours, theirs = getattr(ours, part), getattr(theirs, part)
    assert [name for name in getattr(ours, "__all__", public(ours)) if not hasattr(theirs, name)] == []


def test_special_methods():
    """Operators and protocols: all that ours has, CuPy's has; and CuPy has no __index__ and no @= either."""
    defined = {name for cls in xp.ndarray.__mro__[:-1] for name in vars(cls) if name.startswith("__")}
    defined -= {"__module__", "__dict__", "__weakref__", "__annotations__", "__qualname__", "__firstlineno__"}
    defined -= {"__static_attributes__"}
    assert sorted(name for name in defined if not hasattr(cupy.ndarray, name)) == []
    for name in ("__index__", "__imatmul__", "__contains__", "__array_interface__"):
        assert not hasattr(cupy.ndarray, name) and not hasattr(xp.ndarray, name)


def parameters(function) -> list[tuple]:
    """Names, defaults and kinds."""
    return [(p.name, p.default, p.kind) for p in inspect.signature(function).parameters.values()]


def wrong_parameters(ours: list[tuple], theirs: list[tuple]) -> bool:
    same_types = {float: np.float64, int: np.int64}
    if len(ours) != len(theirs):
        return True
    for (name, default, kind), (their_name, their_default, their_kind) in zip(ours, theirs):
        default, their_default = (same_types.get(d, d) if inspect.isclass(d) else d for d in (default, their_default))
        if (name, kind) != (their_name, their_kind) or (default is not their_default and default != their_default):
            return True
    return False


@pytest.mark.parametrize("name", FUNCTIONS)
def test_parameters_of_functions(name):
    """The same parameters in the same order, with the same defaults."""
    ours, theirs = parameters(getattr(xp, name)), parameters(getattr(cupy, name))
    assert not wrong_parameters(ours, theirs), f"ours {ours}, CuPy's {theirs}"


DOCUMENTED = re.compile(r"^_ndarray_base\.\w+\(self(?:, )?(.*)\)(?: ->.*)?$")


def documented(name: str) -> list[tuple[str, str | None]] | None:
    """Names and defaults of a method of CuPy's array, from the line that Cython put into its documentation."""
    line = (getattr(cupy.ndarray, name).__doc__ or "").partition("\n")[0]
    match = DOCUMENTED.match(line)
    if match is None:
        return None
    found = []
    for part in filter(None, match[1].split(", ")):
        name, _, default = part.partition("=")
        found.append((name.split()[-1], default or None))
    return found


@pytest.mark.parametrize("name", sorted(n for n in public(xp.ndarray) if inspect.isfunction(getattr(xp.ndarray, n))))
def test_parameters_of_methods(name):
    """As for functions; Cython tells only names and how defaults are written."""
    theirs = documented(name)
    if theirs is None:  # a method written in Python
        theirs = [
            (p, None if d is inspect.Parameter.empty else repr(d))
            for p, d, _ in parameters(getattr(cupy.ndarray, name))
        ]
        theirs = [entry for entry in theirs if entry[0] != "self"]
    ours = [
        (
            ("*" if kind == inspect.Parameter.VAR_POSITIONAL else "") + p,
            None if d is inspect.Parameter.empty else repr(d),
        )
        for p, d, kind in parameters(getattr(xp.ndarray, name))[1:]
    ]
    assert ours == theirs


@pytest.mark.parametrize("name", sorted(xp.ufuncs.UFUNCS))
def test_ufuncs(name):
    """Element-wise functions are ufuncs on both sides, of as many operands."""
    ours, theirs = getattr(xp, name), getattr(cupy, name)
    assert isinstance(theirs, cupy.ufunc) and (ours.nin, ours.nout) == (theirs.nin, theirs.nout)
    assert ours.__name__ == theirs.__name__ or getattr(cupy, ours.__name__) is theirs
    assert public(ours) - public(theirs) == set()


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (xp.cuda.CUDADriverError, cupy.cuda.driver.CUDADriverError),
        (xp.cuda.CUDARuntimeError, cupy.cuda.runtime.CUDARuntimeError),
        (xp.cuda.OutOfMemoryError, cupy.cuda.memory.OutOfMemoryError),
    ],
)
def test_error_classes(ours, theirs):
    """What catches CuPy's errors catches ours."""
    assert ours.__name__ == theirs.__name__ and ours.__mro__[1:] == theirs.__mro__[1:]


# -------------------------------------------------------------------- arrays, without a GPU
def on_the_host(host: np.ndarray):
    """CuPy's array over host memory: enough for everything that runs no kernel."""
    memory = cupy.cuda.memory.UnownedMemory(host.ctypes.data, host.nbytes, host, 0)
    return cupy.ndarray(host.shape, host.dtype, cupy.cuda.MemoryPointer(memory, 0))


needs_simulator = pytest.mark.skipif(sim.why_not() is not None, reason=str(sim.why_not()))
VIEWS = [
    "a", "a.T", "a.T.T", "a[0]", "a[1, 2]", "a[0, 0, 0]", "a[:, ::2]", "a[..., None]", "a[::-1]", "a[:, 1:][0]",
    "a[...]", "a[:, :0]", "a[()]", "a[None]", "a.mT", "a[0, 0].T", "a.reshape(6, 4)", "a.reshape(-1)",
    "a.reshape((4, 6))", "a.reshape(2, 3, 2, 2)", "a.reshape(1, 2, 3, 4)", "a.ravel()",
    "a[:, :, ::2].reshape(2, 3, 2, 1)", "a.transpose(0, 2, 1)", "a.transpose((2, 0, 1))", "a.transpose([1, 2, 0])",
    "a.transpose()", "a.swapaxes(0, 2)", "a.view('f8')", "a.view('i4')", "a.view()", "a.diagonal()",
    "a.diagonal(1, 1, 2)", "a.real", "xp.broadcast_to(a, (5, 2, 3, 4))", "xp.expand_dims(a, (0, 3))",
    "xp.moveaxis(a, 0, -1)", "xp.rollaxis(a, 2)", "xp.flip(a, 1)", "xp.flip(a)", "xp.transpose(a)",
    "xp.swapaxes(a, 0, 1)", "xp.diagonal(a, 0, 1, 2)", "xp.rot90(a)", "xp.permute_dims(a, (1, 0, 2))",
    "np.moveaxis(a, 0, 1)", "np.broadcast_to(a, (5, 2, 3, 4))", "np.transpose(a, (1, 0, 2))",
    "xp.matrix_transpose(a)", "a.astype('f', copy=False)", "xp.ascontiguousarray(a)", "a[-1, ..., 1]", "a[1:0]",
    "a[:, None, 1]", "a[True and 0]",
]  # fmt: skip


def evaluate(code: str, module):
    host = np.arange(24, dtype=np.float32).reshape(2, 3, 4)
    a = on_the_host(host) if module is cupy else xp.asarray(host)
    return a, eval(code, {"a": a, "xp": module, "np": np})


@needs_simulator
@pytest.mark.parametrize("code", VIEWS)
def test_views_lie_where_cupys_lie(code):
    """Shape, strides, place in memory, flags and base of every view."""
    described = []
    for module in (xp, cupy):
        a, view = evaluate(code, module)
        flags = view.flags.c_contiguous, view.flags.f_contiguous, view.flags.owndata
        offset = view.data.ptr - a.data.ptr if view.size else None
        described.append(
            (view.shape, view.strides, str(view.dtype), flags, offset, view is a, view.base is a, view.nbytes)
        )
    assert described[0] == described[1]


REFUSED = [
    "np.asarray(a)", "np.array(a)", "a.reshape(5, 5)", "a.reshape(7, -1)", "a.transpose(0, 1)", "a.squeeze(1)",
    "len(a[0, 0, 0])", "iter(a[0, 0, 0])", "hash(a)", "bool(a)", "a.item()", "range(a[0, 0, 0])", "a[5]",
    "a[0, 0, 0, 0]", "a.set(np.zeros((2, 3, 4)))", "a.set(np.zeros((2, 3), 'f'))", "a.set([1])", "a.fill(np.ones(3))",
    "a[0, 0].mT", "a.__setitem__(0, np.ones(4))", "a.__setitem__((0, 0, 0), [1])", "a.astype(object)",
    "a.astype('U3')", "xp.empty(3, object)", "xp.zeros(3, 'M8[s]')", "xp.ndarray((2, -1))", "a.sum(axis=7)",
    "a.argmax(axis=7)", "a.mean(axis=-4)", "np.insert(a, 0, 0)", "np.add(a, a, where=True)", "xp.add(a, a, foo=1)",
    "xp.RawModule()", "xp.RawModule(code='', path='')", "xp.RawModule(code='', options=['-DX'])", "a.flags['X']",
    "xp.RawModule(code='', backend='nvcc', name_expressions=('f',))", "xp.where(a, a)", "a.sum(foo=2)",
    "a @ np.ones(4)", "xp.stack([np.ones(3)])", "a.sum(out=np.ones(()))", "xp.empty_like(a, subok=True)",
    "xp.expand_dims(a, 7)", "xp.moveaxis(a, 0, 7)", "xp.broadcast_to(a, (3, 4))",
    "a.view('f8')[:, :, 1:].view('c16').view('V3')", "setattr(a.T, 'shape', (24,))", "a.astype('f', order='Z')",
    "a[:, :, 1:].view('f8')", "a.reshape(-1, -1)", "a.transpose(0, 0, 1)", "a.swapaxes(0, 5)", "xp.split(a, 5)",
    "a.reshape((2, 3, 4), order='Z')", "a.nothing", "a.__array_interface__", "a[0:2:0]",
    "xp.copyto(a, np.ones((2, 3, 4)))",
]  # fmt: skip
SAME_WORDS = [
    "np.asarray(a)", "np.array(a)", "a.reshape(5, 5)", "a.set(np.zeros((2, 3, 4)))", "a.set(np.zeros((2, 3), 'f'))",
    "a.set([1])", "a.fill(np.ones(3))", "a.__setitem__(0, np.ones(4))", "bool(a)", "a.item()", "a.astype(object)",
    "len(a[0, 0, 0])", "iter(a[0, 0, 0])", "xp.empty(3, object)", "xp.RawModule()", "xp.where(a, a)", "a[0, 0].mT",
    "np.add(a, a, where=True)", "a.flags['X']", "setattr(a.T, 'shape', (24,))", "a.reshape(7, -1)", "a.squeeze(1)",
    "xp.copyto(a, np.ones((2, 3, 4)))", "xp.ndarray((2, -1))", "xp.empty_like(a, subok=True)",
]  # fmt: skip


@needs_simulator
@pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy keyword")  # of CuPy's
@pytest.mark.parametrize("code", REFUSED)
def test_what_cupy_refuses_is_refused(code):
    """With an error of the same class, or a class that is caught as that one."""
    errors = []
    for module in (xp, cupy):
        with pytest.raises(Exception) as caught:  # noqa: B017 - which one is the question
            evaluate(code, module)
        errors.append(caught.value)
    assert isinstance(errors[0], type(errors[1])), f"ours {errors[0]!r}, CuPy's {errors[1]!r}"
    if code in SAME_WORDS:
        assert str(errors[0]) == str(errors[1])


@needs_simulator
@pytest.mark.parametrize(
    "code",
    [
        "a.__array_priority__", "a.device.id", "len(a)", "np.shape(a)", "np.ndim(a)", "np.size(a)", "repr(a.flags)",
        "np.result_type(a, 1.0)", "xp.get_array_module(a) is xp", "xp.get_array_module(np.ones(1)) is np",
        "xp.may_share_memory(a[0], a[1])", "xp.asnumpy([1, 2]).tolist()", "a.data.device_id",
        "a.flags['C_CONTIGUOUS'], a.T.flags.fnc, a[0].flags.forc", "xp.exp.nin, xp.add.nargs, xp.exp.name",
        "a.itemsize", "a.__array_ufunc__(np.add, '__call__', a, None)",
        "a.__array_ufunc__(np.spacing, '__call__', a)", "str(a.dtype)",
        "a.__array_ufunc__(np.add, 'at', a, (a, a), 1)", "a.__array_function__(np.insert, (type(a),), (a, 0, 0), {})",
        "a.__array_function__(np.zeros_like, (list,), (a,), {})", "xp.result_type(a, np.float64)", "repr(a.device)",
        "int(a.data + 4) - a.data.ptr", "repr(xp.cuda.Device(0))",
    ],
)  # fmt: skip
def test_answers_are_cupys(code):
    """What can be asked of an array without a kernel."""
    assert evaluate(code, xp)[1] == evaluate(code, cupy)[1]
