"""What all optimisers share: parameter groups, clearing gradients, saving their state."""
from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from ..errors import ArgumentError, FileError
from ..nn import Parameter
from ..tensor import Tensor


class Optimizer:
    """Base of the optimisers.

    Parameters
    ----------
    params : iterable of Parameter, or of dicts
        ``[{"params": [...], "lr": 0.01}, ...]`` gives groups their own options.
    defaults : dict
        Options of groups that do not name them.
    """

    def __init__(self, params: Iterable, defaults: dict) -> None:
        groups = list(params) if not isinstance(params, Tensor) else [params]
        if not groups:
            raise ArgumentError(f"{type(self).__name__} was given no parameters; pass model.parameters()")
        if not isinstance(groups[0], dict):
            groups = [{"params": groups}]
        self.param_groups = [{**defaults, **group, "params": list(group["params"])} for group in groups]
        self.state: dict[int, dict[str, np.ndarray]] = {}  # index of the parameter -> its running averages
        for group in self.param_groups:
            self._check(group)

    def _check(self, group: dict) -> None:
        name = type(self).__name__
        for parameter in group["params"]:
            if not isinstance(parameter, Tensor):
                raise ArgumentError(f"{name} takes parameters, got {type(parameter).__name__}; pass model.parameters()")
        for option, value in group.items():
            if isinstance(value, float | int) and not isinstance(value, bool) and not (value >= 0 and np.isfinite(value)):
                raise ArgumentError(f"{name}: {option} must be a finite number >= 0, got {value!r}")

    def numbered(self) -> Iterable[tuple[int, Parameter, dict]]:
        """(index, parameter, its group) over all groups."""
        index = 0
        for group in self.param_groups:
            for parameter in group["params"]:
                yield index, parameter, group
                index += 1

    def zero_grad(self) -> None:
        """Forget all gradients; call it before each backward, since gradients accumulate."""
        for _, parameter, _ in self.numbered():
            parameter.grad = None

    def step(self) -> None:
        """Update every parameter that has a gradient."""
        for index, parameter, group in self.numbered():
            if parameter.grad is not None:
                self.update(parameter, self.state.setdefault(index, {}), group)

    def update(self, parameter: Parameter, state: dict, group: dict) -> None:
        raise NotImplementedError

    def state_dict(self) -> dict:
        """Running averages by parameter index, and the groups' options."""
        options = [{k: v for k, v in group.items() if k != "params"} for group in self.param_groups]
        return {"state": self.state, "groups": options}

    def load_state_dict(self, saved: dict) -> None:
        """Go on from a ``state_dict`` (arrays are copied)."""
        if len(saved["groups"]) != len(self.param_groups):
            raise FileError(f"the saved optimiser has {len(saved['groups'])} groups, this one {len(self.param_groups)}")
        parameters = {index: parameter for index, parameter, _ in self.numbered()}
        for index, values in saved["state"].items():
            for name, value in values.items():
                if index not in parameters or (isinstance(value, np.ndarray) and value.shape != parameters[index].shape):
                    raise FileError(f"the saved optimiser's {name} of parameter {index} does not fit this model")
        self.state = {i: {k: np.copy(v, order="K") if isinstance(v, np.ndarray) else v for k, v in values.items()}
                      for i, values in saved["state"].items()}  # fmt: skip
        for group, options in zip(self.param_groups, saved["groups"]):
            group.update(options)
