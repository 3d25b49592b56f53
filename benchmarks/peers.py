"""The small step (``small_step/shared.py``) in other frameworks that run on the CPU: ``make bench-peers``.

Each has an environment of its own below ``--venvs``, made with pip when it is missing. All take the same three steps
and must report the same losses; then they are timed in turn. Times are ratios to PyTorch in the better of its two
memory formats (above 1: slower than PyTorch). What cannot be installed or run is a line with the reason.
"""

from __future__ import annotations

import argparse
import json
import os
import pathlib
import statistics
import subprocess
import sys
import venv

import machine
from sides import Side, SideError, in_turn
from small_step import shared
from tqdm import tqdm

STEPS = pathlib.Path(__file__).parent / "small_step"
AT_LEAST, LONGEST = 0.3, 60.0  # seconds of a round, and of all rounds of one peer
AGREE = 1.5e-5  # of each loss, which is given with five digits
OLD_SETUPTOOLS = "setuptools<81"  # the last with pkg_resources, which old packages need to build and to run
PEERS = {  # name: what pip installs; old packages want the NumPy of their time
    "tinygrad": ["tinygrad==0.10.0", "llvmlite==0.43.0", "numpy<2"],
    "dezero": ["dezero==0.0.13", "matplotlib", "numpy<1.24"],
    "chainer": ["chainer==7.8.1", "numpy<1.24", OLD_SETUPTOOLS],
    "mygrad": ["mygrad==2.3.0", "numpy<2"],
    "numpy-ml": ["numpy-ml==0.1.2", "numpy<1.24"],
}

FORMATS = ("contiguous", "channels_last")
VENVS = pathlib.Path(os.environ.get("XDG_CACHE_HOME", "~/.cache")).expanduser() / "minicnn" / "peers"


def environment(name: str, folder: pathlib.Path, packages: list[str]) -> pathlib.Path:
    """The interpreter of a peer's environment, which is made if these packages are not there as wanted.

    Raises
    ------
    SideError
        If pip fails, with the last thing that it said.
    """
    home = folder / name
    python = home / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    stamp, wanted = home / "installed", "\n".join(packages) + "\n"
    if not stamp.exists() or stamp.read_text() != wanted:
        venv.create(home, with_pip=True, clear=True)
        command = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *packages]
        constraints = home / "constraints.txt"
        constraints.write_text(OLD_SETUPTOOLS + "\n")
        pip = os.environ | {"PIP_CONSTRAINT": str(constraints)}  # also where pip builds
        done = subprocess.run(command, capture_output=True, text=True, env=pip)
        if done.returncode:
            raise SideError(f"does not install: {_last_line(done.stderr)}")
        stamp.write_text(wanted)
    return python


def _last_line(text: str) -> str:
    lines = [line for line in text.splitlines() if line.strip()]
    errors = [line for line in lines if "error" in line.lower()]
    return (errors or lines or ["no reason given"])[-1].strip()


def own_sides(threads: int) -> dict[str, Side]:
    """minicnn and PyTorch, in this interpreter."""
    ours = Side("minicnn", [sys.executable, str(STEPS / "minicnn_step.py"), str(threads)], threads)
    command = [sys.executable, str(STEPS / "torch_step.py"), str(threads)]
    return {"minicnn": ours} | {f"torch {f}": Side(f"torch {f}", [*command, f], threads) for f in FORMATS}


def peer_side(name: str, folder: pathlib.Path, threads: int) -> Side:
    script = STEPS / f"{name.replace('-', '_')}_step.py"
    return Side(name, [str(environment(name, folder, PEERS[name])), str(script), str(threads)], threads)


def checked_losses(side: Side) -> list[float]:
    """The losses of three steps; raises SideError if they are not those that all have."""
    losses = side.ask("prepare")["losses"]
    off = max(abs(a - b) for a, b in zip(losses, shared.LOSSES, strict=True))
    if not off <= AGREE:
        raise SideError(f"other losses: {', '.join(f'{loss:.5f}' for loss in losses)}")
    return losses


def read_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--venvs", type=pathlib.Path, default=VENVS, help="their environments (default %(default)s)")
    parser.add_argument("--only", nargs="+", choices=PEERS, default=list(PEERS), help="some of them")
    parser.add_argument("--rounds", type=int, default=5, help="at most so many; 0: only check the losses")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--out", type=pathlib.Path, default=pathlib.Path(__file__).with_name("peers.json"))
    return parser.parse_args()


def main() -> None:
    options = read_options()
    facts = machine.facts(options.threads)
    print(f"{facts['cpu']}, {options.threads} threads, float32; load at the start {facts['load']:.1f}")
    print(f"the losses of all must be {', '.join(map(str, shared.LOSSES))}\n")
    print(f"{'framework':<22}{'ms':>10}{'/ PyTorch':>11}{'spread':>14}  losses")
    own, results = own_sides(options.threads), {}
    try:
        for name in (bar := tqdm([*own, *options.only], unit="framework", leave=False, disable=None)):
            bar.set_description(name)
            try:
                side = own[name] if name in own else peer_side(name, options.venvs, options.threads)
                results[name] = _measured(side, own, options.rounds)
            except SideError as error:
                results[name] = {"error": str(error)}
            with tqdm.external_write_mode():
                print(_row(PEERS[name][0] if name in PEERS else name, results[name]), flush=True)
            options.out.write_text(json.dumps({"machine": facts, "results": results}, indent=1) + "\n")
    finally:
        for side in own.values():
            side.stop()
    sys.exit("some losses differ" if any("other losses" in r.get("error", "") for r in results.values()) else 0)


def _measured(side: Side, own: dict[str, Side], rounds: int) -> dict:
    """Losses and, against PyTorch in the same rounds, times."""
    references = [own[f"torch {f}"] for f in FORMATS]
    try:
        losses = checked_losses(side)
        for reference in references:
            if reference.process is None:
                checked_losses(reference)
        if not rounds:
            return {"losses": losses}
        seconds = in_turn(list({s.name: s for s in (side, *references)}.values()), rounds, AT_LEAST, LONGEST)
    finally:
        if side.name not in own:
            side.stop()
    best = min((seconds[r.name] for r in references), key=statistics.median)
    by_round = [a / b for a, b in zip(seconds[side.name], best)]
    median = statistics.median(seconds[side.name])
    ratio = median / statistics.median(best)
    return {"losses": losses, "ms": 1e3 * median, "ratio": ratio, "lowest": min(by_round), "highest": max(by_round)}


def _row(name: str, result: dict) -> str:
    if "error" in result:
        return f"{name:<22}  {result['error']}"
    losses = ", ".join(f"{loss:.5f}" for loss in result["losses"])
    if "ms" not in result:
        return f"{name:<22}{'':>35}  {losses}"
    spread = f"{result['lowest']:.2f}-{result['highest']:.2f}"
    return f"{name:<22}{result['ms']:>10.2f}{result['ratio']:>11.2f}{spread:>14}  {losses}"


if __name__ == "__main__":
    main()
