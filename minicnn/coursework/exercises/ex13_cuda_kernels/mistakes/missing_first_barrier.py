# mistake: nobody waits until the tile is written: the first barrier is missing
# loses: pool_one_tile, pool_many_tiles, pool_channels, pool_ties
# says: race
"""Exercise 13: two CUDA kernels, without a GPU."""

EXERCISE = "ex13_cuda_kernels"
VARIANT = "circular"

IM2COL = (
    f"#define CIRCULAR {int(VARIANT == 'circular')}"
    + r"""
extern "C" __global__ void im2col(const float* x, float* columns, int n, int c, int h, int w,
                                  int k, int stride, int pad, int oh, int ow)
{
    const int i = blockIdx.x * blockDim.x + threadIdx.x;  // ((n * OH + i) * OW + j) * C + c, taken apart below
    if (i >= n * oh * ow * c) {
        return;
    }
    const int channel = i % c;
    const int row = i / c;
    const int top = row / ow % oh * stride - pad;
    const int left = row % ow * stride - pad;
    const float* image = x + (row / (oh * ow) * c + channel) * h * w;
    float* to = columns + (row * c + channel) * k * k;
    for (int a = 0; a < k; ++a) {
        for (int b = 0; b < k; ++b) {
            int ih = top + a;
            int iw = left + b;
#if CIRCULAR
            ih = (ih + h) % h;
            iw = (iw + w) % w;
#endif
            const bool inside = 0 <= ih && ih < h && 0 <= iw && iw < w;
            to[a * k + b] = inside ? image[ih * w + iw] : 0.0f;
        }
    }
}
"""
)

MAX_POOL = (
    f"#define BETTER {'>=' if VARIANT == 'last' else '>'}"
    + r"""
#define SIDE 17  // pixels that 8 windows of 3 with stride 2 see: 7 * 2 + 3

extern "C" __global__ void max_pool(const float* x, float* y, int* index, int c, int h, int w, int oh, int ow)
{
    __shared__ float tile[SIDE][SIDE];
    const int i = blockIdx.y * 8 + threadIdx.y;
    const int j = blockIdx.x * 8 + threadIdx.x;
    for (int channel = 0; channel < c; ++channel) {
        const int plane = blockIdx.z * c + channel;
        for (int t = threadIdx.y * 8 + threadIdx.x; t < SIDE * SIDE; t += 64) {
            const int ih = blockIdx.y * 16 + t / SIDE;
            const int iw = blockIdx.x * 16 + t % SIDE;
            tile[t / SIDE][t % SIDE] = ih < h && iw < w ? x[(plane * h + ih) * w + iw] : -3.402823466e38f;
        }
        if (i < oh && j < ow) {
            float best = -3.402823466e38f;
            int place = 0;
            for (int a = 0; a < 3; ++a) {
                for (int b = 0; b < 3; ++b) {
                    const bool inside = 2 * i + a < h && 2 * j + b < w;
                    const float value = tile[threadIdx.y * 2 + a][threadIdx.x * 2 + b];
                    if (inside && value BETTER best) {
                        best = value;
                        place = 3 * a + b;
                    }
                }
            }
            y[(plane * oh + i) * ow + j] = best;
            index[(plane * oh + i) * ow + j] = place;
        }
        __syncthreads();  // read before anybody writes again
    }
}
"""
)
