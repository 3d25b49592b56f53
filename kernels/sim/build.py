"""From C++ to a library that Python can load: g++, and a cache of what it has made."""

from __future__ import annotations

import atexit
import contextlib
import ctypes
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
import time

from ..cache import writable_folder

RUNTIME = pathlib.Path(__file__).parent / "runtime"
INTEL = platform.machine() in ("x86_64", "AMD64")
KEPT = 1000  # compiled libraries in the cache, of some 50 KB each


class CompileError(RuntimeError):
    """g++ refused a .cu file; the message holds what it said, with the lines of that file."""


class DamagedError(CompileError):
    """A compiled library cannot be loaded."""


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


def major_version() -> int:
    """The 12 of g++ 12.2.0; 0 if there is none."""
    path = compiler()
    return 0 if path is None else _major_version(path, os.stat(path).st_mtime)


@functools.cache
def _major_version(path: str, _changed: float) -> int:
    said = subprocess.run([path, "-dumpversion"], capture_output=True, text=True, check=False).stdout
    number = re.match(r"\d+", said)
    return int(number[0]) if number else 0


def folder() -> pathlib.Path:
    """Where compiled kernels are kept; it may be deleted at any time."""
    return _folder(os.environ.get("XDG_CACHE_HOME"), os.environ.get("HOME"))


@functools.cache
def _folder(cache: str | None, home: str | None) -> pathlib.Path:
    place = lambda: (pathlib.Path(cache) if cache else pathlib.Path.home() / ".cache") / "minicnn" / "sim"  # noqa: E731
    found = writable_folder(place, "compiled CUDA kernels", "XDG_CACHE_HOME")
    if found is None:
        found = pathlib.Path(tempfile.mkdtemp(prefix="minicnn-sim-"))
        atexit.register(shutil.rmtree, found, ignore_errors=True)
    return found


@functools.cache
def runtime_text() -> dict[str, str]:
    """The files that every compilation sees."""
    files = (path for path in sorted(RUNTIME.iterdir()) if path.suffix in (".h", ".cpp"))
    return {path.name: path.read_text(encoding="utf-8") for path in files}


@functools.cache
def _processor() -> str:
    """What this processor can do: code made for another one may not run here, and a home folder may serve both."""
    with contextlib.suppress(OSError), open("/proc/cpuinfo", encoding="utf-8", errors="replace") as file:
        for line in file:
            if line.startswith(("flags", "Features")):
                return line
    return platform.machine()


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
    entering = (path, stamp.st_size, stamp.st_mtime, _processor(), LINKING, options, sorted(files.items()))
    key = hashlib.sha256(repr(entering).encode(errors="surrogatepass"))
    made = folder() / f"{name}-{key.hexdigest()[:20]}.so"
    if _sound(made):
        with contextlib.suppress(OSError):  # used now, so not one of the oldest
            os.utime(made, ns=(time.time_ns(), made.stat().st_mtime_ns))
        return made
    made.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=made.parent) as work:
        _compile(path, pathlib.Path(work), files, options, shown)
        with contextlib.suppress(FileNotFoundError):  # it had nothing to say
            os.replace(pathlib.Path(work) / "made.said", made.with_suffix(".said"))
        os.replace(pathlib.Path(work) / "made.so", made)  # two processes that do this at once do no harm
    _prune(made.parent)
    return made


_CHOOSES = re.compile(r"^[ \t]*#[ \t]*(if|define\b(?:[^\n\\]|\\.)*__(global|shared|launch_bounds)__)", re.M | re.S)


@functools.lru_cache(maxsize=64)
def preprocessed(text: str, options: tuple[str, ...] = ()) -> str:
    """What the preprocessor makes of a .cu text, each line in its place: without what ``#if`` drops, macros replaced.

    The text itself if it has no conditions and no macros that make kernels, or if the preprocessor refuses it, which
    the compilation will say. What is included is left out.
    """
    if why_not() or not _CHOOSES.search(text):
        return text
    plain = re.sub(r"^[ \t]*#[ \t]*(include|line)\b[^\n]*", "", text, flags=re.M)
    command = [compiler(), "-E", "-x", "c++", "-std=c++17", "-D__MINICNN_SIM__=1", *options, "-"]
    done = subprocess.run(command, input=plain.encode(errors="surrogatepass"), capture_output=True, check=False)
    if done.returncode:
        return text
    lines, at = {}, 0
    for line in done.stdout.decode(errors="replace").splitlines():
        if marker := re.match(r'# (\d+) "(.*?)"', line):
            at = int(marker[1]) if marker[2] == "<stdin>" else 0
        elif at:
            lines[at] = f"{lines.get(at, '')} {line}" if at in lines else line
            at += 1
    return "\n".join(lines.get(i, "") for i in range(1, max(lines, default=0) + 1))


def load(path: pathlib.Path, shown: str, mode: int = ctypes.DEFAULT_MODE) -> ctypes.CDLL:
    """Load a library that :func:`library` has made.

    Raises
    ------
    CompileError
        It calls a function that is nowhere.
    DamagedError
        It is not what the compiler made, and was deleted.
    """
    try:
        return ctypes.CDLL(str(path), mode=mode)
    except OSError as problem:
        said = str(problem)
        missing = re.search(r"undefined symbol: (\w+)", said)
    if missing:
        name = _in_words(missing[1])
        raise CompileError(f"{shown} cannot be loaded: it calls {name}, which it declares and nobody defines")
    path.unlink(missing_ok=True)
    raise DamagedError(f"{shown} cannot be loaded: {said}")


def perhaps_unset(path: pathlib.Path, shown: str) -> list[tuple[int, str]]:
    """Line and name of local variables of a .cu file that g++ was not sure to have a value there."""
    try:
        said = path.with_suffix(".said").read_text(encoding="utf-8")
    except OSError:
        return []
    pattern = rf"^{re.escape(shown)}:(\d+):\d+: warning: '([^']+)' may be used uninitialized"
    return sorted({(int(line), name) for line, name in re.findall(pattern, said, re.M)})


def _in_words(symbol: str) -> str:
    """A symbol of the linker as C++ writes it: ``_Z3sumPf`` is ``sum(float*)``."""
    program = shutil.which("c++filt")
    if program is None:
        return symbol
    return subprocess.run([program, symbol], capture_output=True, text=True, check=False).stdout.strip() or symbol


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


# -Bsymbolic: a kernel named `index` is the file's own, not the C library's function of that name
LINKING = ("-shared", "-pthread", "-Wl,-Bsymbolic", "made.o", "-o", "made.so", "-ldl", "-lrt")


def _compile(path: str, work: pathlib.Path, files: dict[str, str], options: tuple[str, ...], shown: str) -> None:
    for name, text in files.items():
        (work / name).write_text(text, encoding="utf-8", errors="surrogatepass")
    source = next(name for name in files if name.endswith(".cpp"))
    english = {**os.environ, "LC_ALL": "C"}
    # two commands: with -fsanitize=thread the linker would add ThreadSanitizer, whose place our checker takes
    for command in (["-std=c++17", "-fPIC", "-I.", *options, "-c", source, "-o", "made.o"], LINKING):
        done = subprocess.run([path, *command], cwd=work, env=english, capture_output=True, check=False)
        said = done.stderr.decode(errors="replace")
        if done.returncode:
            raise CompileError(_first_errors(said, shown))
        if said:
            with open(work / "made.said", "a", encoding="utf-8", errors="replace") as file:
                file.write(said)


def _first_errors(said: str, shown: str) -> str:
    """The first errors of the compiler, with the line that each is about."""
    lines = [line for line in said.splitlines() if not line.startswith("cc1plus: ")]
    found, left, errors = [], 0, 0
    for i, line in enumerate(lines):
        if re.search(r"\b(fatal )?error: ", line):
            errors += 1
            if errors > 5:
                break
            # of an error in one of our headers, the lines before say which line of the .cu file led there
            found += [before for before in lines[max(0, i - 4) : i] if before.endswith("required from here")]
            left = 3
        if left:
            found.append(line)
            left -= 1
    return f"{shown or 'the runtime'} does not compile:\n" + "\n".join(found or lines[:10])


def _prune(cache: pathlib.Path) -> None:
    """Delete the libraries that were not used for the longest time, if there are many, and what a crash left behind."""
    with contextlib.suppress(OSError):  # another process may be doing the same
        made = sorted(cache.glob("*.so"), key=lambda file: file.stat().st_atime)
        for file in made[: max(0, len(made) - KEPT)]:
            file.unlink(missing_ok=True)
            file.with_suffix(".said").unlink(missing_ok=True)
        if len(made) % 50 == 0:
            newest = max(file.stat().st_mtime for file in made)
            for leftover in cache.glob("tmp*"):
                if leftover.stat().st_mtime < newest - 3600:
                    shutil.rmtree(leftover, ignore_errors=True)
