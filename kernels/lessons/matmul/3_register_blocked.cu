// Matrix product, version 3 of 3: each thread keeps a block of 4 x 4 results in registers. T is float or double.
//
//   c (M, N) = a (M, K) @ b (K, N), row after row in memory:  c[i, j] = sum over l of a[i, l] * b[l, j]
//
// Threads  a block of 16 x 16 computes a tile of 64 x 64 numbers of c. Thread (tx, ty) has the rows ty, ty + 16, ty +
//          32, ty + 48 of the tile and the columns tx, tx + 16, tx + 32, tx + 48: 16 results.
// Launch   <<<(ceil(N / 64), ceil(M / 64)), (16, 16)>>>
// Moves    2*M*N*K FLOPs. For each 16 steps along K a block fetches 2 * 64*16 numbers and does 2 * 64*64*16 FLOPs with
//          them: M*N*K / 32 numbers in all. 1024 x 1024 x 1024 in float32 asks for 0.14 GB.
// Improves twofold on version 2 (Volkov & Demmel 2008, "Benchmarking GPUs to tune dense linear algebra").
//          1. Larger tiles: a number that was fetched serves 64 results instead of 16, so a quarter of the bytes.
//          2. Version 2 reads two numbers from shared memory for each multiply-add, and the multiprocessor can do more
//          multiply-adds than such reads. Here a thread reads 4 + 4 numbers and does 4 * 4 multiply-adds with them,
//          from registers: a quarter of the reads. The price: 16 sums and 8 operands need registers, so fewer threads
//          fit on a multiprocessor; and a matrix smaller than the tile leaves threads with nothing to do.
//
// Why rows and columns 16 apart, and not a thread's 4 x 4 side by side? Neighbouring threads would read every fourth
// number of b_tile: those of threads 0 and 8 lie 32 numbers apart, in the same bank of shared memory, and would be
// read one after the other. 16 apart, neighbours read neighbours (and write neighbours of c). And why are the rows of
// b_tile 16 longer than need be? A warp writes 16 numbers into each of two rows; 64 apart these would share 16 banks
// between them, 80 apart they have all 32.

const int SIDE = 16;            // of a block of threads; also the steps along K that a tile covers
const int EACH = 4;             // rows, and columns, of a thread
const int TILE = SIDE * EACH;   // rows, and columns, of a block

template <typename T>
__global__ void matmul(const T* __restrict__ a, const T* __restrict__ b, T* __restrict__ c, int m, int n, int k)
{
    __shared__ T a_tile[TILE][SIDE];         // rows of c, l
    __shared__ T b_tile[SIDE][TILE + SIDE];  // l, columns of c; the last 16 are never used
    const int tx = threadIdx.x, ty = threadIdx.y;
    const int first_row = blockIdx.y * TILE + ty;
    const int first_column = blockIdx.x * TILE + tx;

    T sum[EACH][EACH] = {};  // loops of a fixed length are unrolled, so that these become registers
    for (int first = 0; first < k; first += SIDE) {
        const int l = first + tx;
        for (int i = 0; i < EACH; ++i) {
            const int row = first_row + i * SIDE;
            const int column = first_column + i * SIDE;
            a_tile[ty + i * SIDE][tx] = row < m && l < k ? a[(long long)row * k + l] : T(0);
            b_tile[ty][tx + i * SIDE] =
                first + ty < k && column < n ? b[(long long)(first + ty) * n + column] : T(0);
        }
        __syncthreads();  // the tiles are complete
        for (int l = 0; l < SIDE; ++l) {
            T from_a[EACH], from_b[EACH];
            for (int i = 0; i < EACH; ++i) {
                from_a[i] = a_tile[ty + i * SIDE][l];
                from_b[i] = b_tile[l][tx + i * SIDE];
            }
            for (int i = 0; i < EACH; ++i) {
                for (int j = 0; j < EACH; ++j) {
                    sum[i][j] += from_a[i] * from_b[j];
                }
            }
        }
        __syncthreads();  // the tiles may be written over
    }
    for (int i = 0; i < EACH; ++i) {
        for (int j = 0; j < EACH; ++j) {
            const int row = first_row + i * SIDE;
            const int column = first_column + j * SIDE;
            if (row < m && column < n) {
                c[(long long)row * n + column] = sum[i][j];
            }
        }
    }
}
