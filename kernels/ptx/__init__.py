"""What NVIDIA's compiler made of a kernel, run in the simulator: PTX, translated to C++, under the same checker.

The .cu text is read by g++ in the simulator and by NVRTC for a GPU. Here the second reading runs, optimiser and all:
macros, promotions, multiply-adds. Two readings that agree with NumPy leave little room for a third answer.

* ``with sim.ptx("sm_90"):`` lets every kernel of the device "sim", and :func:`kernels.sim.launch`, run this way;
* :func:`.launching.launch` runs a text of PTX, also one written by hand;
* :mod:`.opcodes` is a table of what instructions do. One that is not known is refused by name and line.

What a GPU does after that, turning PTX into its own machine code, is not seen here.
"""
