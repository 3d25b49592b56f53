"""What a network got right and wrong, from its probabilities."""

from __future__ import annotations

import numpy as np

from .metrics import Evaluation


def evaluation(probabilities: np.ndarray, labels: np.ndarray) -> Evaluation:
    """Accuracy, top-5 and confusion matrix from probabilities (N, K) and labels (N,)."""
    result = Evaluation()
    of_label = np.take_along_axis(probabilities, labels[:, None], 1)
    result.add(float(-np.log(np.maximum(of_label, 1e-30)).mean()), probabilities, labels)
    return result


def worst_mistakes(probabilities: np.ndarray, labels: np.ndarray, most: int = 24) -> np.ndarray:
    """Numbers of the images that were taken for something else, those first where the network was surest.

    >>> worst_mistakes(np.array([[0.9, 0.1], [0.2, 0.8], [0.4, 0.6]]), np.array([1, 0, 1])).tolist()
    [0, 1]
    """
    said = probabilities.argmax(1)
    sure = probabilities.max(1)
    wrong = np.flatnonzero(said != labels)
    return wrong[np.argsort(-sure[wrong], kind="stable")][:most]


def draw_mistakes(recogniser, dataset, probabilities: np.ndarray, labels: np.ndarray, worst: np.ndarray, path):
    """A picture of the worst mistakes, each with what it is and what the network said; returns the Figure."""
    from .data import show, transforms

    side = 96
    images = []
    for i in worst:
        image = transforms.Resize(side)(dataset[int(i)][0])
        images.append(np.clip(transforms.CenterCrop(side)(image), 0, 1))
    names = [" ".join(name.split()) for name in recogniser.classes]  # a line break would look like the next caption
    captions = [
        f"{names[labels[i]]}\nnot {names[probabilities[i].argmax()]}, {100 * probabilities[i].max():.0f} %"
        for i in worst
    ]
    return show(images, captions, path=path, title=f"the worst mistakes on {dataset.name}: what it is, what was said")
