"""Exercise 12: what a network costs, and how far it sees. The task is in task.md."""

EXERCISE = "ex12_cost_table"
VARIANT = "ceil"
HINTS = "full"


def table(layers, image):
    """Rows: dicts with shape, parameters, multiply_adds, memory, field, jump; for dicts ``layers``, image (C, H, W)."""
    raise NotImplementedError("write table")


def total(rows):
    """A dict: the sums of parameters and multiply_adds, and the largest memory, of the rows of a table."""
    raise NotImplementedError("write total")
