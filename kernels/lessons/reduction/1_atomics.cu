// Sum of a vector, version 1 of 3: every thread adds to one number in memory. T is float or double.
//
//   x (size,) -> total (1,):  total = x[0] + x[1] + ...  total must be 0 before.
//
// Threads  one for each number; neighbours take neighbours.
// Launch   <<<ceil(size / 256), 256>>>; more work than threads: they stride over the grid.
// Moves    reads x once, size * sizeof(T) bytes; one addition for each number, all of them to the same address.
// Improves nothing yet. It is right, but nothing runs in parallel: additions to one address are done one after the
//          other, so the whole GPU waits in one queue. Their order is left to chance: the last bits of the sum may
//          differ from run to run.

template <typename T>
__global__ void sum(const T* __restrict__ x, T* total, long long size)
{
    const long long step = (long long)blockDim.x * gridDim.x;
    for (long long i = (long long)blockIdx.x * blockDim.x + threadIdx.x; i < size; i += step) {
        atomicAdd(total, x[i]);
    }
}
