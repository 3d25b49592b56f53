"""Exercise 13: two CUDA kernels, without a GPU. The task is in task.md."""

EXERCISE = "ex13_cuda_kernels"
VARIANT = "circular"
HINTS = "full"

IM2COL = r"""
extern "C" __global__ void im2col(const float* x, float* columns, int n, int c, int h, int w,
                                  int k, int stride, int pad, int oh, int ow)
{
    // write im2col
}
"""

MAX_POOL = r"""
extern "C" __global__ void max_pool(const float* x, float* y, int* index, int c, int h, int w, int oh, int ow)
{
    // write max_pool
}
"""
