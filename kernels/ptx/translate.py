"""A PTX text as C++ that the simulator's runtime runs, with its scheduler and its checker.

Registers become local variables, branches become ``goto``, a block's shared memory becomes thread-local memory (see
``kernels/sim/runtime/cuda.h``), and each line knows which line of the .cu file it came from.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from .body import BITS, Body, identifier
from .parse import BYTES, Unsupported, Variable, parse


@dataclass(frozen=True)
class Translation:
    """C++ for a PTX text.

    Attributes
    ----------
    text : str
        To be compiled together with ``kernels/sim/runtime`` and ``ptx.h``; it has a table of the kernels at its end.
    kernels : dict of str to tuple of int
        Name in PTX -> bytes of each parameter.
    """

    text: str
    kernels: dict[str, tuple[int, ...]]


def dynamic_names(text: str) -> tuple[str, ...]:
    """Arrays in shared memory whose size comes with the launch: ``.extern .shared .align 16 .b8 name[];``."""
    return tuple(sorted({v.name for v in parse(text).variables if v.space == "shared" and v.external}))


def translate(text: str, filename: str, names: dict[str, str] | None = None, storage: str = "") -> Translation:
    """Translate.

    Parameters
    ----------
    text : str
        PTX.
    filename : str
        Of the .cu file whose lines reports shall name, as far as ``.loc`` tells them; else those of the PTX.
    names : dict of str to str, optional
        What a kernel is called in C++ -> in PTX, as NVRTC tells it; without it, all kernels by their names in PTX.
    storage : str
        The C++ name of the array behind dynamic shared memory; "" if there is none.

    Raises
    ------
    Unsupported
        The text holds what is not known here.
    """
    program = parse(text)
    variables = {v.name: v for v in program.variables}
    functions = {f.name: f for f in program.functions if not f.entry}
    shown = re.sub(r'["\\\n]', "_", filename)
    bodies = [Body(f, variables, functions, program.files, shown) for f in program.functions]
    made = [body.text() for body in bodies]  # which also finds the variables inside of them
    head = [_variable(identifier(v.name), v) for v in program.variables]
    head += [_variable(name, v) for body in bodies for name, v in body.shared]
    head += [body.prototype() for body in bodies if not body.function.entry]
    kernels = {f.name: tuple(p.bytes for p in f.parameters) for f in program.functions if f.entry}
    wanted = names or {name: name for name in kernels}
    most = {f.name: f.most_threads for f in program.functions}
    entries = "".join(f'SIM_KERNEL("{n}", {most[in_ptx]}, {identifier(in_ptx)})' for n, in_ptx in wanted.items())
    dynamic = f"extern thread_local unsigned char {storage}[];\n" if storage else ""
    dynamic += f"#define dynamic {f'uint64_t(&{storage}[0])' if storage else 'uint64_t(0)'}\n"
    table = f"sim::Entry sim_table[] = {{ {entries} {{nullptr, nullptr, nullptr, 0}}}};\n"
    text = f'#include "cuda.h"\n#include "ptx.h"\n{dynamic}{"".join(head)}{"".join(made)}{table}'
    return Translation(text, kernels)


def _variable(made: str, variable: Variable) -> str:
    """Memory that belongs to the program, or to a block."""
    if variable.external:
        if variable.space != "shared":
            raise Unsupported(variable.line, f"{variable.name} is declared as .extern, so it lies in another program")
        return ""
    kind = "static thread_local" if variable.space == "shared" else "static"
    element = BITS[BYTES[variable.type]]
    count = variable.bytes // BYTES[variable.type]
    values = [_initial(part, variable) for part in variable.initial.strip("{} ").split(",") if part.strip()]
    begins = f" = {{{', '.join(values)}}}" if values else ""
    # shared: under its own name, by which reports call it
    label = f' __asm__("{variable.name}")' if variable.space == "shared" else ""
    return f"alignas({variable.align}) {kind} {element} {made}[{count}]{label}{begins};\n"


def _initial(text: str, variable: Variable) -> str:
    text = text.strip()
    if found := re.fullmatch(r"0[fF]([0-9a-fA-F]{8})|0[dD]([0-9a-fA-F]{16})", text):
        return f"0x{found[1] or found[2]}ull"
    if re.fullmatch(r"-?(0x[0-9a-fA-F]+|\d+)", text):
        return f"{BITS[BYTES[variable.type]]}({text}ll)" if text.startswith("-") else f"{text}ull"
    raise Unsupported(variable.line, f"the initial value {text} of {variable.name} is not understood")
