"""What all optimisers share: parameter groups, clearing gradients, saving their state."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from .. import running
from ..device import is_array, to_device
from ..errors import ArgumentError, FileError, ShapeError, UnfinishedError, suggest
from ..nn import Parameter
from ..ops import checks
from ..tensor import Tensor


class Optimizer:
    """Base of the optimisers.

    Parameters
    ----------
    params : iterable of Parameter, or of dicts
        ``[{"params": [...], "lr": 0.01}, ...]`` gives groups their own options.
    defaults : dict
        Options of groups that do not name them.

    Notes
    -----
    An optimiser of your own names those of its options that are True or False in ``flags``, and may ask more of them in
    ``check_options(group)``; all others must be numbers >= 0, or tuples.
    """

    flags: tuple[str, ...] = ()

    def __init__(self, params: Iterable, defaults: dict) -> None:
        groups = self._listed(params)
        if groups and isinstance(groups[0], dict):
            for group in groups:
                self._check_keys(group, ["params", *defaults])
            self.param_groups = [{**defaults, **group, "params": self._listed(group["params"])} for group in groups]
        else:
            self.param_groups = [{**defaults, "params": groups}]
        self.state: dict[int, dict[str, np.ndarray]] = {}  # index of the parameter -> its running averages
        self._check_parameters()
        for group in self.param_groups:
            self.check_options(group)

    def _listed(self, params) -> list:
        if isinstance(params, Tensor):
            return [params]
        if not isinstance(params, Iterable):
            raise ArgumentError(
                f"{type(self).__name__} takes parameters, got {type(params).__name__}; pass model.parameters()"
            )
        return list(params)

    def _check_keys(self, group, known: list[str]) -> None:
        if not isinstance(group, dict) or "params" not in group:
            raise ArgumentError(
                f"{type(self).__name__}: a group is a dict such as {{'params': [...], 'lr': 0.1}}, got {group!r}"
            )
        for key in group:
            if key not in known:
                raise ArgumentError(f"{type(self).__name__} has no option {key!r}; {suggest(key, known)}")

    def _check_parameters(self) -> None:
        name, seen = type(self).__name__, set()
        for _, parameter, _ in self.numbered():
            if not isinstance(parameter, Tensor):
                raise ArgumentError(f"{name} takes parameters, got {type(parameter).__name__}; pass model.parameters()")
            if not parameter.is_leaf:
                raise ArgumentError(
                    f"{name} cannot update a result of other tensors (shape {parameter.shape}); "
                    "pass leaves, such as nn.Parameter"
                )
            if id(parameter) in seen:
                raise ArgumentError(
                    f"{name} was given one parameter twice, of shape {parameter.shape}; it would be updated twice"
                )
            seen.add(id(parameter))
        if not seen:
            raise ArgumentError(
                f"{name} was given no parameters; pass model.parameters() (a generator: it can be used once only)"
            )

    def check_options(self, group: dict) -> None:
        """Complain about values that make no sense, whether from the constructor, a group of its own or a saved one."""
        name = type(self).__name__
        for option, value in group.items():
            if option in self.flags:
                if not isinstance(value, (bool, np.bool_)):
                    raise ArgumentError(f"{name}: {option} must be True or False, got {value!r}")
            elif option != "params" and not isinstance(value, tuple):
                checks.number(name, option, value)

    def _check_below_one(self, group: dict, option: str, consequence: str) -> None:
        value = group[option]
        if value >= 1:
            raise ArgumentError(
                f"{type(self).__name__}: {option} must be below 1, such as 0.9, got {value!r}; else {consequence}"
            )

    def numbered(self) -> Iterable[tuple[int, Parameter, dict]]:
        """(index, parameter, its group) over all groups."""
        index = 0
        for group in self.param_groups:
            for parameter in group["params"]:
                yield index, parameter, group
                index += 1

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Forget all gradients (set to None, as by PyTorch's default); before each backward, since they accumulate."""
        for _, parameter, _ in self.numbered():
            parameter.grad = None

    def step(self) -> None:
        """Update every parameter that has a gradient."""
        # an exploding rate shows as inf and NaN, not as NumPy warnings
        with np.errstate(all="ignore"), running.updating(self):
            for index, parameter, group in self.numbered():
                if parameter.grad is not None:
                    if parameter.grad.shape != parameter.shape:
                        raise ShapeError(
                            f"{type(self).__name__}: parameter {index} has shape {parameter.shape}, but its gradient "
                            f"has {parameter.grad.shape}"
                        )
                    self.update(parameter, self._state_of(index, parameter), group)

    def _state_of(self, index: int, parameter: Parameter) -> dict:
        """A parameter's running averages, in its dtype and on its device: the model may have been converted or moved
        since the last step."""
        state = self.state.setdefault(index, {})
        parameter.grad = parameter.grad.astype(parameter.dtype, copy=False)
        for name, value in state.items():
            if is_array(value):
                state[name] = to_device(value.astype(parameter.dtype, copy=False), parameter.device)
        return state

    def update(self, parameter: Parameter, state: dict, group: dict) -> None:
        """Change one parameter in place; ``state`` is its own, to keep running averages in."""
        raise UnfinishedError(f"{type(self).__name__} needs an update(self, parameter, state, group)")

    def state_dict(self) -> dict:
        """Running averages by parameter index, and the groups' options."""
        options = [{k: v for k, v in group.items() if k != "params"} for group in self.param_groups]
        return {"state": self.state, "groups": options}

    def load_state_dict(self, saved: dict) -> None:
        """Go on from a ``state_dict`` (arrays are copied)."""
        if not isinstance(saved, dict) or not {"groups", "state"} <= saved.keys():
            raise FileError(f"{type(self).__name__}.load_state_dict takes what its state_dict() gave: groups and state")
        if len(saved["groups"]) != len(self.param_groups):
            raise FileError(f"the saved optimiser has {len(saved['groups'])} groups, this one {len(self.param_groups)}")
        for group, options in zip(self.param_groups, saved["groups"]):
            for option in options:
                if option == "params" or option not in group:
                    raise FileError(f"the saved optimiser has the option {option!r}, {type(self).__name__} has not")
            self.check_options({**group, **options})
        parameters = {index: parameter for index, parameter, _ in self.numbered()}
        for index, values in saved["state"].items():
            for name, value in values.items():
                holds = is_array(value)
                if index not in parameters or (holds and value.shape != parameters[index].shape):
                    raise FileError(f"the saved optimiser's {name} of parameter {index} does not fit this model")
        self.state = {i: {k: v.copy(order="K") if is_array(v) else v for k, v in values.items()}
                      for i, values in saved["state"].items()}  # fmt: skip
        for group, options in zip(self.param_groups, saved["groups"]):
            group.update(options)
