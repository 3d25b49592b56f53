// Dropout (Srivastava et al. 2014) by a random generator without a state: Philox4x32-10 (Salmon et al. 2011).
// T is float or double, arrays are flat; element i is decided by number i % 4 of Philox's block i / 4, in every room.
//
//   y[i] = x[i] * 0      if the random number (0 .. 2^32 - 1) is below ``threshold`` = p * 2^32
//   y[i] = x[i] * scale  otherwise, scale = 1 / (1 - p)
//
// Threads  one for each four elements, as one call of Philox makes four numbers: asking for one at a time would compute
//          everything four times. A counter-based generator suits a GPU: any thread can make any part of the stream.
//          The four elements of a Philox block lie side by side. If each thread took its own four, the warp would touch
//          every fourth number in one instruction, and ask the caches four times for the same sectors. So the 32 lanes
//          take 32 neighbours at a time, and get the random numbers for them from each other, by shuffles. The block's
//          size must be a multiple of 32: then all lanes of a warp are there whenever they shuffle.
// Launch   <<<ceil(size / 4 / 256), 256>>>
// Moves    reads and writes each number once. About 20 integer operations for each number: 10 rounds of 2 products,
//          each of which gives 64 bits, shared by four; and 4 shuffles.

const unsigned int ALL_LANES = 0xffffffffu;

__device__ inline void philox(unsigned long long block, unsigned long long offset, unsigned long long seed,
                              unsigned int* numbers)
{
    // The counter (block, offset) and the key (seed), in halves of 32 bits. Unsigned arithmetic wraps around: meant so.
    unsigned int c0 = (unsigned int)block, c1 = (unsigned int)(block >> 32);
    unsigned int c2 = (unsigned int)offset, c3 = (unsigned int)(offset >> 32);
    unsigned int k0 = (unsigned int)seed, k1 = (unsigned int)(seed >> 32);
    for (int round = 0; round < 10; ++round) {
        const unsigned long long a = 0xD2511F53ull * c0;  // a product of two 32-bit numbers, all 64 bits of it
        const unsigned long long b = 0xCD9E8D57ull * c2;
        c0 = (unsigned int)(b >> 32) ^ c1 ^ k0;
        c1 = (unsigned int)b;
        c2 = (unsigned int)(a >> 32) ^ c3 ^ k1;
        c3 = (unsigned int)a;
        k0 += 0x9E3779B9u;
        k1 += 0xBB67AE85u;
    }
    numbers[0] = c0;
    numbers[1] = c1;
    numbers[2] = c2;
    numbers[3] = c3;
}

// threshold has 64 bits, because p = 1 is 2^32.
template <typename T>
__global__ void dropout(const T* x, T* y, unsigned long long threshold, T scale, unsigned long long seed,
                        unsigned long long offset, long long size)
{
    const int lane = threadIdx.x % 32;
    const long long step = (long long)blockDim.x * gridDim.x;
    const long long first = (long long)blockIdx.x * blockDim.x + threadIdx.x - lane;  // of the warp's 32 Philox blocks
    for (long long block = first; block * 4 < size; block += step) {
        unsigned int numbers[4];
        philox(block + lane, offset, seed, numbers);
#pragma unroll 1  // four copies of this loop would need so many registers that fewer warps fit a multiprocessor
        for (int j = 0; j < 4; ++j) {
            // Element 32*j + lane of the warp's 128 is decided by number lane % 4 of lane 8*j + lane/4. Four lanes ask one
            // lane for its four numbers, and a shuffle moves one of them: four shuffles, of which each lane keeps one.
            unsigned int number = 0;
            for (int k = 0; k < 4; ++k) {
                const unsigned int theirs = __shfl_sync(ALL_LANES, numbers[k], 8 * j + lane / 4);
                number = k == lane % 4 ? theirs : number;
            }
            const long long i = block * 4 + 32 * j + lane;
            if (i < size) {  // the last warp may have fewer elements
                y[i] = x[i] * (number >= threshold ? scale : T(0));
            }
        }
    }
}
