"""A pickle is a program. This is the machine that runs it, and all that it can do.

The program is a row of steps: one byte says what to do, some have an argument. The machine has a stack. The pickle of
``{"a": (1, 2)}`` is

    EMPTY_DICT           stack: {}
    BINUNICODE 'a'       stack: {} 'a'
    BININT1 1            stack: {} 'a' 1
    BININT1 2            stack: {} 'a' 1 2
    TUPLE2               stack: {} 'a' (1, 2)
    SETITEM              stack: {'a': (1, 2)}
    STOP

(``python -m pickletools FILE`` prints such a program.) Anything beside numbers, text, tuples, lists and dicts is made
by GLOBAL, which names a function in a module, and REDUCE, which calls it. That is the danger of Python's own pickle: a
file may name ``os.system``. Here GLOBAL looks into a small table of our own functions, and a name that is not in it
ends the reading. There is nothing else that a file could call.

Every step takes time and memory of the size of its bytes, so that a small file cannot grow into a large thing.
"""

from __future__ import annotations

import pickletools
import struct
from collections.abc import Callable, Mapping
from typing import BinaryIO, NamedTuple

from ..errors import FileError

LIMIT = 16 * 2**20  # bytes of a description; ten thousand tensors take two million
TOO_LONG = "its description of the tensors is far too long: it is damaged, or made to waste memory"


class Callee(NamedTuple):
    """A function that a pickle may call: ours, under the name that the file knows it by."""

    name: str
    function: Callable


class Bounded:
    """The next bytes of a file, but no more than a limit, as a stream to read a pickle from."""

    def __init__(self, file: BinaryIO, limit: int = LIMIT) -> None:
        self._file, self._left = file, limit

    def read(self, n: int) -> bytes:
        return self._count(self._file.read(min(n, self._left + 1)))

    def readline(self) -> bytes:
        line = self._count(self._file.readline(self._left + 1))
        if b"\\" in line:  # Python would undo it, and warn of what it does not know
            raise ValueError("an escape in a name")
        return line

    def tell(self) -> int:
        return self._file.tell()

    def _count(self, got: bytes) -> bytes:
        self._left -= len(got)
        if self._left < 0:
            raise FileError(TOO_LONG)
        return got


#: steps that push their argument, or always the same value
ARGUMENTS = {
    "INT", "BININT", "BININT1", "BININT2", "LONG", "LONG1", "LONG4", "FLOAT", "BINFLOAT", "STRING", "BINSTRING",
    "SHORT_BINSTRING", "UNICODE", "BINUNICODE", "SHORT_BINUNICODE", "BINUNICODE8", "BINBYTES", "SHORT_BINBYTES",
    "BINBYTES8",
}  # fmt: skip
CONSTANTS = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False, "EMPTY_TUPLE": ()}


class Machine:
    """Runs one pickle.

    Parameters
    ----------
    allowed : mapping of (module, name) to object, optional
        What GLOBAL may fetch. Of these, REDUCE calls a :class:`Callee` only.
    reference : callable, optional
        Called with what a pickle says of an object that lies outside it (BINPERSID), here a storage.
    """

    def __init__(self, allowed: Mapping | None = None, reference: Callable | None = None) -> None:
        self.allowed, self.reference = allowed or {}, reference
        self.stack: list = []
        self.marks: list[int] = []  # heights of the stack at each MARK
        self.memo: dict = {}  # what PUT keeps and GET fetches: an object that is used twice is pickled once

    def run(self, stream) -> object:
        """Run the pickle that begins at a stream's position; afterwards the stream stands right behind it.

        Raises
        ------
        FileError
            It names something that is not allowed, or is damaged.
        """
        try:
            for opcode, argument, _ in pickletools.genops(stream):
                if opcode.name == "STOP":
                    return self.stack.pop()
                self.step(opcode.name, argument)
        except FileError:
            raise
        except (ValueError, IndexError, KeyError, TypeError, OverflowError, struct.error) as error:
            raise FileError(f"it is damaged or cut off ({type(error).__name__} in its description)") from None
        raise FileError("it is damaged or cut off (its description has no end)")

    def step(self, name: str, argument) -> None:
        if name in ARGUMENTS:
            self.stack.append(argument)
        elif name in CONSTANTS:
            self.stack.append(CONSTANTS[name])
        elif name not in ("PROTO", "FRAME"):  # notes for the reader, without effect
            method = getattr(self, f"do_{name.lower()}", None)
            if method is None:
                raise FileError(f"its description takes the step {name}, which no tensor needs")
            method(argument)

    def since_mark(self) -> list:
        """Takes what was pushed after the last MARK from the stack."""
        height = self.marks.pop()
        items = self.stack[height:]
        del self.stack[height:]
        return items

    # The stack --------------------------------------------------------------------------------------------------------
    def do_mark(self, _) -> None:
        self.marks.append(len(self.stack))

    def do_pop(self, _) -> None:
        self.stack.pop()

    def do_memoize(self, _) -> None:
        self.memo[len(self.memo)] = self.stack[-1]

    def do_binput(self, number) -> None:
        self.memo[number] = self.stack[-1]

    def do_binget(self, number) -> None:
        self.stack.append(self.memo[number])

    do_put = do_long_binput = do_binput
    do_get = do_long_binget = do_binget

    # Containers -------------------------------------------------------------------------------------------------------
    def do_tuple(self, _) -> None:
        self.stack.append(tuple(self.since_mark()))

    def do_tuple1(self, _) -> None:
        self.stack[-1:] = [(self.stack[-1],)]

    def do_tuple2(self, _) -> None:
        self.stack[-2:] = [(self.stack[-2], self.stack[-1])]

    def do_tuple3(self, _) -> None:
        self.stack[-3:] = [(self.stack[-3], self.stack[-2], self.stack[-1])]

    def do_empty_list(self, _) -> None:
        self.stack.append([])

    def do_list(self, _) -> None:
        self.stack.append(self.since_mark())

    def do_append(self, _) -> None:
        self.extend([self.stack.pop()])

    def do_appends(self, _) -> None:
        self.extend(self.since_mark())

    def do_empty_dict(self, _) -> None:
        self.stack.append({})

    def do_dict(self, _) -> None:
        items = self.since_mark()
        self.stack.append({})
        self.update(items)

    def do_setitem(self, _) -> None:
        value, key = self.stack.pop(), self.stack.pop()
        self.update([key, value])

    def do_setitems(self, _) -> None:
        self.update(self.since_mark())

    def extend(self, items: list) -> None:
        """Into the list on top of the stack."""
        expect(self.stack[-1], list).extend(items)

    def update(self, items: list) -> None:
        """Keys and values by turns, into the dict on top of the stack."""
        target = expect(self.stack[-1], dict)
        for key, value in zip(items[::2], items[1::2], strict=True):
            target[checked_key(key)] = value

    # What lies outside ------------------------------------------------------------------------------------------------
    def do_global(self, names: str) -> None:
        self.fetch(*names.split(" ", 1))

    def do_stack_global(self, _) -> None:
        name, module = self.stack.pop(), self.stack.pop()
        self.fetch(expect(module, str), expect(name, str))

    def fetch(self, module: str, name: str) -> None:
        if (module, name) not in self.allowed:
            full = repr(f"{module}.{name}"[:80])[1:-1]  # without control characters
            if module == "torch" and name.endswith("Storage"):
                raise FileError(f"it holds a {full}, numbers of a kind that is not computed with here")
            raise FileError(
                f"it asks for {full}, which no tensor needs and which could run code; "
                f"in PyTorch save the weights alone: torch.save(model.state_dict(), path)"
            )
        self.stack.append(self.allowed[module, name])

    def do_reduce(self, _) -> None:
        arguments, callee = self.stack.pop(), self.stack.pop()
        self.stack.append(expect(callee, Callee).function(*expect(arguments, tuple)))

    def do_build(self, _) -> None:
        """Attributes of an object. Only ordered dicts come with some, their versions of the layers: not needed."""
        self.stack.pop()
        expect(self.stack[-1], dict)

    def do_binpersid(self, _) -> None:
        if self.reference is None:
            raise FileError("it refers to an object outside itself in a place that has none")
        self.stack.append(self.reference(self.stack.pop()))


def expect(value, kind: type):
    """The value, if it is exactly of this kind."""
    if type(value) is not kind:
        raise FileError(f"it is damaged: its description has {type(value).__name__} where {kind.__name__} belongs")
    return value


def checked_key(key):
    """A key of a dict: a tuple's hash could take forever to compute."""
    if type(key) not in (str, int, float, bool, bytes, type(None)):
        raise FileError(f"it has a dict whose keys are of type {type(key).__name__}; names were expected")
    return key
