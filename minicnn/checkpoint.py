"""Checkpoints: everything that a training run needs to go on as if it had never stopped, bit for bit.

One safetensors file holds the arrays (weights, buffers, the optimiser's averages, running means of the weights) and, as
JSON in its header, the rest: the optimiser's options, the schedule's step, the random state, the position in the epoch,
the metrics so far, and a checksum. The newest is ``checkpoint.safetensors``; the one before is kept as
``checkpoint-before.safetensors``.
"""

from __future__ import annotations

import contextlib
import json
import os
import pathlib
import signal
import threading
import zlib
from collections.abc import Iterator
from types import FrameType

import numpy as np

from . import random, weights
from .device import device_of, is_array, to_device, to_numpy
from .errors import FileError
from .nn import Module
from .optim import EMA, Optimizer
from .optim.lr_scheduler import LRScheduler

NEWEST, BEFORE = "checkpoint.safetensors", "checkpoint-before.safetensors"


def save(
    folder: pathlib.Path, model: Module, optimizer: Optimizer, schedule: LRScheduler | None, progress: dict,
    ema: EMA | None = None,
) -> None:  # fmt: skip
    """Write a checkpoint; the newest one so far becomes the one before.

    Parameters
    ----------
    folder : path
    model, optimizer, schedule, ema
        Whose state is saved.
    progress : dict
        What else the caller needs to go on, of JSON's types.
    """
    arrays = {f"model.{name}": array for name, array in model.state_dict().items()}
    saved = optimizer.state_dict()
    numbers: dict[str, dict] = {}  # what an optimiser keeps beside arrays, such as Adam's step
    for index, values in saved["state"].items():
        for name, value in values.items():
            if is_array(value):
                arrays[f"optimizer.{index}.{name}"] = value
            else:
                numbers.setdefault(str(index), {})[name] = value
    if ema is not None:
        arrays.update({f"ema.{name}": array for name, array in ema.averages.items()})
    arrays = {name: to_numpy(array) for name, array in arrays.items()}
    notes = {
        "progress": progress,
        "optimizer": {"groups": saved["groups"], "numbers": numbers},
        "schedule": None if schedule is None else schedule.state_dict(),
        "ema": None if ema is None else ema.t,
        "random": random.state.get(),
        "checksum": _checksum(arrays),
    }
    newest, written = folder / NEWEST, folder / "checkpoint-new.safetensors"
    weights.save(arrays, written, {"minicnn": json.dumps(notes)})  # a full disk stops here, with both old ones intact
    with contextlib.suppress(FileNotFoundError):  # the first checkpoint of a run has none before it
        os.replace(newest, folder / BEFORE)
    os.replace(written, newest)


def restore(
    folder: pathlib.Path, model: Module, optimizer: Optimizer, schedule: LRScheduler | None, ema: EMA | None = None
) -> tuple[dict, str]:
    """Load the newest good checkpoint of a folder into model, optimiser, schedule, running means and random state.

    Returns
    -------
    progress : dict
        What was given to :func:`save`.
    message : str
        Empty, or why the newest checkpoint could not be used and the one before was.

    Raises
    ------
    FileError
        If there is no checkpoint, none can be read, or it belongs to another model.
    """
    complaints = []
    for name in (NEWEST, BEFORE):
        try:
            arrays, notes = _read(folder / name)
        except FileError as error:
            complaints.append(str(error))
            continue
        _put_back(arrays, notes, model, optimizer, schedule, ema)
        return notes["progress"], f"{complaints[0]}; going on from {name}" if complaints else ""
    raise FileError(f"no checkpoint to go on from in {folder}: {'; '.join(complaints)}")


def _checksum(arrays: dict[str, np.ndarray]) -> int:
    checksum = 0
    for name in sorted(arrays):
        checksum = zlib.crc32(np.ascontiguousarray(arrays[name]).tobytes(), checksum)
    return checksum


def _read(path: pathlib.Path) -> tuple[dict, dict]:
    arrays = weights.load(path)
    try:
        notes = json.loads(weights.load_metadata(path)["minicnn"])
    except (KeyError, ValueError):
        raise FileError(f"{path} is no checkpoint of minicnn") from None
    if notes["checksum"] != _checksum(arrays):
        raise FileError(f"{path} is damaged: its checksum is wrong")
    return arrays, notes


def _put_back(arrays, notes, model, optimizer, schedule, ema) -> None:
    for key, what, own in (("schedule", "a schedule", schedule), ("ema", "running means of the weights", ema)):
        if (notes.get(key) is None) != (own is None):
            has, lacks = ("this run", "the checkpoint") if own is not None else ("the checkpoint", "this run")
            raise FileError(f"{has} has {what}, {lacks} has none; go on with the options that the run began with")
    model.load_state_dict({k.removeprefix("model."): v for k, v in arrays.items() if k.startswith("model.")})
    state: dict[int, dict] = {int(index): dict(values) for index, values in notes["optimizer"]["numbers"].items()}
    parameters = {index: parameter for index, parameter, _ in optimizer.numbered()}
    for key, array in arrays.items():
        if key.startswith("optimizer."):
            index, name = key.removeprefix("optimizer.").split(".", 1)
            kept = np.empty_like(parameters[int(index)].data)  # in the parameter's memory layout
            kept[...] = to_device(array, device_of(kept))
            state.setdefault(int(index), {})[name] = kept
    groups = [{k: tuple(v) if isinstance(v, list) else v for k, v in g.items()} for g in notes["optimizer"]["groups"]]
    optimizer.load_state_dict({"state": state, "groups": groups})
    if schedule is not None:
        schedule.load_state_dict(notes["schedule"])
    if ema is not None:
        averages = {k.removeprefix("ema."): v for k, v in arrays.items() if k.startswith("ema.")}
        ema.load_state_dict({"t": notes["ema"], "averages": averages})
    random.state.set(notes["random"])


class StopAsked:
    """Set by Ctrl-C inside :func:`stopping_politely`."""

    asked = False


@contextlib.contextmanager
def stopping_politely() -> Iterator[StopAsked]:
    """In this block the first Ctrl-C only sets ``.asked``, so that a batch can end; the second one stops at once.

    A KeyboardInterrupt in the middle of an optimiser's step would leave half of the weights updated.
    """
    stop = StopAsked()
    if threading.current_thread() is not threading.main_thread():  # only the main thread may set handlers
        yield stop
        return

    def note(number: int, frame: FrameType | None) -> None:
        if stop.asked:
            raise KeyboardInterrupt
        stop.asked = True

    before = signal.signal(signal.SIGINT, note)
    try:
        yield stop
    finally:
        signal.signal(signal.SIGINT, before)
