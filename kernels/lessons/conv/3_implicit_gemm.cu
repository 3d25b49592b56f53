// Convolution, version 3 of 3: the matrix product of version 2 without its matrix. T is float or double.
//
//   x (N, H, W, C), weight (O, KH, KW, C) -> y (N, OH, OW, O), channels-last:
//   y[n, oh, ow, o] = sum over kh, kw, c of weight[o, kh, kw, c] * x[n, oh*sh + kh - top, ow*sw + kw - left, c]
//
// Threads  as in version 2: a block of 16 x 16 computes a tile of 64 pixels x 64 outputs, each thread 4 x 4 of them.
//          For the tile of columns, thread (tx, ty) fetches what the pixels ty, ty + 16, ... see at position l = first
//          + tx of the order kh, kw, c, straight from x, or a zero where that is padding.
// Launch   <<<(ceil(rows / 64), ceil(O / 64)), (16, 16)>>>, rows = N*OH*OW
// Moves    2 * rows * O * KH*KW*C FLOPs. Each block reads 64 rows of columns, out of x (the same pixels again for each
//          kh and kw, mostly from the cache) and 64 filters. Nothing but y is written.
// Improves no columns in memory: version 2 wrote rows * KH*KW*C numbers and read them back. Here a tile of them comes
//          into being in shared memory, where the product needs it anyway, and is forgotten ("implicit GEMM": Chetlur
//          et al. 2014, "cuDNN: Efficient primitives for deep learning", section 3). The price is arithmetic with
//          indices, and registers for them: what a row is (n, oh, ow) is worked out once for each thread, what a column
//          is (kh, kw, c) once for each tile; and if C is no multiple of 16, a fetch of 16 neighbours is cut in two
//          where one pixel ends.
// Sizes    KH*KW*C and the pixels of one image must fit an int.

const int SIDE = 16;            // of a block of threads; also the steps along kh, kw, c that a tile covers
const int EACH = 4;             // pixels, and outputs, of a thread
const int TILE = SIDE * EACH;   // pixels, and outputs, of a block

template <typename T>
__global__ void conv2d(const T* __restrict__ x, const T* __restrict__ weight, T* __restrict__ y, long long rows, int h,
                       int w, int channels, int outputs, int kh_size, int kw_size, int oh_size, int ow_size, int sh,
                       int sw, int top, int left)
{
    __shared__ T a_tile[TILE][SIDE];      // pixels, l
    __shared__ T b_tile[TILE][SIDE + 1];  // outputs, l; the last column avoids bank conflicts, as in version 2
    const int tx = threadIdx.x, ty = threadIdx.y;
    const long long block_row = (long long)blockIdx.x * TILE;
    const int block_output = blockIdx.y * TILE;
    const int depth = kh_size * kw_size * channels;

    const T* image[EACH];                     // of the pixels that this thread fetches for
    int first_row[EACH], first_column[EACH];  // where their windows begin
    for (int i = 0; i < EACH; ++i) {
        const long long row = block_row + ty + i * SIDE;
        const long long n = row / (oh_size * ow_size);
        const int pixel = (int)(row - n * (oh_size * ow_size));
        image[i] = x + n * h * w * channels;
        first_row[i] = row < rows ? pixel / ow_size * sh - top : h;  // a pixel that there is not sees only padding
        first_column[i] = pixel % ow_size * sw - left;
    }

    T sum[EACH][EACH] = {};
    for (int first = 0; first < depth; first += SIDE) {
        const int l = first + tx;  // = (kh * KW + kw) * C + c, taken apart
        const int c = l % channels;
        const int kh = l / channels / kw_size;
        const int kw = l / channels % kw_size;
        for (int i = 0; i < EACH; ++i) {
            const int ih = first_row[i] + kh;
            const int iw = first_column[i] + kw;
            const bool inside = l < depth && 0 <= ih && ih < h && 0 <= iw && iw < w;
            a_tile[ty + i * SIDE][tx] = inside ? image[i][((long long)ih * w + iw) * channels + c] : T(0);
            const int o = block_output + ty + i * SIDE;
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
