// Matrix product, version 2 of 3: tiles in shared memory. T is float or double.
//
//   c (M, N) = a (M, K) @ b (K, N), row after row in memory:  c[i, j] = sum over l of a[i, l] * b[l, j]
//
// Threads  a block of 16 x 16 computes a tile of 16 x 16 numbers of c, one each. In steps of 16 along K it fetches a
//          tile of a and a tile of b into shared memory, each thread one number of both; then all compute from there.
// Launch   <<<(ceil(N / 16), ceil(M / 16)), (16, 16)>>>
// Moves    2*M*N*K FLOPs. A block fetches 2 * 16*16 numbers and does 2 * 16*16*16 FLOPs with them: M*N*K / 8 numbers in
//          all. 1024 x 1024 x 1024 in float32 asks for 0.54 GB.
// Improves about 10 times fewer bytes are asked for than by version 1. There every thread fetched all that it needs by
//          itself; here a number is fetched once for a whole block, and 16 threads use it. Shared memory lies on the
//          multiprocessor itself and answers many times faster (CUDA C++ Programming Guide, "Shared Memory"). The
//          price: two barriers for each tile. Nobody may compute before all have written, and nobody may write the next
//          tile before all have read this one; remove either one, and `minicnn kernels check` says who runs into whom.
//
// No bank conflicts: in the inner loop the threads of a warp read at most two different numbers of a_tile (one for each
// of its two rows, 16 numbers apart) and 16 neighbours of b_tile.

const int TILE = 16;

template <typename T>
__global__ void matmul(const T* __restrict__ a, const T* __restrict__ b, T* __restrict__ c, int m, int n, int k)
{
    __shared__ T a_tile[TILE][TILE];  // rows of c, l
    __shared__ T b_tile[TILE][TILE];  // l, columns of c
    const int tx = threadIdx.x, ty = threadIdx.y;
    const int row = blockIdx.y * TILE + ty;
    const int column = blockIdx.x * TILE + tx;

    T sum = T(0);
    for (int first = 0; first < k; first += TILE) {
        // Beyond the matrices' edges there are zeros, which add nothing. All threads stay: they meet at the barriers.
        const int l = first + tx;
        a_tile[ty][tx] = row < m && l < k ? a[(long long)row * k + l] : T(0);
        b_tile[ty][tx] = first + ty < k && column < n ? b[(long long)(first + ty) * n + column] : T(0);
        __syncthreads();  // the tiles are complete
        for (int i = 0; i < TILE; ++i) {
            sum += a_tile[ty][i] * b_tile[i][tx];
        }
        __syncthreads();  // the tiles may be written over
    }
    if (row < m && column < n) {
        c[(long long)row * n + column] = sum;
    }
}
