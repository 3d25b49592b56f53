"""Check a gradient against finite differences, and say what kind of mistake it is.

The gradient of a number L by one element x_i is the slope of L when only x_i moves::

    dL/dx_i  ~  (L(x_i + eps) - L(x_i - eps)) / (2 eps)            central difference, error O(eps^2) + rounding / eps

A function with many outputs y is made one number by L = sum w * y with fixed random weights w (never near 0): every
output counts, and none can cancel another, as it may in a plain sum. What the backward says for the upstream gradient w
must equal the slope, within ``atol + rtol * max(|analytic|, |numeric|)`` and the rounding error of the difference itself.
"""
from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from .errors import ArgumentError, MinicnnError, ShapeError
from .gradcheck_diagnosis import Findings, diagnose
from .gradcheck_subjects import FunctionSubject, PairSubject, Trouble
from .tensor import as_array

UNIT = np.finfo(np.float64).eps
DIRECTIONS = 12  # random directions for an input that is too large to check element by element
SAMPLE = 64  # and so many single elements
