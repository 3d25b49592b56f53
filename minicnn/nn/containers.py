"""Modules made of modules."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from .. import running
from ..errors import ArgumentError, UnfinishedError
from .functions import ReLU, ReLU6
from .layers import BatchNorm2d
from .module import Module


def _checked(container: str, module) -> Module:
    if not isinstance(module, Module):
        hint = ""
        if isinstance(module, type):
            hint = f"; put an instance into it, {module.__name__}() with brackets"
        elif isinstance(module, (list, tuple)):
            hint = f"; unpack it, {container}(*layers)"
        elif callable(module):
            hint = "; a function is called in a module's forward, or stands here as a module, e.g. nn.ReLU()"
        raise ArgumentError(f"{container} holds modules, got {module!r}{hint}")
    return module


class _Row(Module):
    """Modules in a row, by number or by name."""

    def append(self, module: Module):
        self._modules[str(len(self))] = _checked(type(self).__name__, module)
        return self

    def __len__(self) -> int:
        return len(self._modules)

    def __iter__(self) -> Iterator[Module]:
        return iter(self._modules.values())

    def __setitem__(self, index: int, module: Module) -> None:
        self._modules[list(self._modules)[index]] = _checked(type(self).__name__, module)


def _relu_behind(module: Module, following: Module | None) -> bool | int:
    """True (or 6) if a batch-norm can do the ReLU (or ReLU6) behind it in the same pass, and nobody would notice."""
    relu = {ReLU: True, ReLU6: 6}.get(type(following), False)
    if not relu or type(module) is not BatchNorm2d or running.watchers():
        return False
    return False if module.has_hooks() or following.has_hooks() else relu


class Sequential(_Row):
    """One after another. Takes modules, or one dict of names to modules; slices give a Sequential.

    >>> from minicnn import nn
    >>> model = Sequential(nn.Linear(2, 3), nn.ReLU(), nn.Linear(3, 1))
    >>> [name for name, _ in model.named_parameters()]
    ['0.weight', '0.bias', '2.weight', '2.bias']
    """

    def __init__(self, *modules) -> None:
        super().__init__()
        one_dict = len(modules) == 1 and isinstance(modules[0], dict)
        named = modules[0] if one_dict else {str(i): m for i, m in enumerate(modules)}
        for name, module in named.items():
            self._modules[name] = _checked("Sequential", module)

    def forward(self, x):
        modules = [*self._modules.values(), None]
        done = False  # by the batch-norm before
        for module, following in zip(modules, modules[1:]):
            relu = not done and _relu_behind(module, following)
            if relu:
                x = module(x, relu=relu)
            elif not done:
                x = module(x)
            done = bool(relu)
        return x

    def __getitem__(self, index):
        if isinstance(index, slice):
            return Sequential(dict(list(self._modules.items())[index]))
        return list(self._modules.values())[index]


class ModuleList(_Row):
    """A list of modules whose parameters are found; its owner decides how they are called."""

    def __init__(self, modules: Iterable[Module] = ()) -> None:
        super().__init__()
        if not isinstance(modules, Iterable):
            raise ArgumentError(
                f"ModuleList takes a list of modules, got {modules!r}; put it into brackets, ModuleList([...])"
            )
        for module in modules:
            self.append(module)

    def forward(self, *inputs):
        raise UnfinishedError(
            f"a ModuleList of {len(self)} modules is not called itself; call its modules in your forward"
        )

    def __getitem__(self, index):
        modules = list(self._modules.values())[index]
        return ModuleList(modules) if isinstance(index, slice) else modules
