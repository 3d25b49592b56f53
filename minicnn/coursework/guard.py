"""Limits of the process that a submission runs in, and the doors that are closed before it is loaded.

Three walls, as no single one is enough: the system's limits (memory, processor time, no files, no processes); on Linux
Landlock, by which the kernel lets the process read the Python installation and nothing else, and write nowhere; and
Python's audit hook, which refuses the same in words that a student understands. A CUDA text is no Python: its process
has the first two, and may run the system's programs (the compiler) and write in a folder of its own.
"""

from __future__ import annotations

import ctypes
import os
import shutil
import sys
from collections.abc import Iterable, Sequence

try:
    import resource
except ImportError:  # native Windows has none
    resource = None

WITHOUT_LIMITS = (
    "this system has no resource limits (Linux and macOS do), so only the clock stops a submission: grade code that "
    "you do not trust on Linux"
)
NO_PROCESS = "a submission may not start processes"
#: audit events that a submission must not cause, by how their names begin, and what is said
REFUSED = {
    "os.fork": NO_PROCESS, "os.posix_spawn": NO_PROCESS, "os.spawn": NO_PROCESS, "os.exec": NO_PROCESS,
    "os.system": NO_PROCESS, "os.startfile": NO_PROCESS, "subprocess.": NO_PROCESS, "pty.spawn": NO_PROCESS,
    "os.kill": "a submission may not send signals", "signal.pthread_kill": "a submission may not send signals",
    "socket.": "a submission may not use the network",
    "ctypes.": "a submission may not call into C", "resource.": "a submission may not change limits",
    "cpython.PyInterpreterState_New": "a submission may not start interpreters",
    **dict.fromkeys(
        ("gc.get_objects", "gc.get_referrers", "gc.get_referents"), "a submission may not look for other's objects"
    ),
    "cpython._PySys_ClearAuditHooks": "a submission may not remove the audit hook",
    **{f"os.{what}": "a submission may not change files" for what in (
        "remove", "rename", "rmdir", "mkdir", "link", "symlink", "truncate", "chmod", "chown", "utime", "chdir",
        "fchdir", "setxattr", "removexattr", "chflags", "lockf",
    )},
    "shutil.": "a submission may not change files",
}  # fmt: skip
#: other people's solutions, and ways round the audit hook
MODULES = {
    **dict.fromkeys(("torch", "tensorflow", "jax", "keras", "numba", "cupy", "scipy", "sklearn"), "use NumPy alone"),
    **dict.fromkeys(("_testcapi", "_xxsubinterpreters", "_interpreters", "_posixsubprocess"), "it is not needed"),
}
EXERCISES = os.path.realpath(os.path.join(os.path.dirname(os.path.abspath(__file__)), "exercises"))  # with solutions
WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND


class NotPermitted(PermissionError):  # noqa: N818 - what a student reads
    """A submission tried what it must not do."""


def limit(limits: dict) -> None:
    """Memory (bytes), processor time (seconds); no core dumps, no files, no processes but for a compiler."""
    if resource is None:
        return
    wanted = {"RLIMIT_CORE": 0, "RLIMIT_CPU": limits["cpu"], "RLIMIT_AS": limits["memory"], "RLIMIT_NOFILE": 256}
    if not limits.get("compiles"):
        wanted |= {"RLIMIT_FSIZE": 0, "RLIMIT_NPROC": 0}
    for name, value in wanted.items():
        if hasattr(resource, name):
            kind = getattr(resource, name)
            _, hard = resource.getrlimit(kind)
            value = value if hard == resource.RLIM_INFINITY else min(value, hard)
            try:
                resource.setrlimit(kind, (value, value))
            except (ValueError, OSError):  # macOS refuses some; the clock is left
                continue


#: Linux's page about this process, opened before the doors close. ru_maxrss would count what the parent held when it
#: started this process, too.
_status = None


def usage() -> dict:
    """Processor seconds and the largest memory (MB) of this process, and whether Numba was loaded."""
    if resource is None:
        return {"seconds": 0.0, "mb": 0.0, "numba": "numba" in sys.modules}
    used = resource.getrusage(resource.RUSAGE_SELF)
    mb = used.ru_maxrss / (2**20 if sys.platform == "darwin" else 2**10)
    if _status is not None:
        _status.seek(0)
        mb = next(int(line.split()[1]) for line in _status if line.startswith("VmHWM")) / 2**10
    return {"seconds": used.ru_utime + used.ru_stime, "mb": mb, "numba": "numba" in sys.modules}


def close(open_to: Iterable[str], limits: dict) -> None:
    """From here on this process reads files below ``open_to`` only, and does nothing else to the world."""
    folders = sorted({os.path.realpath(f) for f in open_to if f and os.path.exists(f)})
    import_all()
    global _status
    if os.path.exists("/proc/self/status"):
        _status = open("/proc/self/status", encoding="ascii", errors="replace")  # noqa: SIM115 - read until the end
    _without_fork()
    landlock(folders, EXERCISES)
    sys.addaudithook(_hook(tuple(folders), EXERCISES))


def close_but_for_compiling(open_to: Iterable[str], folder: str) -> None:
    """From here on this process and those it starts read what is installed, and write below ``folder`` only."""
    system = ["/usr", "/bin", "/lib", "/lib32", "/lib64", "/etc/ld.so.cache", "/etc/alternatives", "/proc/cpuinfo"]
    compiler = shutil.which(os.environ.get("MINICNN_CXX", "g++"))
    own = [os.path.dirname(os.path.realpath(compiler))] if compiler else []
    folders = {os.path.realpath(f) for f in [*open_to, sys.prefix, *system, *own] if f and os.path.exists(f)}
    landlock(sorted(folders), EXERCISES, own=[folder, os.devnull])


def import_all() -> None:
    """What a submission may use is imported before the doors close, as importing opens files."""
    import numpy.fft
    import numpy.linalg
    import numpy.random  # noqa: F401

    from .. import functional, models, nn, optim, summary  # noqa: F401
    from ..data import loader  # noqa: F401


def _without_fork() -> None:
    """What subprocess starts processes with raises no audit event of its own."""
    spawning = sys.modules.get("_posixsubprocess")

    def fork_exec(*arguments):
        raise NotPermitted(NO_PROCESS)

    if spawning is not None:
        spawning.fork_exec = fork_exec
        if hasattr(sys.modules.get("subprocess"), "_fork_exec"):
            sys.modules["subprocess"]._fork_exec = fork_exec


def _hook(folders: tuple[str, ...], closed: str):
    realpath, fspath, sep = os.path.realpath, os.fspath, os.sep
    refused, modules, writing = dict(REFUSED), dict(MODULES), WRITING
    beginnings = tuple(refused)

    def readable(path) -> bool:
        if isinstance(path, int):
            return True  # an open file
        real = realpath(os.fsdecode(fspath(path)))
        if real == closed or real.startswith(closed + sep):
            return False
        return real == os.devnull or any(real == f or real.startswith(f + sep) for f in folders)

    def hook(event: str, arguments: tuple) -> None:
        if event == "open":
            path, mode, flags = arguments
            if (isinstance(mode, str) and set(mode) & set("wax+")) or (isinstance(flags, int) and flags & writing):
                raise NotPermitted(f"a submission may not write files (it tried {str(path)[:100]!r})")
            if not readable(path):
                raise NotPermitted(f"a submission may not read files (it tried {str(path)[:100]!r})")
        elif event in ("os.listdir", "os.scandir", "glob.glob"):
            if arguments[0] is None or not readable(arguments[0]):
                raise NotPermitted("a submission may not look into folders")
        elif event == "import":
            name = str(arguments[0])
            why = modules.get(name.partition(".")[0])
            if why:
                raise NotPermitted(f"a submission may not import {name}: {why}")
        elif event.startswith(beginnings):
            raise NotPermitted(next(why for start, why in refused.items() if event.startswith(start)))

    return hook


# Landlock: the Linux kernel's own fence, for any process (its documentation: userspace-api/landlock) -----------------
_CREATE, _ADD, _RESTRICT = 444, 445, 446  # system calls, the same on all processors
_EXECUTE, _WRITE_FILE, _READ_FILE, _READ_DIR, _TRUNCATE = 1 << 0, 1 << 1, 1 << 2, 1 << 3, 1 << 14
_PR_SET_NO_NEW_PRIVS = 38


class _Ruleset(ctypes.Structure):
    _fields_ = [("files", ctypes.c_uint64), ("net", ctypes.c_uint64), ("scoped", ctypes.c_uint64)]


class _Beneath(ctypes.Structure):
    _pack_ = 1
    _layout_ = "ms"
    _fields_ = [("allowed", ctypes.c_uint64), ("fd", ctypes.c_int32)]


def landlock_version() -> int:
    """What the kernel knows of it; 0 or less if nothing."""
    if not sys.platform.startswith("linux"):
        return 0
    return ctypes.CDLL(None, use_errno=True).syscall(_CREATE, None, ctypes.c_size_t(0), ctypes.c_uint32(1))


def landlock(folders: list[str], closed: str, own: Sequence[str] = ()) -> bool:
    """Only reading below ``folders``, no network, no signals to others; False where the kernel has no Landlock.

    With ``own``, what may be read may be executed too, and below ``own`` everything is allowed. A rule of Landlock's
    holds for all that lies below a folder; so where ``closed`` lies in one, its neighbours get rules instead.
    """
    version = landlock_version()
    if version < 1:
        return False
    libc = ctypes.CDLL(None, use_errno=True)
    files = (1 << 13) - 1  # what the first version knows
    files |= (1 << 13 if version >= 2 else 0) | (_TRUNCATE if version >= 3 else 0)  # renaming across folders
    rules = _Ruleset(files, 3 if version >= 4 else 0, 3 if version >= 6 else 0)  # no network; no signals to others
    size = 24 if version >= 6 else 16 if version >= 4 else 8
    ruleset = libc.syscall(_CREATE, ctypes.byref(rules), ctypes.c_size_t(size), ctypes.c_uint32(0))
    if ruleset < 0:
        return False
    reading = _READ_FILE | _READ_DIR | (_EXECUTE if own else 0)
    allowed = [(path, reading) for path in _around(folders, closed)] + [(path, files) for path in own]
    for path, rights in allowed:
        fd = os.open(path, os.O_PATH | os.O_CLOEXEC)
        rights &= files if os.path.isdir(path) else _EXECUTE | _WRITE_FILE | _READ_FILE | (files & _TRUNCATE)
        rule = _Beneath(rights, fd)
        libc.syscall(_ADD, ruleset, ctypes.c_int(1), ctypes.byref(rule), ctypes.c_uint32(0))
        os.close(fd)
    libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    done = libc.syscall(_RESTRICT, ruleset, ctypes.c_uint32(0)) == 0
    os.close(ruleset)
    return done


def _around(folders: list[str], closed: str) -> list[str]:
    """The folders, but those that hold ``closed`` replaced by what is in them beside it."""
    found = []
    for folder in folders:
        if folder == closed or folder.startswith(closed + os.sep):
            continue
        if closed.startswith(folder.rstrip(os.sep) + os.sep):
            found += _around([os.path.join(folder, name) for name in os.listdir(folder)], closed)
        else:
            found.append(folder)
    return [path for path in found if os.path.exists(path)]
