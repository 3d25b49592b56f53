"""A grey square moved over the image."""

from __future__ import annotations

import numpy as np

from ..autograd import no_grad
from ..nn import Module
from ..ops import checks
from ..progress import bar
from ..tensor import Tensor
from .scores import as_batch, check_logits, choose, examined, softmax

SCORES = ("probability", "logit")


def squares(height: int, width: int, size: int, stride: int) -> list[tuple[slice, slice]]:
    """Where the square lies, row by row: its centres are those of cells of ``stride`` pixels, its edge is cut off.

    >>> squares(4, 2, size=4, stride=2)
    [(slice(0, 3, None), slice(0, 2, None)), (slice(1, 4, None), slice(0, 2, None))]
    """

    def along(length: int) -> list[slice]:
        starts = [i + stride // 2 - size // 2 for i in range(0, length, stride)]
        return [slice(max(s, 0), min(s + size, length)) for s in starts]

    return [(rows, columns) for rows in along(height) for columns in along(width)]


def occlusion(
    model: Module, image, target: int | None = None, size: int | None = None, stride: int | None = None,
    value: float = 0.0, score: str = "probability", batch_size: int = 32, progress: bool = False,
) -> np.ndarray:  # fmt: skip
    """Cover a part of the image with a grey square: how much of the class's probability is lost?

        D_ij = p(class | image) - p(class | image with a square around cell (i, j))

    Zeiler & Fergus 2014, section 4.2 and figure 7 (d), which shows p; here it is what p lost, so that what matters is
    large, as in the other maps. Below 0: what was covered spoke against the class. It needs no gradient, only many
    runs of the network.

    Parameters
    ----------
    model : Module
        A classifier; left as it was.
    image : array, (C, H, W)
        Prepared as the model wants it.
    target : int, optional
        The class; left out, the one with the largest score.
    size : int, optional
        Side of the square in pixels; left out, a fifth of the image's shorter side.
    stride : int, optional
        Pixels between neighbouring squares; left out, a third of ``size``.
    value : float
        What the square is filled with; 0 is the mean grey of images that were normalised.
    score : {"probability", "logit"}
        What the loss is measured in.
    batch_size : int
        Images that run at once.
    progress : bool
        Show a bar.

    Returns
    -------
    array, (ceil(H / stride), ceil(W / stride)), float64
        Cell (i, j) covers the pixels from (i, j) * stride on.
    """
    op = "occlusion"
    x = as_batch(op, model, image)
    _, _, h, w = x.shape
    size = max(1, round(min(h, w) / 5)) if size is None else checks.whole(op, "size", size)
    stride = max(1, size // 3) if stride is None else checks.whole(op, "stride", stride)
    batch_size = checks.whole(op, "batch_size", batch_size)
    value = checks.number(op, "value", value, low=-np.inf)
    measure = {"probability": softmax, "logit": np.asarray}[checks.choice(op, "score", score, SCORES)]
    places = squares(h, w, size, stride)
    lost = np.empty(len(places))
    batches = range(0, len(places), batch_size)
    with examined(model), no_grad(), bar(len(batches), op, progress) as shown:
        whole = check_logits(op, model(Tensor(x)), 1).data[0]
        target = choose(op, whole, target)
        for start in batches:
            chosen = places[start : start + batch_size]
            covered = np.repeat(x, len(chosen), axis=0)  # (N, C, H, W)
            for picture, (rows, columns) in zip(covered, chosen):
                picture[:, rows, columns] = value
            logits = check_logits(op, model(Tensor(covered)), len(chosen)).data
            lost[start : start + len(chosen)] = measure(whole)[target] - measure(logits)[:, target]
            shown.update()
    return lost.reshape(-(-h // stride), -(-w // stride))
