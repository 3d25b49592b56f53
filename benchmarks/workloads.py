"""What is timed: models in training and in inference, single operations, and the bounds that the project set itself."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field


@dataclass(frozen=True)
class Work:
    """One line of the table.

    Attributes
    ----------
    name : str
    model : str
        Of ``models.get_model``, or a row of ``nn`` layers, such as ``"Conv2d(3, 64, 3), ReLU()"``.
    shape : tuple of int
        Of the input, with the batch.
    kind : str
        "train": forward, cross-entropy, backward, SGD with momentum 0.9 (``momentum``). "infer": forward without a
        graph, in evaluation mode. "forward": the same in training mode. "both": forward and all gradients, of the
        input too.
    options : dict
        Of the model, such as its variant.
    momentum : float
    group : str
        Lines of one group share their processes, unless they train: then memory is measured, in fresh ones.
    bound : float or None
        Our time over PyTorch's must not be more.
    quick : bool
        One of the few of ``--quick``.
    """

    name: str
    model: str
    shape: tuple[int, ...]
    kind: str
    options: dict = field(default_factory=dict)
    momentum: float = 0.9
    group: str = ""
    bound: float | None = None
    quick: bool = False

    def request(self) -> dict:
        return asdict(self)

    @property
    def measures_memory(self) -> bool:
        return self.kind == "train"


MEMORY_BOUND = 1.1  # peak of the training step, ours / PyTorch's
INFERENCE_BOUND = 1.1
PAPERS = [  # name, variant or None, images, batches of training, bound of training
    ("vgg11", None, 224, (8, 16), 1.0),
    ("vgg16", None, 224, (8, 16), 1.0),
    ("resnet18", None, 224, (8, 16), 1.0),
    ("resnet34", None, 224, (8, 16), 1.0),
    ("plain20", None, 32, (128,), 1.0),
    ("resnet20", None, 32, (128,), 1.0),
    ("resnet56", None, 32, (128,), 1.0),
    ("alexnet", "paper", 224, (8,), 1.2),
    ("alexnet", "lecture", 227, (8,), 1.2),
    ("alexnet", "torchvision", 224, (8,), 1.2),
    ("zfnet", None, 224, (8,), 1.2),
    ("googlenet", None, 224, (8,), 1.2),
    ("resnet50", None, 224, (8,), 1.2),
    ("preact_resnet18", None, 224, (8,), 1.2),
    ("preact_resnet50", None, 224, (8,), 1.2),
    ("resnext50_32x4d", None, 224, (8,), 1.2),
    ("mobilenet_v1", None, 224, (16,), 1.3),
    ("mobilenet_v2", None, 224, (16,), 1.3),
    ("shufflenet_v1", None, 224, (16,), 1.3),
    ("shufflenet_v2", None, 224, (16,), 1.3),
]
QUICK = ("resnet20", "shufflenet_v2")

SMALL_STEP = Work(
    name="small step b32", model="Conv2d(3, 64, 3, padding=1), ReLU(), MaxPool2d(2), Flatten(), Linear(16384, 10)",
    shape=(32, 3, 32, 32), kind="train", momentum=0.0, group="small step", bound=1.0, quick=True,
)  # fmt: skip

# name: layers, input shape
OPERATIONS = {
    "conv 3x3 64 @56 b8": ("Conv2d(64, 64, 3, padding=1, bias=False)", (8, 64, 56, 56)),
    "conv 3x3/2 64-128 @56 b8": ("Conv2d(64, 128, 3, stride=2, padding=1, bias=False)", (8, 64, 56, 56)),
    "conv 3x3 128 @28 b8": ("Conv2d(128, 128, 3, padding=1, bias=False)", (8, 128, 28, 28)),
    "conv 3x3/2 128-256 @28 b8": ("Conv2d(128, 256, 3, stride=2, padding=1, bias=False)", (8, 128, 28, 28)),
    "conv 3x3 256 @14 b8": ("Conv2d(256, 256, 3, padding=1, bias=False)", (8, 256, 14, 14)),
    "conv 3x3/2 256-512 @14 b8": ("Conv2d(256, 512, 3, stride=2, padding=1, bias=False)", (8, 256, 14, 14)),
    "conv 3x3 512 @7 b8": ("Conv2d(512, 512, 3, padding=1, bias=False)", (8, 512, 7, 7)),
    "conv 3x3 64 @56 b16": ("Conv2d(64, 64, 3, padding=1, bias=False)", (16, 64, 56, 56)),
    "conv 3x3 512 @7 b16": ("Conv2d(512, 512, 3, padding=1, bias=False)", (16, 512, 7, 7)),
    "conv 3x3 16 @32 b128": ("Conv2d(16, 16, 3, padding=1, bias=False)", (128, 16, 32, 32)),
    "conv 7x7/2 3-64 @224 b8": ("Conv2d(3, 64, 7, stride=2, padding=3, bias=False)", (8, 3, 224, 224)),
    "conv 1x1 256-64 @56 b8": ("Conv2d(256, 64, 1, bias=False)", (8, 256, 56, 56)),
    "conv 1x1/2 64-128 @56 b8": ("Conv2d(64, 128, 1, stride=2, bias=False)", (8, 64, 56, 56)),
    "conv 3x3 depthwise 128 @56 b8": ("Conv2d(128, 128, 3, padding=1, groups=128, bias=False)", (8, 128, 56, 56)),
    "conv 3x3 32 groups 128 @56 b8": ("Conv2d(128, 128, 3, padding=1, groups=32, bias=False)", (8, 128, 56, 56)),
    "batch-norm 64 @56 b8": ("BatchNorm2d(64)", (8, 64, 56, 56)),
    "batch-norm, ReLU 64 @56 b8": ("BatchNorm2d(64), ReLU()", (8, 64, 56, 56)),
    "max-pool 3x3/2 64 @112 b8": ("MaxPool2d(3, stride=2, padding=1)", (8, 64, 112, 112)),
    "LRN 96 @55 b8": ("LocalResponseNorm(5, 1e-4, 0.75, 2.0, average=False)", (8, 96, 55, 55)),
    "linear 4096-4096 b8": ("Linear(4096, 4096)", (8, 4096)),
    "linear 512-1000 b128": ("Linear(512, 1000)", (128, 512)),
}
QUICK_OPERATIONS = ("conv 3x3 64 @56 b8", "conv 3x3 512 @7 b8", "batch-norm, ReLU 64 @56 b8")


def all_work() -> list[Work]:
    """In the order of the table: the small step, single operations, models in training, models in inference."""
    return [SMALL_STEP, *_operations(), *_training(), *_inference()]


def _operations() -> list[Work]:
    return [
        Work(f"{name} {label}", layers, shape, kind, group="operations", quick=name in QUICK_OPERATIONS)
        for name, (layers, shape) in OPERATIONS.items()
        for kind, label in (("forward", "forward"), ("both", "forward + backward"))
    ]


def _training() -> list[Work]:
    return [
        Work(f"{_title(name, variant)} step b{batch}", name, (batch, 3, size, size), "train", _options(variant),
             group=f"{_title(name, variant)} {batch}", bound=bound, quick=name in QUICK)
        for name, variant, size, batches, bound in PAPERS
        for batch in batches
    ]  # fmt: skip


def _inference() -> list[Work]:
    return [
        Work(f"{_title(name, variant)} inference b{batch}", name, (batch, 3, size, size), "infer", _options(variant),
             group="inference", bound=INFERENCE_BOUND, quick=name in QUICK)
        for name, variant, size, _, _ in PAPERS
        for batch in (1, 16)
    ]  # fmt: skip


def _title(name: str, variant: str | None) -> str:
    return name if variant is None else f"{name} ({variant})"


def _options(variant: str | None) -> dict:
    return {} if variant is None else {"variant": variant}
