"""GPUs by name: the figures that rooflines and occupancy are computed from.

Every number stands in a publication of NVIDIA's, named in ``sheet``, or follows from others that do: where a sheet
gives no float64 rate, it is float32's divided by what the architecture's white paper says (32 on Turing, 64 on GA10x,
Ada and RTX Blackwell). They are peaks at the boost clock: no program reaches them.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class GPU:
    """What one GPU can do at most.

    Attributes
    ----------
    name : str
    arch : str
        Compute capability, as compilers want it: "sm_90" is 9.0.
    sms : int
        Streaming multiprocessors.
    bandwidth : float
        Of the device's memory, in bytes per second.
    flops32, flops64 : float
        Floating-point operations per second outside tensor cores; a multiply-add counts as two.
    l2 : int
        Bytes of the cache that all multiprocessors share.
    sheet : str
        NVIDIA's publication.
    """

    name: str
    arch: str
    sms: int
    bandwidth: float
    flops32: float
    flops64: float
    l2: int
    sheet: str


TURING = "NVIDIA Turing GPU Architecture (white paper WP-09183-001)"
A100 = "NVIDIA A100 Tensor Core GPU Architecture (white paper), table 4; NVIDIA A100 Tensor Core GPU (data sheet)"
GA102 = "NVIDIA Ampere GA102 GPU Architecture (white paper)"
ADA = "NVIDIA Ada GPU Architecture (white paper), appendix A"
HOPPER = "NVIDIA H100 Tensor Core GPU Architecture (white paper); NVIDIA H100 Tensor Core GPU (data sheet), SXM"
BLACKWELL = "NVIDIA RTX Blackwell GPU Architecture (white paper), appendix A"


def _gpu(name: str, arch: str, sms: int, gb: float, tflops32: float, tflops64: float, l2_mb: float, sheet: str) -> GPU:
    """Memory in GB/s (1e9), cache in MB (2**20), as the sheets have them."""
    return GPU(name, arch, sms, gb * 1e9, tflops32 * 1e12, tflops64 * 1e12, int(l2_mb * 2**20), sheet)


#: name -> GPU, oldest first
GPUS = {
    gpu.name: gpu
    for gpu in (
        # name, compute capability, multiprocessors, GB/s, float32 and float64 TFLOP/s, MB of L2
        _gpu("T4", "sm_75", 40, 320, 8.1, 8.1 / 32, 4, f"NVIDIA T4 (data sheet); {TURING}, appendix on Tesla T4"),
        _gpu("RTX 2080 Ti", "sm_75", 68, 616, 13.4, 13.4 / 32, 5.5, f"{TURING}, table 1, reference clocks"),
        _gpu("A100", "sm_80", 108, 1555, 19.5, 9.7, 40, f"{A100}, SXM4 with 40 GB"),
        _gpu("A100 80GB", "sm_80", 108, 2039, 19.5, 9.7, 40, f"{A100}, SXM4 with 80 GB"),
        _gpu("A10", "sm_86", 72, 600, 31.2, 31.2 / 64, 6, f"NVIDIA A10 Tensor Core GPU (data sheet); {GA102}"),
        # 3840 cores at the highest of the boost clocks, 1.703 GHz; 192 bits at 14 Gbit/s; 512 KB of L2 for 32 bits
        _gpu(
            "RTX 3060 Laptop", "sm_86", 30, 336, 13.1, 13.1 / 64, 3,
            f"Compare GeForce RTX Laptops (NVIDIA's page of specifications); {GA102}",
        ),
        _gpu("RTX 3090", "sm_86", 82, 936, 35.6, 35.6 / 64, 6, f"{GA102}, table 2"),
        _gpu("L4", "sm_89", 58, 300, 30.3, 30.3 / 64, 48, f"NVIDIA L4 Tensor Core GPU (data sheet); {ADA}"),
        _gpu("L40S", "sm_89", 142, 864, 91.6, 91.6 / 64, 96, f"NVIDIA L40S (data sheet); {ADA}"),
        _gpu("RTX 4090", "sm_89", 128, 1008, 82.6, 82.6 / 64, 72, ADA),
        _gpu("H100", "sm_90", 132, 3350, 67, 34, 50, HOPPER),
        _gpu("H200", "sm_90", 132, 4800, 67, 34, 50, "NVIDIA H200 Tensor Core GPU (data sheet), SXM"),
        _gpu("RTX 5070", "sm_120", 48, 672, 30.9, 30.9 / 64, 48, BLACKWELL),
        _gpu("RTX 5090", "sm_120", 170, 1792, 104.8, 104.8 / 64, 96, BLACKWELL),
    )
}  # fmt: skip


def gpu(name: str) -> GPU:
    """The GPU of this name; capitals do not matter.

    Raises
    ------
    ValueError
        If there is none; the message lists them.
    """
    for known, found in GPUS.items():
        if known.lower() == name.strip().lower():
            return found
    raise ValueError(f"no figures are known of a GPU {name!r}; there are some of {', '.join(GPUS)}")
