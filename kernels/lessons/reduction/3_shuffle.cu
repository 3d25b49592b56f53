// Sum of a vector, version 3 of 3: warp shuffles. T is float or double.
//
//   x (size,) -> partial (blocks,): one sum for each block. Launched again on partial, with one block, it gives the
//   total.
//
// Threads  each adds up every (blockDim.x * blocks)-th number of x in a register; then the 32 threads of a warp halve
//          their sums five times by shuffles, each warp leaves one number in shared memory, and the first warp adds up
//          these in the same way.
// Launch   <<<blocks, 256>>>, blocks = ceil(size / 1024), at most 1024; then <<<1, 256>>> on the sums of the blocks.
//          Any block of whole warps will do.
// Moves    reads x once, size * sizeof(T) bytes, and 2 * blocks numbers between the launches; size additions.
// Improves a shuffle hands a number from register to register inside a warp, where threads run together anyway: no
//          shared memory, no barrier (CUDA C++ Programming Guide, "Warp Shuffle Functions"; Luitjens 2014, "Faster
//          parallel reductions on Kepler"). Of version 2's 9 barriers one is left, and of its 256 numbers in shared
//          memory 8. What is read from memory stays the same: for a long vector that alone counts, and both are as fast
//          as the memory. The gain shows where sums are short and many.

const int WARP = 32;
const unsigned ALL = 0xffffffffu;  // all 32 threads of the warp take part

// The sum of `value` over the warp, in its first thread.
template <typename T>
__device__ inline T warp_sum(T value)
{
    for (int distance = WARP / 2; distance > 0; distance /= 2) {
        value += __shfl_down_sync(ALL, value, distance);  // that of the thread `distance` further on
    }
    return value;
}

template <typename T>
__global__ void sum(const T* __restrict__ x, T* __restrict__ partial, long long size)
{
    __shared__ T sums[WARP];  // one for each warp; a block has at most 1024 threads, 32 warps
    const int lane = threadIdx.x % WARP;
    const int warp = threadIdx.x / WARP;
    const int warps = blockDim.x / WARP;

    T own = T(0);
    const long long step = (long long)blockDim.x * gridDim.x;
    for (long long i = (long long)blockIdx.x * blockDim.x + threadIdx.x; i < size; i += step) {
        own += x[i];
    }
    own = warp_sum(own);
    if (lane == 0) {
        sums[warp] = own;
    }
    __syncthreads();  // the sums of all warps are there
    if (warp == 0) {  // a whole warp, as the shuffles want
        own = warp_sum(lane < warps ? sums[lane] : T(0));
        if (lane == 0) {
            partial[blockIdx.x] = own;
        }
    }
}
