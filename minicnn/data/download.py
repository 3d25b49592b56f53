"""Finding a published file on this machine, or fetching it: checksums, mirrors, an offline switch.

``MINICNN_DATA`` names a folder of data sets; without it they lie in the user's cache. ``MINICNN_OFFLINE=1`` forbids
downloads. Each data set has a subfolder there, so that MNIST's and Fashion-MNIST's files of one name do not meet;
``weights`` is that of the pretrained networks.
"""

from __future__ import annotations

import contextlib
import gzip
import hashlib
import os
import pathlib
import zlib
from collections.abc import Sequence

from ..errors import DataError, FileError
from ..files import replacing

#: data set -> a folder where an operating system's package puts it
SYSTEM = {"fashion-mnist": pathlib.Path("/usr/share/datasets/fashion-mnist")}


def roots() -> list[pathlib.Path]:
    """Folders of data sets, in the order they are searched: the user's (MINICNN_DATA), the cache."""
    import pooch

    own = os.environ.get("MINICNN_DATA")
    return [*([pathlib.Path(own).expanduser()] if own else []), pathlib.Path(pooch.os_cache("minicnn")) / "data"]


def places(folder: str) -> list[pathlib.Path]:
    """Where the files of a data set are looked for."""
    return [root / folder for root in roots()] + ([SYSTEM[folder]] if folder in SYSTEM else [])


def home(folder: str) -> pathlib.Path:
    """Where new files of a data set go: the user's folder, or the cache if there is none or it is read-only."""
    for root in roots():
        there = next(p for p in (root, *root.parents) if p.exists())
        if os.access(there, os.W_OK):
            return root / folder
    return roots()[0] / folder


def fetch(name: str, urls: Sequence[str], digest: str, folder: str, content: str | None = None) -> pathlib.Path:
    """Path of a published file: looked for in :func:`places`, otherwise downloaded to :func:`home`.

    Parameters
    ----------
    name : str
        The file's name.
    urls : sequence of str
        Its addresses; if one fails, the next is tried.
    digest : str
        Its published checksum, such as ``"md5:68b3..."``; where only its beginning is published, that is compared.
    folder : str
        The data set's subfolder.
    content : str, optional
        Checksum of the decompressed content, which then counts instead: who packs a file again changes the other one.

    Raises
    ------
    DataError
        The file is nowhere to be had, or is not the published one. Nothing half-written is left.
    """
    for place in places(folder):
        if (place / name).is_file():
            problem = _difference(place / name, digest, content)
            if problem:
                raise DataError(
                    f"{place / name} is damaged or another file: {problem}; remove it, and it is fetched again from "
                    f"{' or '.join(urls)}"
                )
            return place / name
    target = home(folder) / name
    by_hand = f"download it by hand from {' or '.join(urls)} and put it into {target.parent}"
    if os.environ.get("MINICNN_OFFLINE", "0") not in ("", "0"):
        raise DataError(f"{name} is not on this machine, and MINICNN_OFFLINE forbids downloads; {by_hand}")
    problems = []
    for url in urls:
        problem = _download(url, target, digest, content)
        if problem is None:
            return target
        problems.append(f"{url}: {problem}")
    with contextlib.suppress(OSError):
        target.parent.rmdir()  # only if it is empty
    raise DataError(f"{name} could not be downloaded ({'; '.join(problems)}); {by_hand}")


class _FailedError(Exception):
    """Leaves the block that replaces the target, so that nothing is replaced."""


def _download(url: str, target: pathlib.Path, digest: str, content: str | None) -> str | None:
    """Download to a temporary name, check, rename; returns what went wrong."""
    import pooch

    try:
        with replacing(target) as temporary:
            try:
                # requests' errors are OSErrors, and so are those of the disk; others come from malformed addresses
                pooch.HTTPDownloader(progressbar=True)(url, str(temporary), None)
            except (OSError, ValueError) as error:
                raise _FailedError(" ".join(str(error).split())) from None
            problem = _difference(temporary, digest, content)
            if problem:
                raise _FailedError(f"what came is not the published file, {problem}")
    except (_FailedError, FileError) as error:
        return str(error)
    return None


#: files found good, as (path, size, time of change, checksum): three splits of one archive want one look at it
_good: set[tuple] = set()


def _difference(path: pathlib.Path, digest: str, content: str | None) -> str | None:
    """How a file differs from the published one; None if it does not."""
    algorithm, expected = (content or digest).split(":")
    try:
        state = path.stat()
        seen = (path.resolve(), state.st_size, state.st_mtime_ns, content or digest)
        if seen in _good:
            return None
        with gzip.open(path) if content else open(path, "rb") as file:
            got = hashlib.file_digest(file, lambda: hashlib.new(algorithm, usedforsecurity=False)).hexdigest()
    except (OSError, EOFError, zlib.error) as error:
        return f"it cannot be read to the end ({error})"
    if got.startswith(expected):
        _good.add(seen)
        return None
    return f"its {'content' if content else 'file'} has {algorithm} {got}, published is {expected}"
