"""``minicnn warmup``: compile now, not in the middle of a lesson."""

from __future__ import annotations

import time

import click

BATCH = 2  # images of a model's step: the fewest that batch-norm learns from


@click.command()
@click.option("--float64", is_flag=True, help="Compile for float64 too (gradient checks use it).")
@click.option("--model", metavar="NAME", help="Only what a training step of this model needs, such as resnet18.")
def warmup(float64: bool, model: str | None) -> None:
    """Compile the CPU kernels now, so that the first real use does not wait; says how long it took."""
    import numpy as np

    from . import kernels
    from .kernels.announce import announced_by

    compiled: list[str] = []

    def told(line: str) -> None:
        compiled.append(line)
        click.echo(line, err=True)

    dtypes = (np.float32, np.float64) if float64 else (np.float32,)
    start = time.perf_counter()
    with kernels.use_room("cpu"), announced_by(told):
        if model is None:
            _all_kernels(dtypes)
        else:
            _one_step(model, dtypes)
    seconds = time.perf_counter() - start
    what = f"compiled {len(compiled)} functions" if compiled else "nothing to compile, all was in the cache"
    click.echo(f"{what}: {seconds:.1f} s in all, with {kernels.get_num_threads()} threads")


def _all_kernels(dtypes: tuple) -> None:
    import numpy as np

    from . import kernels
    from .kernels.samples import samples

    todo = [(name, arguments, dtype) for dtype in dtypes for name, arguments in samples(dtype)]
    for k, (name, arguments, dtype) in enumerate(todo, start=1):
        click.echo(f"{k:3d} of {len(todo)}  {name} ({np.dtype(dtype).name})")
        kernels.KERNELS[name](*arguments)


def _one_step(name: str, dtypes: tuple) -> None:
    """Forward, backward and update on images of the paper's size: which convolutions there are depends on it."""
    import numpy as np

    from . import functional as F
    from . import models, optim
    from .tensor import Tensor

    for dtype in map(np.dtype, dtypes):
        model = models.get_model(name)
        size = models.input_size(name, model)
        images = np.random.default_rng(0).standard_normal((BATCH, *size)).astype(dtype)
        click.echo(f"a training step of {name} on {BATCH} images {'x'.join(map(str, size))} ({dtype.name})")
        model.to(dtype.name).train()
        optimizer = optim.SGD(model.parameters(), 0.01, momentum=0.9, weight_decay=1e-4)
        outputs, labels = model(Tensor(images)), np.zeros(BATCH, np.int64)
        own = hasattr(outputs, "loss")  # GoogLeNet's, of three heads
        (outputs.loss(F.cross_entropy, labels) if own else F.cross_entropy(outputs, labels)).backward()
        optimizer.step()
