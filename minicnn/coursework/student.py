"""What a check sees of a submission: its functions, constants and layers, which run elsewhere.

A check never holds the submission's own objects. It sends arrays, and gets arrays back; what they should be stays here.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from ..errors import GradcheckError
from ..gradcheck import gradcheck_pair
from .judging import Wrong, as_numbers
from .process import SubmissionError


class Student:
    """A submission, as ``ask(request) -> reply`` reaches it.

    Attributes
    ----------
    changed : list of str
        Which arguments the last call changed in place: "0" is the first, "key" one given by name, "1.2"
        and "1.mean" name a part of a list and of a dict.
    """

    def __init__(self, ask: Callable[[dict], dict], launch: Callable[[dict], dict]) -> None:
        self._ask, self._launch = ask, launch
        self.changed: list[str] = []

    def call(self, name: str, /, *args, **kwargs):
        """``name(*args, **kwargs)``. Arrays, numbers, strings, lists, tuples, dicts and None may go in and come out.

        Raises
        ------
        SubmissionError
            The function raised something, returned something that cannot travel, or took too long.
        """
        try:
            reply = self._ask({"do": "call", "name": name, "args": list(args), "kwargs": kwargs})
        except SubmissionError as error:
            raise type(error)(f"{name}: {error}") from None
        self.changed = [str(one) for one in reply.get("changed", [])]
        return reply["value"]

    def numbers(self, name: str, /, *args, shape: tuple | None = None, **kwargs) -> np.ndarray:
        """``call`` for a function that returns one array of numbers; Wrong if it is none, or not of this shape."""
        return as_numbers(self.call(name, *args, **kwargs), f"what {name} returned", shape)

    def function(self, name: str) -> Callable:
        """The submission's function, to be handed on; calling it is :meth:`call`."""
        return lambda *args, **kwargs: self.call(name, *args, **kwargs)

    def value(self, name: str):
        """A constant of the submission: a number, a string, a table."""
        return self._ask({"do": "value", "name": name})["value"]

    def module(
        self, name: str, /, *args, state: dict | None = None, inputs: Sequence[np.ndarray] = (),
        upstream: np.ndarray | None = None, training: bool = True, seed: int = 0, **kwargs,
    ) -> dict:  # fmt: skip
        """Make ``name(*args, **kwargs)``, an ``nn.Module``; load ``state`` into it; run it forward and backward.

        Returns
        -------
        dict
            ``shapes``: of the parameters, by name; ``layers``: path -> class name; ``state``: parameters and buffers
            after the run; with ``inputs`` also ``output``; with ``upstream``, the gradient of the output, also
            ``input_grads`` (a list, None for those not floating) and ``grads`` (by name).
        """
        request = {
            "do": "module", "name": name, "args": list(args), "kwargs": kwargs, "state": state, "inputs": list(inputs),
            "upstream": upstream, "training": training, "seed": seed,
        }  # fmt: skip
        try:
            reply = self._ask(request)
        except SubmissionError as error:
            raise type(error)(f"{name}: {error}") from None
        self.changed = [str(one) for one in reply.get("changed", [])]
        if not isinstance(reply["value"], dict):
            raise Wrong(f"{name} could not be run")
        return reply["value"]

    def launch(
        self, text: str, kernel: str, grid, block, args: Sequence, shared_mem: int = 0, order: str = "forward",
        seconds: float = 5, filename: str = "submission.cu",
    ) -> list:  # fmt: skip
        """Launch a kernel of a CUDA text in the simulator's check mode; the arguments as they are afterwards.

        Raises
        ------
        SubmissionError
            The compiler refused the text, or the checker found a fault: a race, an index out of bounds, a barrier that
            not all threads reach ... in the words of :class:`minicnn.kernels.sim.KernelFault`.
        """
        if not isinstance(text, str):
            raise Wrong(f"the text of the kernel should be a string, it is a {type(text).__name__}")
        grid, block = ([n] if isinstance(n, int) else list(n) for n in (grid, block))
        request = {
            "do": "launch", "text": text, "kernel": kernel, "grid": grid, "block": block, "args": list(args),
            "shared_mem": shared_mem, "order": order, "seconds": seconds, "filename": filename,
        }  # fmt: skip
        return self._launch(request)["value"]

    def gradcheck(self, forward: str | Callable, backward: str | Callable, arrays: Sequence, **options) -> None:
        """Hold a backward of the submission against finite differences of a forward; say what kind of mistake it is.

        Parameters
        ----------
        forward : str or callable
            ``out, cache = forward(*arrays)``: a function of the submission by its name, or one of the check's own,
            which is much quicker and cannot be wrong. The cache is what the backward gets.
        backward : str or callable
            ``gradients = backward(dout, cache)``
        arrays, options
            As of :func:`minicnn.gradcheck_pair`. Some ten numbers in each array are enough.

        Raises
        ------
        Wrong
            With gradcheck's diagnosis.
        """
        forward = self.function(forward) if isinstance(forward, str) else forward
        backward = self.function(backward) if isinstance(backward, str) else backward

        def checked(dout, cache):
            gradients = backward(dout, cache)
            many = isinstance(gradients, (tuple, list))
            found = [None if g is None else as_numbers(g, "a gradient") for g in (gradients if many else [gradients])]
            return tuple(found)

        try:
            gradcheck_pair(forward, checked, arrays, **options)
        except GradcheckError as error:
            raise Wrong(str(error).replace("gradcheck_pair", "gradcheck")) from None
