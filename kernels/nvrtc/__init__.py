"""What NVIDIA's own compiler makes of the .cu files, without a GPU: NVRTC, through ctypes.

* :mod:`.compiler` compiles a text as CuPy would, for any architecture: machine code, PTX, log;
* :mod:`.resources` and :mod:`.occupancy`: registers, shared memory, and how full they let a multiprocessor get;
* :mod:`.gate` compiles every kernel for every architecture and holds the figures against those that were stored;
* :mod:`.gpus` is a table of GPUs.

NVRTC comes with the package ``nvidia-cuda-nvrtc`` (the extra ``nvrtc``). Nothing here loads it before it is needed.
"""
