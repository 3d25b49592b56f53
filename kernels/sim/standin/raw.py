"""``RawModule`` and ``RawKernel``: .cu text, compiled by g++ instead of NVRTC, launched in the simulator.

The text is the one that a GPU gets. With :func:`kernels.sim.checking` on, it is compiled with the checker, and runs
on memory that remembers what was written: arrays made before that count as written from end to end.
"""

from __future__ import annotations

import math
import re

from ..build import preprocessed
from ..mode import Way, is_checking, module, way
from ..module import Module
from ..text import without_comments
from . import records
from .arguments import bind, check_geometry
from .cuda import MAX_SHARED, MAX_SHARED_OPT_IN, CUDADriverError
from .shadows import shadowed


class RawModule:
    """CUDA C++ text and its kernels. Compiled when a kernel is first needed.

    Parameters
    ----------
    code
        The text.
    path
        CuPy loads a compiled GPU program from there. There is no GPU, so this is refused.
    options
        A tuple of compiler options; ``-D``, ``-U`` and ``-I`` are used, the rest is NVRTC's business.
    name_expressions
        Kernels that are instances of templates: ``("relu<float>",)``.
    """

    def __init__(
        self,
        *,
        code: str | None = None,
        path: str | None = None,
        options: tuple[str, ...] = (),
        backend: str = "nvrtc",
        translate_cucomplex: bool = False,
        enable_cooperative_groups: bool = False,
        name_expressions=None,
        jitify: bool = False,
    ) -> None:
        if (code is None) == (path is None):
            raise TypeError("Exactly one of `code` and `path` keyword arguments must be given.")
        if path is not None:
            raise ValueError(f"{path} is a GPU's machine code, and the simulator runs text: RawModule(code=...)")
        if not isinstance(code, str) or not isinstance(options, tuple):
            raise TypeError(f"code must be str and options a tuple of str, got {type(code)} and {type(options)}")
        if backend not in ("nvrtc", "nvcc"):
            raise ValueError(f"backend must be 'nvrtc' or 'nvcc', got {backend!r}")
        if name_expressions is not None and backend != "nvrtc":
            raise ValueError("only nvrtc supports retrieving the mangled names for the given name expressions")
        if enable_cooperative_groups:
            raise ValueError("the simulator runs no cooperative groups: blocks cannot wait for each other")
        self.code, self.options, self.backend = code, options, backend
        self.name_expressions = None if name_expressions is None else tuple(name_expressions)
        self._modules: dict[Way, Module] = {}

    @property
    def _text(self) -> str:
        """Without what the preprocessor drops, with what macros make."""
        return preprocessed(self.code, tuple(o for o in self.options if o.startswith(("-D", "-U"))))

    def _module(self) -> Module:
        now = way(is_checking())
        if now not in self._modules:
            names = self.name_expressions or ()
            named = re.match(r'#line 1 "([^"\n]+)"\n', self.code)  # what a text says of its own file
            filename = named[1] if named else "kernel.cu"
            self._modules[now] = module(self.code, filename, tuple(names), self.options, now)
        return self._modules[now]

    def compile(self, log_stream=None) -> None:
        """Compile now instead of at the first launch."""
        self._module().kernels()

    def get_function(self, name: str) -> RawKernel:
        """The kernel of this name: one of ``name_expressions``, or one that is ``extern "C"``.

        Raises
        ------
        CUDADriverError
            If there is none.
        """
        if name not in (self.name_expressions or ()):
            remedy = _why_not_found(self._text, name, self.name_expressions)
            if remedy:
                raise CUDADriverError(f"CUDA_ERROR_NOT_FOUND: named symbol not found: {name}; {remedy}")
        kernel = object.__new__(RawKernel)
        kernel._prepare(self, name)
        return kernel


class RawKernel:
    """One kernel: ``kernel(grid, block, args, shared_mem=0)``.

    ``grid`` and ``block`` are tuples of one to three sizes, ``args`` is a tuple of device arrays and numbers whose
    types are those of the kernel's parameters: ``numpy.float32(x)`` for a ``float``, ``numpy.int32(n)`` for an ``int``.
    """

    def __init__(
        self,
        code: str,
        name: str,
        options: tuple[str, ...] = (),
        backend: str = "nvrtc",
        *,
        translate_cucomplex: bool = False,
        enable_cooperative_groups: bool = False,
        jitify: bool = False,
    ) -> None:
        module = RawModule(
            code=code, options=options, backend=backend, enable_cooperative_groups=enable_cooperative_groups
        )
        self._prepare(module, name)

    def _prepare(self, module: RawModule, name: str) -> None:
        self._raw_module, self.name, self.__name__ = module, name, name
        self.code, self.options, self.backend = module.code, module.options, module.backend
        self._most_shared = MAX_SHARED

    @property
    def max_dynamic_shared_size_bytes(self) -> int:
        """How much dynamic shared memory a launch may ask for; set it to be allowed more than 48 KB."""
        return self._most_shared

    @max_dynamic_shared_size_bytes.setter
    def max_dynamic_shared_size_bytes(self, nbytes: int) -> None:
        if not 0 <= nbytes <= MAX_SHARED_OPT_IN:
            raise CUDADriverError(
                f"CUDA_ERROR_INVALID_VALUE: invalid argument: {nbytes} bytes of shared memory; the largest GPUs give a "
                f"block {MAX_SHARED_OPT_IN}"
            )
        self._most_shared = int(nbytes)

    def compile(self, log_stream=None) -> None:
        """Compile now instead of at the first launch."""
        self._raw_module.compile()

    def __call__(self, grid, block, args, *, shared_mem: int = 0) -> None:
        """Run the kernel to its end.

        Raises
        ------
        TypeError, ValueError, CUDADriverError
            If an argument or a size is wrong; see :mod:`.arguments`.
        KernelFault
            If the kernel does something wrong.
        """
        check_geometry(self.name, grid, block, shared_mem, self._most_shared)
        module = self._raw_module._module()
        try:
            signature = module.signature(self.name)
        except KeyError:
            remedy = _why_not_found(self._raw_module._text, self.name, ()) or "the text has no such kernel"
            raise CUDADriverError(f"CUDA_ERROR_NOT_FOUND: named symbol not found: {self.name}; {remedy}") from None
        most = module.most_threads(self.name)
        if most is not None and math.prod(block) > most:
            raise CUDADriverError(
                f"CUDA_ERROR_INVALID_VALUE: invalid argument: kernel {self.name} is declared with "
                f"__launch_bounds__({most}), and a block of this launch has {math.prod(block)} threads"
            )
        values = bind(self.name, signature, args)
        grid, block = tuple(map(int, grid)), tuple(map(int, block))
        records.launches.add(records.Launch(self.name, grid, block, int(shared_mem)))
        with shadowed(module, args, values) as values:
            module.launch(self.name, grid, block, values, shared_mem=int(shared_mem))


def _why_not_found(code: str, name: str, name_expressions) -> str | None:
    """Why NVRTC's program would have no kernel of this name, and what to do; None if it may have one."""
    bare = name.partition("<")[0]
    text = without_comments(code)
    known = f"name_expressions are {name_expressions}" if name_expressions else "there are no name_expressions"
    if not re.search(rf"\b{re.escape(bare)}\s*\(", text):
        return f"the text has no kernel {bare}"
    if "<" in name:
        return f"instances of templates must be listed in name_expressions=({name!r},); {known}"
    if not re.search(r'extern\s+"C"', text):
        return f'C++ changes the names of functions: write extern "C" before the kernel, or list it; {known}'
    return None
