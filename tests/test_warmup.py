"""``minicnn warmup`` compiles what will be needed, and says how long it took."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from command_line import command

import minicnn
from minicnn import kernels

TOTAL = re.compile(
    r"(compiled \d+ functions|nothing to compile, all was in the cache): \d+\.\d s in all, with \d+ threads"
)


def test_all_kernels_are_counted(capsys):
    """k of n for each kernel, and the time of all of them at the end."""
    assert command("warmup") == 0
    *lines, total = capsys.readouterr().out.strip().split("\n")
    assert [line.split()[:3] for line in lines] == [[str(k), "of", str(len(lines))] for k in range(1, len(lines) + 1)]
    assert len(lines) >= len(kernels.KERNELS) and TOTAL.fullmatch(total)


def test_a_step_of_one_model(capsys):
    """A model's step in both dtypes, where they are asked for."""
    assert command("warmup", "--model", "lenet5", "--float64") == 0
    *lines, total = capsys.readouterr().out.strip().split("\n")
    assert lines == [f"a training step of lenet5 on 2 images 1x32x32 (float{bits})" for bits in (32, 64)]
    assert TOTAL.fullmatch(total)


@pytest.mark.compiled
def test_a_model_with_several_heads(capsys):
    """Models that weigh their losses themselves have a step, too; sizes come from the model."""
    assert command("warmup", "--model", "googlenet") == 0
    assert "googlenet on 2 images 3x224x224 (float32)" in capsys.readouterr().out


def test_an_unknown_model_costs_one_line(capsys):
    assert command("warmup", "--model", "resnet19") == 2
    assert "resnet19" in capsys.readouterr().err


@pytest.mark.compiled
def test_afterwards_nothing_is_left_to_compile(tmp_path):
    """With an empty cache it says what it compiles and how many; then a training step of the model is silent."""
    environment = os.environ | {"PYTHONPATH": str(Path(minicnn.__file__).parents[1]), "NUMBA_CACHE_DIR": str(tmp_path)}
    environment |= {"MINICNN_ROOM": "cpu"}
    first, second = (
        subprocess.run(
            [sys.executable, "-m", "minicnn", "warmup", "--model", "lenet5"],
            env=environment, capture_output=True, text=True, timeout=300,
        )
        for _ in range(2)
    )  # fmt: skip
    assert first.returncode == 0, first.stderr
    announced = re.findall(r"minicnn: compiling", first.stderr)
    assert len(announced) > 3 and f"compiled {len(announced)} functions: " in first.stdout
    assert second.stderr == "" and "nothing to compile" in second.stdout
