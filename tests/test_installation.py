"""Importing, packaging, and machines where something is missing."""

from __future__ import annotations

import ast
import configparser
import os
import pathlib
import subprocess
import sys
import textwrap
import zipfile

import pytest

ROOT = pathlib.Path(__file__).resolve().parent.parent


def python(code: str, cwd=None, interpreter=sys.executable, **environment) -> str:
    """Run a script in a fresh interpreter; warnings are errors; returns what it printed."""
    result = subprocess.run(
        [interpreter, "-W", "error", "-c", textwrap.dedent(code)], cwd=cwd, capture_output=True, text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT) if cwd is None else "", **environment},
    )  # fmt: skip
    assert result.returncode == 0, result.stderr
    return result.stdout


def test_import_is_light():
    """import minicnn loads neither Numba nor matplotlib nor any other heavy package, and starts no thread."""
    out = python(
        """
        import sys, threading
        import minicnn
        heavy = {"numba", "scipy", "matplotlib", "sklearn", "safetensors", "tqdm", "click", "PIL", "torch", "cupy"}
        heavy |= {"pooch", "requests"}
        print(sorted(heavy & set(sys.modules)), threading.active_count())
        """
    )
    assert out.strip() == "[] 1"


def test_public_names_exist():
    """Everything in __all__, and the submodules that load at first use."""
    python(
        """
        import minicnn as mc
        modules = ["data", "functional", "kernels", "models", "nn", "optim", "plots", "training", "weights"]
        for name in [*mc.__all__, *modules]:
            assert getattr(mc, name) is not None, name
        assert callable(mc.gradcheck) and callable(mc.summary)
        from minicnn import *
        """
    )


LAYERS = ("kernels", "ops", "nn", "models", "training", "cli")


def imported_layers(path: pathlib.Path) -> set[str]:
    """Which of LAYERS a file imports when it is itself imported (imports inside functions do not count)."""
    names = set()
    for node in ast.parse(path.read_text()).body:
        if isinstance(node, ast.ImportFrom):
            names |= {*(node.module or "").split("."), *(alias.name for alias in node.names)}
        elif isinstance(node, ast.Import):
            names |= {part for alias in node.names for part in alias.name.split(".")}
    return names & set(LAYERS)


@pytest.mark.parametrize("layer", LAYERS)
def test_a_layer_imports_only_what_lies_below(layer):
    """kernels <- ops <- nn <- models <- training <- cli, never the other way."""
    folder = ROOT / "kernels" if layer == "kernels" else ROOT / "minicnn" / layer
    files = list(folder.rglob("*.py")) if folder.is_dir() else [folder.with_suffix(".py")]
    assert files
    above = set(LAYERS[LAYERS.index(layer) + 1 :])
    assert not {(str(f), found) for f in files for found in imported_layers(f) & above}


def test_kernels_stand_alone():
    """kernels imports nothing of minicnn and only relatively: it works as a package of its own."""
    out = python(
        """
        import sys, numpy as np, kernels
        with kernels.use_room("plain"):
            print(kernels.relu(np.array([-1.0, 2.0])).tolist())
        print([m for m in sys.modules if m.startswith("minicnn")])
        """
    )
    assert out.split("\n")[:2] == ["[0.0, 2.0]", "[]"]


WITHOUT_NUMBA = """
    import sys
    sys.modules["numba"] = None  # importing it raises ImportError, as a missing or a broken installation does
"""


def test_without_numba_the_plain_room_serves_with_one_notice():
    """A new Python or Pyodide has no Numba: everything works, slowly, and one warning says why and what to do."""
    out = python(
        WITHOUT_NUMBA
        + """
    import warnings
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        import numpy as np, minicnn as mc
        from minicnn import functional as F
        assert not seen, "importing must not warn"
        x = mc.tensor(np.ones((2, 3, 6, 6)), requires_grad=True)
        w = mc.tensor(np.ones((4, 3, 3, 3)), requires_grad=True)
        F.max_pool2d(F.relu(F.conv2d(x, w)), 2).sum().backward()
        mc.set_num_threads(1)
        remedy = "pip install --upgrade numba" in str(seen[0].message)
        print(mc.kernels.current_room(), len(seen), remedy, w.grad.sum() > 0)
        """
    )
    assert out.split() == ["plain", "1", "True", "True"]


def test_asking_for_the_cpu_room_without_numba_is_one_clear_line():
    out = python(
        WITHOUT_NUMBA
        + """
    import minicnn as mc
    try:
        mc.use_room("cpu")
    except mc.ArgumentError as error:
        print(error)
        """
    )
    assert "the cpu room needs Numba" in out and "pip install" in out


def test_doctor_without_numba_names_the_remedy():
    out = python(
        WITHOUT_NUMBA
        + """
    import warnings
    warnings.simplefilter("ignore")
    from minicnn.doctor import examine
    print("\\n".join(map(str, examine())))
        """
    )
    assert "plain: Numba is missing or does not work  -> pip install --upgrade numba" in out


def test_room_from_the_environment():
    code = "import minicnn as mc; print(mc.kernels.current_room())"
    assert python(code, MINICNN_ROOM="plain").strip() == "plain"
    assert python(code, MINICNN_ROOM="").strip() == "cpu"


def packages() -> set[str]:
    config = configparser.ConfigParser()
    config.read(ROOT / "setup.cfg")
    return set(config["options"]["packages"].split())


def test_setup_lists_every_package():
    """A new subpackage that setup.cfg does not name would be missing from the wheel."""
    found = {
        ".".join(p.parent.relative_to(ROOT).parts)
        for top in ("minicnn", "kernels")
        for p in (ROOT / top).rglob("__init__.py")
    }
    assert packages() == {name if name.startswith("minicnn") else f"minicnn.{name}" for name in found}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """Built from a copy of the tree, so that no build folder is left in it."""
    folder = tmp_path_factory.mktemp("wheel")
    tree = folder / "tree"
    tree.mkdir()
    names = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"], cwd=ROOT, capture_output=True, text=True
    ).stdout.split("\n")
    for name in filter(None, names):
        if (ROOT / name).is_file():
            (tree / name).parent.mkdir(parents=True, exist_ok=True)
            (tree / name).write_bytes((ROOT / name).read_bytes())
    command = [sys.executable, "-m", "build", "--wheel", "--outdir", str(folder), str(tree)]
    result = subprocess.run(command, capture_output=True, text=True)
    assert result.returncode == 0, result.stdout + result.stderr
    return next(folder.glob("*.whl"))


def test_wheel_holds_every_module_and_no_top_level_kernels(wheel):
    """Also what kernels are compiled from on the user's machine, and what experiments found: it is data to setuptools,
    which leaves data out."""
    names = zipfile.ZipFile(wheel).namelist()
    expected = {str(p.relative_to(ROOT)) for suffix in ("py", "md") for p in (ROOT / "minicnn").rglob(f"*.{suffix}")}
    expected |= {str(p.relative_to(ROOT)) for p in (ROOT / "minicnn" / "experiments" / "results").glob("*.json")}
    assert any(name.endswith("/task.md") for name in expected)
    for suffix in (".py", ".cu", ".h", ".cpp"):
        found = {f"minicnn/{p.relative_to(ROOT)}" for p in (ROOT / "kernels").rglob(f"*{suffix}")}
        assert found or suffix in (".h", ".cpp")
        expected |= found
    assert expected <= set(names)
    assert {n.split("/")[0] for n in names if not n.split("/")[0].endswith(".dist-info")} == {"minicnn"}


@pytest.mark.compiled
def test_wheel_works_outside_the_checkout_read_only(wheel, tmp_path):
    """Unpacked elsewhere, not writable, empty cache: kernels compile, results agree, the command line starts."""
    site = tmp_path / "site"
    zipfile.ZipFile(wheel).extractall(site)
    for path in [*site.rglob("*"), site]:
        path.chmod(0o555 if path.is_dir() else 0o444)
    before = {p for p in site.rglob("*")}
    out = python(
        """
        import os, minicnn as mc, numpy as np
        from minicnn import functional as F
        x, w = np.ones((1, 2, 4, 4), np.float32), np.ones((3, 2, 3, 3), np.float32)
        y = F.conv2d(x, w).data
        with mc.use_room("plain"):
            print(np.array_equal(y, F.conv2d(x, w).data), mc.__file__.startswith(os.environ["PYTHONPATH"]))
        from minicnn.kernels import cuda, lessons
        from minicnn.kernels.cuda import launcher
        kernels = cuda.declared() + lessons.declared()
        print(all("__global__" in launcher.source(kernel.file) for kernel in kernels))
        """,
        cwd=tmp_path, PYTHONPATH=str(site), XDG_CACHE_HOME=str(tmp_path / "cache"), PYTHONDONTWRITEBYTECODE="1",
    )  # fmt: skip
    assert out.split() == ["True", "True", "True"]
    assert {p for p in site.rglob("*")} == before
    for path in [site, *site.rglob("*")]:
        path.chmod(0o755)
