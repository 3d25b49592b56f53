"""How good is a model on a loader?"""

from __future__ import annotations

from collections.abc import Callable

from . import functional as F
from .autograd import no_grad
from .data import Loader
from .device import to_numpy
from .errors import DataError
from .metrics import Evaluation
from .nn import Module
from .nn.modes import evaluating
from .tensor import as_array, as_tensor


@no_grad()
def evaluate(model: Module, loader: Loader, loss: Callable = F.cross_entropy) -> Evaluation:
    """Loss, top-1, top-5 and confusion matrix of a model on a loader; its modules' modes are restored afterwards."""
    average = Evaluation()
    with evaluating(model):
        for images, labels in loader:
            logits = model(as_tensor(images).to(model.device))
            average.add(loss(logits, labels).item(), to_numpy(logits.data), as_array(labels))
    if not average.images:
        raise DataError("evaluate: the loader gave no batch, so there is no mean; a generator can be used once only")
    return average
