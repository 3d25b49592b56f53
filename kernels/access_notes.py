"""Where our kernels miss the aims of the access report, and why: a text for each, shown by ``minicnn kernels report``.

By how much, the report itself says. A test holds this list against it: whatever misses an aim is explained here, and
nothing else is.
"""

from __future__ import annotations

#: of all accesses to global memory; bytes moved for each that has to be; words of one bank in one request
EFFICIENCY, RATIO, CONFLICT = 0.90, 1.15, 2

COLUMNS = (
    "The im2col matrix holds every pixel KH*KW times; it is written, and read again by cuBLAS (or the other way "
    "round). That is the price of having NVIDIA's product do the arithmetic, and layers with few channels pay most. "
    "An implicit GEMM, which makes the columns in shared memory, avoids it: see `minicnn kernels lesson conv`."
)
FEW_CHANNELS = (
    "With the 3 channels of a picture, a thread for each pixel and channel writes runs of 3 numbers, 12 bytes, into "
    "rows of KH*KW*3: a warp touches 13 sectors for what fits 4. A thread for each entry of the columns, in their "
    "order, would fill whole sectors, but it would have to find its place by divisions for each entry instead of for "
    "KH*KW of them: by a count of instructions (nobody has measured it) the slower way. The next taps fill the same "
    "sectors while the cache still holds them, so memory itself moves each byte once. Only a network's first layer "
    "has so few channels."
)
NOTES = {
    "conv2d": f"{COLUMNS} {FEW_CHANNELS}",
    "conv2d_input_grad": COLUMNS,
    "conv2d_weight_grad": f"{COLUMNS} {FEW_CHANNELS}",
    "im2col": FEW_CHANNELS,
    "max_pool2d_backward": (
        "A window's gradient is loaded by the pixel that has won it and by nobody else: a few lanes of each warp, so "
        "that parts of the fetched sectors are not asked for. If all lanes loaded it, the efficiency would be 100 %, "
        "and more sectors would be fetched, not fewer. Memory itself moves each byte once."
    ),
    "local_response_norm": (
        "The windows of 32 neighbouring channels begin one or two channels before or behind a sector, so that most of "
        "their loads touch 5 sectors for 4. The fifth is in the first-level cache: memory itself moves each byte once."
    ),
    **dict.fromkeys(
        ("batch_norm_backward", "batch_norm_relu_backward"),
        "Both sums over all pixels are needed before the first gradient can be written, so grad and x are read twice: "
        "5 arrays are moved, where 3 would do if a whole layer stayed in the cache.",
    ),
}
