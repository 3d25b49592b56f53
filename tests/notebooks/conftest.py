"""The runner of the chapters is a script in notebooks/; it needs the extra [notebooks]."""

from __future__ import annotations

import pathlib
import sys

sys.path.append(str(pathlib.Path(__file__).parents[2] / "notebooks"))
