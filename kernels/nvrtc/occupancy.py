"""Occupancy: how many threads of a kernel a multiprocessor holds at once, and what there is too little of for more.

A multiprocessor hides the wait for memory behind other warps, so it wants many of them. It takes whole blocks, until
their registers, their shared memory, their threads or their number reach one of its limits.
"""

from __future__ import annotations

from dataclasses import dataclass

from .resources import Resources

WARP = 32  # threads
REGISTERS = 64 * 1024  # of a multiprocessor and, also, of one block: the same since 5.0
PER_THREAD = 255  # registers
#: a warp is given registers 256 at a time, from the quarter of them that belongs to its scheduler
REGISTER_UNIT, SCHEDULERS = 256, 4


@dataclass(frozen=True)
class Limits:
    """What a multiprocessor holds. Shared memory is counted in bytes.

    ``reserved`` is what the system takes for itself of each block's shared memory, ``unit`` the size of a piece of it.
    """

    blocks: int
    threads: int
    shared: int
    reserved: int = 1024
    unit: int = 128

    @property
    def warps(self) -> int:
        """Of 32 threads."""
        return self.threads // WARP


#: "Technical Specifications per Compute Capability" in NVIDIA's CUDA Programming Guide; the units of allocation, and
#: what is reserved, stand in NVIDIA's header cuda_occupancy.h, and 8.8 in arch_traits.h of NVIDIA's CCCL. A test
#: compares them with these headers where they are installed. Of 10.7 the number of threads is not published.
LIMITS = {
    "sm_75": Limits(16, 1024, 64 * 1024, reserved=0, unit=256),
    "sm_80": Limits(32, 2048, 164 * 1024),
    "sm_86": Limits(16, 1536, 100 * 1024),
    "sm_87": Limits(16, 1536, 164 * 1024),
    "sm_88": Limits(16, 1536, 100 * 1024),
    "sm_89": Limits(24, 1536, 100 * 1024),
    "sm_90": Limits(32, 2048, 228 * 1024),
    "sm_100": Limits(32, 2048, 228 * 1024),
    "sm_103": Limits(32, 2048, 228 * 1024),
    "sm_110": Limits(24, 1536, 228 * 1024),
    "sm_120": Limits(24, 1536, 100 * 1024),
    "sm_121": Limits(24, 1536, 100 * 1024),
}


@dataclass(frozen=True)
class Occupancy:
    """How full a multiprocessor gets.

    Attributes
    ----------
    blocks, warps : int
        That it holds at once; 0 blocks: the launch fails.
    fraction : float
        Of the warps that it could hold.
    limited_by : tuple of str
        What runs out first: "registers", "shared memory", "threads" or "blocks"; several, if they do at once.
    """

    blocks: int
    warps: int
    fraction: float
    limited_by: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.fraction:.0%} ({self.blocks} blocks, {self.warps} warps; {' and '.join(self.limited_by)})"


def occupancy(resources: Resources, block: int, shared_mem: int, arch: str) -> Occupancy:
    """How many blocks of a kernel fit into one multiprocessor.

    Parameters
    ----------
    resources : Resources
    block : int
        Threads of a block.
    shared_mem : int
        Bytes of dynamic shared memory of a block.
    arch : str
        Such as "sm_90".

    Raises
    ------
    ValueError
        If ``arch`` has no known limits, or ``block`` is not 1 to 1024.

    Notes
    -----
    With all of the memory that L1 and shared memory have in common used as shared memory, as far as that goes: the
    driver does so if a kernel's blocks need it.
    """
    if arch not in LIMITS:
        raise ValueError(f"the limits of {arch} are not known; those of {', '.join(LIMITS)} are")
    if not 1 <= block <= 1024:
        raise ValueError(f"a block has 1 to 1024 threads, not {block}")
    limits, warps = LIMITS[arch], -(-block // WARP)
    fit = {
        "threads": limits.warps // warps,
        "registers": _by_registers(resources.registers, warps),
        "shared memory": _by_shared_memory(limits, resources.shared + shared_mem),
        "blocks": limits.blocks,
    }
    blocks = min(fit.values())
    limited_by = tuple(what for what, most in fit.items() if most == blocks)
    return Occupancy(blocks, blocks * warps, blocks * warps / limits.warps, limited_by)


def _rounded(number: int, unit: int) -> int:
    return -(-number // unit) * unit


def _by_registers(registers: int, warps: int) -> int:
    """How many blocks of so many warps the registers suffice for."""
    for_warp = max(REGISTER_UNIT, _rounded(registers * WARP, REGISTER_UNIT))
    # a block is refused whose registers exceed a multiprocessor's, if each scheduler had equally many of its warps
    if registers > PER_THREAD or for_warp * _rounded(warps, SCHEDULERS) > REGISTERS:
        return 0
    return REGISTERS // SCHEDULERS // for_warp * SCHEDULERS // warps


def _by_shared_memory(limits: Limits, wanted: int) -> int:
    """How many blocks of so many bytes the shared memory suffices for."""
    if wanted > limits.shared - limits.reserved:
        return 0
    for_block = _rounded(wanted + limits.reserved, limits.unit)
    return limits.shared // for_block if for_block else limits.threads  # none is used: as many as one likes
