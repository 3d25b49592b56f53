"""PTX in the simulator: a text of PTX as a module, and a .cu text that goes through NVIDIA's compiler first."""

from __future__ import annotations

import functools
import os
import re
from collections.abc import Sequence
from pathlib import Path

from ..sim import build
from ..sim import module as sim
from ..sim.parameters import Parameter
from .translate import Translation, dynamic_names, translate

# Products are not taken into sums: where the GPU does so, the PTX says it. Whole numbers wrap around, as PTX's do.
ARITHMETIC = ("-ffp-contract=off", "-fwrapv", "-w", "-I.")
FAST = ("-O1", "-march=native", "-g1", "-fno-math-errno")
CHECK = ("-Og", "-g", "-DSIM_CHECK", "-fsanitize=thread")
_HEADER = Path(__file__).with_name("ptx.h")


class PtxModule(sim.Module):
    """The kernels of a PTX text, with the interface of :class:`kernels.sim.module.Module`.

    Parameters
    ----------
    text : str
    filename : str
        The .cu file that it was made of, for messages.
    names : dict of str to str, optional
        What a kernel is called in C++ -> in PTX.
    check : bool

    Notes
    -----
    PTX tells a parameter's size and not its type: :meth:`signature` calls them unsigned numbers.
    """

    flushing = 0  # each instruction says whether it does

    def __init__(
        self, text: str, filename: str = "kernel.cu", names: dict[str, str] | None = None, check: bool = False
    ) -> None:
        super().__init__(text, filename, check=check)
        self.filename, self._lowered = filename, names

    @functools.cached_property
    def _dynamic_names(self) -> tuple[str, ...]:
        return dynamic_names(self.source)

    @functools.cached_property
    def translation(self) -> Translation:
        """The C++. Raises Unsupported."""
        storage = sim._storage(self._dynamic_names, self._dynamic_names[0]) if self._dynamic_names else ""
        return translate(self.source, self.filename, self._lowered, storage)

    @functools.cached_property
    def path(self) -> os.PathLike:
        """The compiled library. Raises Unsupported."""
        files = {name: text for name, text in build.runtime_text().items() if name.endswith(".h")}
        files |= {"kernels.cpp": self.translation.text, "ptx.h": _HEADER.read_text(encoding="utf-8")}
        options = (*sim.COMMON, *sim.TLS, *ARITHMETIC, *(CHECK if self.check else FAST))
        return build.library("ptx", files, options, self.filename)


class NvidiaModule(sim.Module):
    """A .cu text whose kernels run as what NVRTC compiled them to, for one architecture.

    g++ compiles it, too: what types the parameters have, PTX does not say.
    """

    def __init__(
        self, source: str, filename: str = "kernel.cu", names: Sequence[str] = (), options: Sequence[str] = (),
        check: bool = False, arch: str = "sm_90",
    ) -> None:  # fmt: skip
        super().__init__(source, filename, names, options, check=False)
        self.check, self.arch, self._given = check, arch, (source, filename, tuple(names), tuple(options))

    @functools.cached_property
    def _typed(self) -> sim.Module:
        return sim.Module(*self._given)

    @functools.cached_property
    def ptx(self) -> PtxModule:
        """The kernels of the PTX.

        Raises
        ------
        CompileError
            NVRTC refuses the text, is not installed, or makes what is not known here.
        """
        from ..nvrtc import compiler, library

        wanted = {k.name: k.inside for k in self._found.values() if k.template is None}
        wanted |= {name: name for name in self.names}
        defined = tuple(option for option in self.options if re.match("-[DU]", option))
        try:
            made = compiler.compile(
                self.source, self.filename, tuple(wanted.values()), self.arch,
                (*compiler.CUPY, *defined, "--generate-line-info"), warnings_are_errors=False,
            )  # fmt: skip
        except (compiler.CompileError, library.CompilerUnavailable, ValueError) as error:
            raise build.CompileError(str(error)) from error
        names = {name: made.names[inside] for name, inside in wanted.items()}
        module = PtxModule(made.ptx, self.filename, names, self.check)
        self._compare_sizes(module)
        return module

    def _compare_sizes(self, module: PtxModule) -> None:
        for name in module.kernels():
            ours = [8 if p.pointer else p.size for p in self.signature(name)]
            theirs = [p.size for p in module.signature(name)]
            if ours != theirs:
                raise build.CompileError(f"{name}: the parameters have {ours} bytes for g++, and {theirs} for NVRTC")

    def kernels(self) -> list[str]:
        """Names of all kernels."""
        return self.ptx.kernels()

    def compile(self) -> None:
        """Compile it now, not when the first kernel is asked for. Raises CompileError."""
        self.ptx.compile()

    def signature(self, name: str) -> tuple[Parameter, ...]:
        """The parameters of a kernel, from C++. Raises KeyError if there is none of this name."""
        return self._typed.signature(name)

    def most_threads(self, name: str) -> int | None:
        """How many threads of a block ``__launch_bounds__`` allows a kernel; None if it says nothing."""
        return self.ptx.most_threads(name)

    def launch(self, name: str, *arguments, **options) -> None:
        """As :meth:`kernels.sim.module.Module.launch`."""
        self.ptx.launch(name, *arguments, **options)
