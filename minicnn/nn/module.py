"""Module: a layer or a model, with its parameters, its buffers and the modules it is made of."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping
from itertools import chain

import numpy as np

from .. import running
from ..device import DEVICES, check_device, is_array, to_device
from ..errors import ArgumentError, FileError, MinicnnError, UnfinishedError
from ..tensor import Tensor, as_array, check_dtype, tensor
from .parts import HookHandle, LoadedKeys, Parameter, with_batch_counts


class Module:
    """Base of all layers and models. Assign parameters and modules as attributes; write ``forward``; call the module.

    ::

        class Block(nn.Module):
            def __init__(self, channels):
                super().__init__()
                self.conv = nn.Conv2d(channels, channels, 3, padding=1)

            def forward(self, x):
                return F.relu(self.conv(x)) + x
    """

    training: bool

    def __init__(self) -> None:
        for name in ("_parameters", "_buffers", "_modules", "_forward_hooks"):
            object.__setattr__(self, name, {})
        object.__setattr__(self, "training", True)

    # Attributes: what is learned or nested goes into a registry, in the order of assignment ---------------------------
    def __setattr__(self, name: str, value) -> None:
        if "_modules" not in self.__dict__:
            raise UnfinishedError(
                f"{type(self).__name__}.__init__ must call super().__init__() before it assigns {name!r}"
            )
        if name in self._parameters and not isinstance(value, Parameter) and value is not None:
            raise ArgumentError(
                f"{type(self).__name__}.{name} is a parameter; assign an nn.Parameter, or new numbers to "
                f"{name}.data[...], not {type(value).__name__}"
            )
        own = self._parameters if isinstance(value, Parameter) else self._modules if isinstance(value, Module) else None
        for registry in (self._parameters, self._modules):
            if registry is not own:
                registry.pop(name, None)
        if own is not None:
            own[name] = value  # one that replaces another takes its place in the order, too
        elif name in self._buffers:
            self.register_buffer(name, value)
        else:
            object.__setattr__(self, name, value)
            return
        self.__dict__.pop(name, None)

    def __getattr__(self, name: str):
        for registry in ("_parameters", "_modules", "_buffers"):
            values = self.__dict__.get(registry, {})
            if name in values:
                return values[name]
        if "_modules" not in self.__dict__:
            raise UnfinishedError(
                f"{type(self).__name__}.__init__ must call super().__init__() first: there is no {name!r} yet"
            )
        raise AttributeError(f"{type(self).__name__} has no attribute {name!r}")

    def __dir__(self) -> list[str]:
        return [*super().__dir__(), *self._parameters, *self._modules, *self._buffers]

    def __delattr__(self, name: str) -> None:
        for registry in (self._parameters, self._modules, self._buffers):
            if name in registry:
                del registry[name]
                return
        object.__delattr__(self, name)

    def register_buffer(self, name: str, value) -> None:
        """State that is saved but not learned, such as running statistics: an array, kept as a Tensor."""
        as_given = value is None or isinstance(value, Tensor)
        self._buffers[name] = value if as_given else Tensor(value) if is_array(value) else tensor(value)

    def register_parameter(self, name: str, value: Parameter | None) -> None:
        """A parameter that may be absent (None), such as a bias."""
        self._parameters[name] = value

    # Calling ----------------------------------------------------------------------------------------------------------
    def forward(self, *inputs):
        raise UnfinishedError(f"{type(self).__name__} needs a forward(self, x)")

    def __call__(self, *inputs, **options):
        hooks = self._forward_hooks
        try:
            with running.inside(self):
                output = self.forward(*inputs, **options)
            for hook in tuple(hooks.values()):
                changed = hook(self, inputs, output)
                output = output if changed is None else changed
        except Exception as error:
            self._name_the_layer(error)
            raise
        return output

    def _name_the_layer(self, error: Exception) -> None:
        """Innermost first: note which module failed; each caller around it then knows the path from itself.

        A MinicnnError says the path in its message; any other error, such as NumPy's in a layer of your own, in a note.
        """
        if not hasattr(error, "module"):
            error.module = self
            error.layer = type(self).__name__
            with contextlib.suppress(Exception):  # a faulty extra_repr must not hide the error itself
                error.layer += f"({self.extra_repr()})"
        for path, module in self.named_modules():
            if module is error.module:
                error.path = path or type(self).__name__
        if not isinstance(error, MinicnnError):
            others = [note for note in getattr(error, "__notes__", ()) if not note.startswith("in the layer ")]
            error.__notes__ = [*others, f"in the layer {error.path} = {error.layer}"]

    def register_forward_hook(self, hook: Callable) -> HookHandle:
        """Call ``hook(module, inputs, output)`` after each forward; a result other than None replaces the output."""
        handle = HookHandle(self._forward_hooks)
        self._forward_hooks[id(handle)] = hook
        return handle

    def has_hooks(self) -> bool:
        """Whether somebody wants to see what this module makes."""
        return bool(self._forward_hooks)

    def macs(self, output_shape: tuple[int, ...]) -> int | None:
        """Multiply-adds of one image, from the shape of its output, if they are not those of the layer's operations."""
        return None

    # Looking inside ---------------------------------------------------------------------------------------------------
    def children(self) -> Iterator[Module]:
        return iter([m for m in self._modules.values() if m is not None])

    def named_children(self) -> Iterator[tuple[str, Module]]:
        return iter([(n, m) for n, m in self._modules.items() if m is not None])

    def named_modules(self, prefix: str = "") -> Iterator[tuple[str, Module]]:
        """This module (path ``""``) and all below it with their paths; a module used twice comes once."""
        yield from self._walk(prefix, set())

    def _walk(self, path: str, seen: set) -> Iterator[tuple[str, Module]]:
        if id(self) in seen:
            return
        seen.add(id(self))
        yield path, self
        for name, module in self.named_children():
            yield from module._walk(f"{path}.{name}" if path else name, seen)

    def modules(self) -> Iterator[Module]:
        return (module for _, module in self.named_modules())

    def _named(self, registry: str) -> Iterator[tuple[str, Tensor]]:
        for path, module in self.named_modules():
            for name, value in module.__dict__[registry].items():
                if value is not None:
                    yield f"{path}.{name}" if path else name, value

    def named_parameters(self) -> Iterator[tuple[str, Parameter]]:
        """Each parameter once, with its path: ``"layer1.0.conv1.weight"``. A shared one has its first path."""
        seen: set[int] = set()
        for name, parameter in self._named("_parameters"):
            if id(parameter) not in seen:
                seen.add(id(parameter))
                yield name, parameter

    def parameters(self) -> Iterator[Parameter]:
        return (parameter for _, parameter in self.named_parameters())

    def named_buffers(self) -> Iterator[tuple[str, Tensor]]:
        return self._named("_buffers")

    def buffers(self) -> Iterator[Tensor]:
        return (buffer for _, buffer in self.named_buffers())

    def num_parameters(self) -> int:
        """How many numbers are learned."""
        return sum(p.size for p in self.parameters())

    # Modes, dtypes, gradients -----------------------------------------------------------------------------------------
    def train(self, mode: bool = True) -> Module:
        """Training mode: batch-norm uses the batch's statistics, dropout drops."""
        for module in self.modules():
            object.__setattr__(module, "training", bool(mode))
        return self

    def eval(self) -> Module:
        """Evaluation mode: running statistics, no dropout."""
        return self.train(False)

    def to(self, target) -> Module:
        """Move to a device (``"cpu"``, ``"cuda"``, ``"sim"``), or convert all floating numbers to a dtype; in place.

        Gradients come along. An optimiser's running averages follow at its next step.
        """
        if isinstance(target, str) and target in DEVICES:
            check_device(target)
            for own in chain(self.parameters(), self.buffers()):
                own.data = to_device(own.data, target)
                own.grad = None if own.grad is None else to_device(own.grad, target)
            return self
        dtype = check_dtype(target, "a device ('cpu', 'cuda', 'sim') or a dtype of numbers")
        if dtype.kind != "f":
            raise ArgumentError(f"to({target!r}): a model computes in a floating dtype, float32 or float64")
        for own in chain(self.parameters(), self.buffers()):
            if own.dtype.kind == "f":
                own.data = own.data.astype(dtype)
                own.grad = None if own.grad is None else own.grad.astype(dtype)
        return self

    def cpu(self) -> Module:
        """``to("cpu")``"""
        return self.to("cpu")

    def cuda(self) -> Module:
        """``to("cuda")``"""
        return self.to("cuda")

    @property
    def device(self) -> str:
        """Where the first parameter or buffer lives; "cpu" if there is none."""
        return next((own.device for own in chain(self.parameters(), self.buffers())), "cpu")

    def apply(self, function: Callable[[Module], object]) -> Module:
        """Call ``function`` with every module, children first, e.g. to initialise weights."""
        for module in reversed(list(self.modules())):
            function(module)
        return self

    def requires_grad_(self, requires_grad: bool = True) -> Module:
        """Let all parameters learn, or freeze them."""
        for parameter in self.parameters():
            parameter.requires_grad_(requires_grad)
        return self

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Forget all gradients (always as None, PyTorch's default)."""
        for parameter in self.parameters():
            parameter.grad = None

    # Saving and loading -----------------------------------------------------------------------------------------------
    def _state(self, path: str = "") -> Iterator[tuple[str, Tensor]]:
        """What is saved, in PyTorch's order: a module's parameters, its buffers, its children. A shared module is saved
        under each of its paths."""
        for name, own in chain(self._parameters.items(), self._buffers.items()):
            if own is not None:
                yield path + name, own
        for name, module in self.named_children():
            yield from module._state(f"{path}{name}.")

    def state_dict(self) -> dict[str, np.ndarray]:
        """Parameters and buffers by path: the arrays themselves, which go on changing; copy them to keep a moment.

        They are arrays of the device that the model lives on; ``mc.save`` writes those of any device.
        """
        return {name: tensor.data for name, tensor in self._state()}

    def load_state_dict(self, state: dict, strict: bool = True) -> LoadedKeys:
        """Copy arrays into parameters and buffers by path.

        Parameters
        ----------
        state : dict of str to array
            A batch-norm's ``num_batches_tracked`` may be missing: 0, as in PyTorch.
        strict : bool
            Missing and unexpected keys are errors. Shapes must agree in any case.

        Returns
        -------
        LoadedKeys
            (missing_keys, unexpected_keys), lists of str.

        Raises
        ------
        FileError
            Naming *all* missing, unexpected and mis-shaped keys at once; then nothing was changed.
        """
        if not isinstance(state, Mapping):
            raise ArgumentError(
                f"load_state_dict takes a dict of names to arrays, got {type(state).__name__}; "
                f"mc.load(path) reads one from a file, model.state_dict() takes one from a model"
            )
        own = dict(self._state())
        state = with_batch_counts(state, own)
        missing, unexpected = [k for k in own if k not in state], [k for k in state if k not in own]
        arrays = {k: as_array(state[k]) for k in own if k in state}
        wrong = [
            f"{k}: the model has {own[k].shape}, the file {a.shape}"
            for k, a in arrays.items()
            if a.shape != own[k].shape
        ]
        wrong += [f"{k}: holds {a.dtype}, no numbers" for k, a in arrays.items() if a.dtype.kind not in "fiub"]
        problems = [("missing", missing), ("unexpected", unexpected)] if strict else []
        report = [f"{what}: {', '.join(keys)}" for what, keys in [*problems, ("of another kind", wrong)] if keys]
        if report:
            raise FileError(f"these weights do not fit {type(self).__name__}; " + "; ".join(report))
        for key, array in arrays.items():
            own[key].data[...] = to_device(array, own[key].device)
        return LoadedKeys(missing, unexpected)

    # Printing ---------------------------------------------------------------------------------------------------------
    def extra_repr(self) -> str:
        """The layer's options, for printing."""
        return ""

    def __repr__(self) -> str:
        if not self._modules:
            return f"{type(self).__name__}({self.extra_repr()})"
        lines = [f"({name}): {module!r}".replace("\n", "\n  ") for name, module in self._modules.items()]
        return f"{type(self).__name__}({self.extra_repr()}\n  " + "\n  ".join(lines) + "\n)"
