"""From C++ to a library that Python can load: g++, and a cache of what it has made."""

from __future__ import annotations

import functools
import hashlib
import os
import pathlib
import platform
import re
import shutil
import subprocess
import sys
import tempfile

RUNTIME = pathlib.Path(__file__).parent / "runtime"
INTEL = platform.machine() in ("x86_64", "AMD64")


class CompileError(RuntimeError):
    """g++ refused a .cu file; the message holds what it said, with the lines of that file."""


def why_not() -> str | None:
    """Why the simulator cannot run here, in one sentence with the remedy; None if it can."""
    if sys.platform != "linux":
        return f"the simulator of CUDA runs on Linux only, and this is {platform.system()}; WSL2 and Colab are Linux"
    if compiler() is None:
        return f"the simulator of CUDA compiles kernels with {_wanted()}, which is not there: apt install g++"
    return None


def _wanted() -> str:
    return os.environ.get("MINICNN_CXX", "g++")


def compiler() -> str | None:
    """The path of g++, or of what MINICNN_CXX names."""
    return shutil.which(_wanted())


def folder() -> pathlib.Path:
    """Where compiled kernels are kept; it may be deleted at any time."""
    base = os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache"
    return pathlib.Path(base) / "minicnn" / "sim"


@functools.cache
def runtime_text() -> dict[str, str]:
    """The files that every compilation sees."""
    return {path.name: path.read_text(encoding="utf-8") for path in sorted(RUNTIME.iterdir())}


def library(name: str, files: dict[str, str], options: tuple[str, ...], shown: str = "") -> pathlib.Path:
    """Compile the one .cpp among ``files`` to a shared library, unless that was done before.

    Parameters
    ----------
    name : str
        Begins the library's name.
    files : dict of str to str
        Name and text of all files that the compilation needs.
    options : tuple of str
    shown : str
        The name of the .cu file, for messages.

    Raises
    ------
    CompileError
    """
    if why := why_not():
        raise CompileError(why)
    path = compiler()
    stamp = os.stat(path)  # another g++ makes other code
    machine = (path, stamp.st_size, stamp.st_mtime, _processor())
    key = hashlib.sha256(repr((machine, options, sorted(files.items()))).encode())
    made = folder() / f"{name}-{key.hexdigest()[:20]}.so"
    if not _sound(made):
        made.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=made.parent) as work:
            _compile(path, pathlib.Path(work), files, options, shown)
            os.replace(pathlib.Path(work) / "made.so", made)  # two processes that do this at once do no harm
    return made


@functools.cache
def _processor() -> str:
    """What this processor can do: code for it (-march=native) may not run on another that shares the folder."""
    with open("/proc/cpuinfo", encoding="utf-8") as file:
        return next((line for line in file if line.startswith(("flags", "Features"))), platform.machine())


def _sound(path: pathlib.Path) -> bool:
    """Whether a library is there and whole: the last bytes of an ELF file are its table of sections."""
    try:
        with open(path, "rb") as file:
            head = file.read(64)
            table, entry, count = (
                int.from_bytes(head[40:48], "little"),
                int.from_bytes(head[58:60], "little"),
                int.from_bytes(head[60:62], "little"),
            )
            return head[:4] == b"\x7fELF" and file.seek(0, 2) >= table + entry * count
    except OSError:
        return False


def _compile(path: str, work: pathlib.Path, files: dict[str, str], options: tuple[str, ...], shown: str) -> None:
    for name, text in files.items():
        (work / name).write_text(text, encoding="utf-8")
    source = next(name for name in files if name.endswith(".cpp"))
    # two commands: with -fsanitize=thread the linker would add ThreadSanitizer, whose place our checker takes
    for command in (
        ["-std=c++17", "-fPIC", "-I.", *options, "-c", source, "-o", "made.o"],
        ["-shared", "-pthread", "made.o", "-o", "made.so", "-ldl"],
    ):
        done = subprocess.run([path, *command], cwd=work, capture_output=True, text=True, check=False)
        if done.returncode:
            raise CompileError(_first_errors(done.stderr, shown))


def _first_errors(said: str, shown: str) -> str:
    """The first errors of the compiler, with the line that each is about."""
    lines, found, left = said.splitlines(), [], 0
    for line in lines:
        if re.search(r"\b(fatal )?error: ", line):
            if len(found) >= 16:
                break
            left = 3
        if left:
            found.append(line)
            left -= 1
    return f"{shown or 'the runtime'} does not compile:\n" + "\n".join(found or lines[:10])
