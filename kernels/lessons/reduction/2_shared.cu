// Sum of a vector, version 2 of 3: a tree in shared memory. T is float or double.
//
//   x (size,) -> partial (blocks,): one sum for each block. Launched again on partial, with one block, it gives the
//   total.
//
// Threads  each adds up every (256 * blocks)-th number of x in a register; then the 256 threads of a block halve their
//          sums eight times: the first 128 add what the last 128 have, the first 64 what the next 64 have ...
// Launch   <<<blocks, 256>>>, blocks = ceil(size / 1024), at most 1024 (so that a thread has 4 numbers or more); then
//          <<<1, 256>>> on the sums of the blocks.
// Moves    reads x once, size * sizeof(T) bytes, and 2 * blocks numbers between the launches; size additions.
// Improves no queue: threads add at the same time, each in a place of its own, and the tree needs 8 steps where a queue
//          needs 256. The order of all additions is fixed by the launch, so results repeat bit by bit (and such a sum
//          of sums loses fewer digits than a long running sum). The price: 9 barriers for each block, because every
//          step reads what other threads wrote.
//
// The upper half is added to the lower half, "sequential addressing" (Harris 2007, "Optimizing parallel reduction in
// CUDA"): the threads at work are neighbours, in whole warps, and read neighbours, so there are no bank conflicts.

const int BLOCK = 256;  // a power of two

template <typename T>
__global__ void sum(const T* __restrict__ x, T* __restrict__ partial, long long size)
{
    __shared__ T sums[BLOCK];
    const int thread = threadIdx.x;

    T own = T(0);
    for (long long i = (long long)blockIdx.x * BLOCK + thread; i < size; i += (long long)BLOCK * gridDim.x) {
        own += x[i];
    }
    sums[thread] = own;
    __syncthreads();  // all sums are there
    for (int half = BLOCK / 2; half > 0; half /= 2) {
        if (thread < half) {
            sums[thread] += sums[thread + half];
        }
        __syncthreads();  // outside the if: every thread must come here
    }
    if (thread == 0) {
        partial[blockIdx.x] = sums[0];
    }
}
