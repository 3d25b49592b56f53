"""Every claim of the lecture (EECS 498-007, lecture 8, "CNN Architectures"), shown by an experiment or honestly not.

One file is one experiment, and its name says which: ``e01_receptive_field.py`` is E1, ``receptive-field``. Whoever puts
such a file here has an experiment: ``minicnn experiment list`` finds it, there is no list to be kept. It reads from top
to bottom like a page of a laboratory notebook::

    def measure(setup: Setup) -> Tables:        # the run: {"name of a table": [rows]}, plain words and numbers only
    def check(tables: Tables) -> list[Check]:   # the verdict: what was expected, what was found, whether it held
    def draw(tables: Tables):                   # the figure, by plots.new_figure
    EXPERIMENT = Experiment(__name__, measure, check, draw, title=..., claim=..., lecture=..., source=..., expected=...,
                            design=..., limits=..., errata=..., seeds=..., quick=...)

``check`` and ``draw`` see nothing but the tables. So a result that is kept (``results/NAME.json``) can be judged and
drawn again without a run, and a test can alter a number and see the verdict fall.

- ``measure`` draws all that is random from ``setup.seeds`` (``mc.manual_seed``, ``np.random.default_rng``); :func:`run`
  puts minicnn's own state of random numbers back afterwards. If ``setup.quick``, it does less; ``EXPERIMENT.quick``
  says what. A training shows ``with setup.bar(steps, "ResNet-8") as bar: ... bar.update()``.
- A column whose name ends in ``ms`` or ``seconds`` holds a time (the tests do not compare those), and a check of times
  says ``timed=True``. NaN and infinity, of a training that diverged, become None.
- A table whose name begins with "figure:" is for the figure alone, and is not printed.
- ``check`` makes its lines with :func:`equal`, :func:`at_most`, :func:`at_least`, :func:`between` or :class:`Check`.

::

    from minicnn import experiments

    experiments.names()                                  # ["receptive-field", "stages", ...]
    result = experiments.stored("receptive-field")       # or "E1"; no run
    result = experiments.run("receptive-field")          # runs it
    result.verdict, result.checks, result.tables, result.figure("e1.png")
    print(result)                                        # in a notebook, `result` alone shows tables and verdict

``minicnn experiment run NAME --store`` writes ``results/NAME.json``: the tables, the checks, and the command, seeds,
versions and time that made them.
"""

from __future__ import annotations

from .base import Check, Experiment, Setup, Tables, at_least, at_most, between, equal
from .finding import get, names
from .results import Result, run, stored, write

__all__ = [
    "Check",
    "Experiment",
    "Result",
    "Setup",
    "Tables",
    "at_least",
    "at_most",
    "between",
    "equal",
    "get",
    "names",
    "run",
    "stored",
    "write",
]
