// Convolution, version 2 of 3: im2col, then one matrix product. T is float or double.
//
//   columns (rows, K): row (n, oh, ow) holds what that output pixel sees, in the order kh, kw, c; rows = N*OH*OW and
//   K = KH*KW*C. kernels/cuda/im2col.cu makes it. What is here is the product that follows:
//   y (rows, O) = columns (rows, K) @ weight (O, K) transposed:  y[r, o] = sum over l of columns[r, l] * weight[o, l]
//
// Threads  as in version 3 of the lesson matmul: a block of 16 x 16 computes a tile of 64 x 64 numbers of y, thread
//          (tx, ty) the rows ty, ty + 16, ... and the channels tx, tx + 16, ... of it. Only b is another: the weights
//          lie with K along their rows, so both tiles are fetched along K, 16 neighbours at a time.
// Launch   <<<(ceil(rows / 64), ceil(O / 64)), (16, 16)>>>. Rows are counted along x, as there may be millions of them.
// Moves    2 * rows * O * K FLOPs. im2col writes rows * K numbers, and the product reads them again, for each 64
//          outputs: for O = 64, 2 * rows * K numbers that a convolution as such has no need of.
// Improves all reads are coalesced: 16 neighbours of one row at a time where version 1 picked single weights, and each
//          fetched number serves 64 results. The convolution has become a matrix product, for which the fastest code
//          there is exists already (Chellapilla et al. 2006). The price is memory: with a 3x3 kernel the columns are 9
//          times as large as x, and writing and reading them may take longer than the product.
//
// Bank conflicts: the inner loop reads b_tile[tx + ...][l], a column of it. With rows of 16 numbers, every second of
// 16 neighbouring threads would meet the same bank (8 in a queue); rows of 17 shift each thread's number by one bank,
// and nobody waits. Writing rows of 17 then makes two of the 32 threads meet: once for 16 reads, which is little.

const int SIDE = 16;            // of a block of threads; also the steps along K that a tile covers
const int EACH = 4;             // rows, and outputs, of a thread
const int TILE = SIDE * EACH;   // rows, and outputs, of a block

template <typename T>
__global__ void columns_times_weights(const T* __restrict__ columns, const T* __restrict__ weight, T* __restrict__ y,
                                      long long rows, int outputs, int depth)
{
    __shared__ T a_tile[TILE][SIDE];      // rows, l
    __shared__ T b_tile[TILE][SIDE + 1];  // outputs, l; the last column is never used
    const int tx = threadIdx.x, ty = threadIdx.y;
    const long long block_row = (long long)blockIdx.x * TILE;
    const int block_output = blockIdx.y * TILE;

    T sum[EACH][EACH] = {};
    for (int first = 0; first < depth; first += SIDE) {
        const int l = first + tx;
        for (int i = 0; i < EACH; ++i) {
            const long long row = block_row + ty + i * SIDE;
            const int o = block_output + ty + i * SIDE;
            a_tile[ty + i * SIDE][tx] = row < rows && l < depth ? columns[row * depth + l] : T(0);
            b_tile[ty + i * SIDE][tx] = o < outputs && l < depth ? weight[(long long)o * depth + l] : T(0);
        }
        __syncthreads();  // the tiles are complete
        for (int l = 0; l < SIDE; ++l) {
            T from_a[EACH], from_b[EACH];
            for (int i = 0; i < EACH; ++i) {
                from_a[i] = a_tile[ty + i * SIDE][l];
                from_b[i] = b_tile[tx + i * SIDE][l];
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
            const long long row = block_row + ty + i * SIDE;
            const int o = block_output + tx + j * SIDE;
            if (row < rows && o < outputs) {
                y[row * outputs + o] = sum[i][j];
            }
        }
    }
}
