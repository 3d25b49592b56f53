"""Picture files as arrays, by Pillow."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator

import numpy as np

from ..errors import DataError

#: Pillow reads more, but of some formats by starting other programs (PostScript), which no stranger's file should.
FORMATS = ("JPEG", "PNG", "PPM", "BMP", "GIF", "WEBP", "TIFF", "MPO", "JPEG2000", "AVIF")


def endings() -> set[str]:
    """Endings of the files that are read, such as ".png"."""
    from PIL import Image

    return {ending for ending, kind in Image.registered_extensions().items() if kind in _formats()}


def _formats() -> list[str]:
    from PIL import Image

    Image.init()  # learns what this Pillow was built with
    return [kind for kind in FORMATS if kind in Image.OPEN]


@contextlib.contextmanager
def naming(path: str | os.PathLike, remedy: str = "") -> Iterator[None]:
    """Whatever goes wrong with a picture becomes a DataError that names it, and says what to do."""
    try:
        yield
    except Exception as error:  # of a damaged file, Pillow's decoders raise almost anything
        raise DataError(f"{path} cannot be read as a picture ({type(error).__name__}: {error}){remedy}") from None


def channels(path: str | os.PathLike) -> int:
    """1 for a grey picture, 3 for a coloured one."""
    from PIL import Image

    with Image.open(path, formats=_formats()) as picture:
        return 1 if picture.mode in ("1", "L", "LA", "La", "F") or picture.mode.startswith("I") else 3


def size(path: str | os.PathLike, whole: bool = False) -> tuple[int, int]:
    """Width and height as shown, from the file's head; ``whole`` reads all of it, to see that it can be."""
    from PIL import Image

    with Image.open(path, formats=_formats()) as picture:
        orientation = _orientation(picture)
        if whole:
            picture.load()
        return picture.size[::-1] if orientation in (5, 6, 7, 8) else picture.size  # these lie on their sides


def _orientation(picture) -> int:
    """EXIF orientation, 1 to 8, of a picture just opened; 1 is upright."""
    if picture.format == "PNG" and "exif" not in picture.info:
        return 1  # Pillow would read the whole file in search of one
    return picture.getexif().get(0x0112, 1)


def read(path: str | os.PathLike, channels: int, size: int | None = None) -> np.ndarray:
    """Read a picture upright; with ``size``, its shorter side resized to that and the centre cut out.

    Returns
    -------
    float32 array, (C, H, W), 0 to 1
    """
    from PIL import Image, ImageOps

    with Image.open(path, formats=_formats()) as opened:
        picture = opened if _orientation(opened) == 1 else ImageOps.exif_transpose(opened)
        if picture.mode.startswith("I"):  # 16 bits, which convert() would clip at 255
            picture = Image.fromarray((np.asarray(picture).clip(0, 65535) // 257).astype(np.uint8))
        if picture.mode == "P":  # transparent colours of a palette have no way to RGB but this
            picture = picture.convert("RGBA")
        picture = picture.convert("L" if channels == 1 else "RGB")
        if size is not None:
            picture = ImageOps.fit(picture, (size, size), Image.Resampling.BILINEAR)
        image = np.asarray(picture, np.float32) / 255  # (H, W) or (H, W, C)
    return np.ascontiguousarray(image[None] if channels == 1 else image.transpose(2, 0, 1))
