# mistake: the padding is counted once, not on both sides
# loses: shapes, parameters, multiply_adds, memory
# says: both sides
# variants: dilated, floor
"""Exercise 12: what a network costs, and how far it sees."""

EXERCISE = "ex12_cost_table"
VARIANT = "ceil"


def table(layers, image):
    """Rows: dicts with shape, parameters, multiply_adds, memory, field, jump; for dicts ``layers``, image (C, H, W)."""
    rows, (c, h, w), field, jump = [], image, 1, 1
    for layer in layers:
        if layer["kind"] == "linear":
            weights, biases = layer["outputs"] * c * h * w, layer["outputs"] * layer["bias"]
            c, h, w = layer["outputs"], 1, 1
        else:
            k = layer.get("dilation", 1) * (layer["kernel"] - 1) + 1
            h, w = places(h, k, layer), places(w, k, layer)
            weights = biases = 0
            if layer["kind"] == "conv":
                weights = layer["filters"] * (c // layer["groups"]) * layer["kernel"] ** 2
                biases = layer["filters"] * layer["bias"]
                c = layer["filters"]
            field += (k - 1) * jump
            jump *= layer["stride"]
        row = {"shape": (c, h, w), "parameters": weights + biases, "multiply_adds": weights * h * w}
        rows.append({**row, "memory": 4 * c * h * w, "field": field, "jump": jump})
    return rows


def places(n, k, layer):
    """How many places a window of k pixels finds among n."""
    s, p = layer["stride"], layer["padding"]
    if VARIANT != "ceil" or layer["kind"] == "conv":
        return (n + p - k) // s + 1
    count = -(-(n + p - k) // s) + 1
    return count - 1 if (count - 1) * s >= n + p else count


def total(rows):
    """A dict: the sums of parameters and multiply_adds, and the largest memory, of the rows of a table."""
    sums = {key: sum(row[key] for row in rows) for key in ("parameters", "multiply_adds")}
    return {**sums, "memory": max(row["memory"] for row in rows)}
