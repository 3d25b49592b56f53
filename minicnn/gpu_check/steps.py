"""A training step of whole networks against the CPU's."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from .. import functional as F
from .. import models, optim, random
from ..device import to_numpy
from ..tensor import tensor
from .report import FAILED, PASSED, Line, one_line

HEAD = ("network", "dtype", "error of the loss", "of the gradients", "of weights and statistics", "")
#: title, name, options, size of the images
NETWORKS = (
    ("LeNet-5", "lenet5", {}, (1, 32, 32)),
    ("ResNet-20", "resnet20", {}, (3, 32, 32)),
    ("small GoogLeNet with two more heads and LRN", "googlenet", {"width": 0.125, "variant": "paper"}, (3, 224, 224)),
    ("small MobileNet", "mobilenet_v1", {"width": 0.125}, (3, 64, 64)),
)
TOLERANCE = {"float32": 1e-3, "float64": 1e-9}
NOTE = (
    "One step from the same weights on the same images (SGD with momentum and weight decay): the device against the "
    "CPU. An error is the norm of a difference over the norm of what it should be (of all gradients together, of each "
    f"weight), the largest of them; up to {TOLERANCE['float32']:g} passes in float32, where a number near 0 may fall "
    f"on the other side of a ReLU, and {TOLERANCE['float64']:g} in float64."
)


def lines(device: str, quick: bool) -> Iterator[Line]:
    """One line for each network and dtype."""
    for title, name, options, size in NETWORKS[: 3 if quick else None]:
        for dtype in TOLERANCE:
            try:
                errors = _errors(*(step(name, options, size, dtype, where) for where in ("cpu", device)))
            except Exception as error:  # this network's line says it; the others go on
                yield Line(FAILED, (title, dtype, "", "", "", one_line(f"{type(error).__name__}: {error}")))
                continue
            bad = [what for what, error in errors.items() if not error <= TOLERANCE[dtype]]
            figures = (f"{error:.1e}" for error in errors.values())
            yield Line(FAILED if bad else PASSED, (title, dtype, *figures, f"too far: {', '.join(bad)}" if bad else ""))


def step(name: str, options: dict, size: tuple, dtype: str, device: str) -> dict[str, dict[str, np.ndarray]]:
    """The loss, the gradients, and the state after one step, by name."""
    random.manual_seed(0)
    model = models.get_model(name, num_classes=4, **options).to(dtype).to(device)
    optimizer = optim.SGD(model.parameters(), 0.01, momentum=0.9, weight_decay=1e-4)
    rng, count = np.random.default_rng(1), 4 if size[1] < 100 else 2
    images, labels = rng.standard_normal((count, *size)).astype(dtype), rng.integers(0, 4, count)
    outputs = model(tensor(images).to(device))
    loss = outputs.loss(F.cross_entropy, labels) if hasattr(outputs, "loss") else F.cross_entropy(outputs, labels)
    loss.backward()
    optimizer.step()
    gradients = {key: to_numpy(p.grad) for key, p in model.named_parameters() if p.grad is not None}
    state = {key: to_numpy(array) for key, array in model.state_dict().items()}
    return {"loss": {"loss": np.array(loss.item())}, "gradients": gradients, "weights": state}


def _errors(ours: dict, theirs: dict) -> dict[str, float]:
    """The largest error of each kind; infinite if one is not a number."""
    found = {}
    for kind, arrays in ours.items():
        together = float(np.sqrt(sum(np.square(a, dtype=np.float64).sum() for a in arrays.values())))
        errors = [
            np.linalg.norm(np.ravel(np.asarray(wanted, np.float64) - theirs[kind][key]))
            / (together if kind == "gradients" else max(float(np.linalg.norm(np.ravel(wanted))), 1e-3))
            for key, wanted in arrays.items()
        ]
        found[kind] = float(np.max(np.nan_to_num(errors, nan=np.inf)))
    return found
