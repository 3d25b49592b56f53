// im2col and its transpose, channels-last. T is float or double.
//
//   im2col   x (N, H, W, C) -> columns (G, N*OH*OW, KH*KW*C/G), in the order kh, kw, c; G = 1 is the usual im2col.
//            With G groups of channels each group has a matrix of its own, which a batched product takes at once.
//   col2im   columns -> x: every pixel sums the entries that were copies of it.
//
// Threads  im2col: one for each output pixel and channel; it copies the KH*KW pixels that the window sees.
//          col2im: one for each input pixel and channel; it looks up the windows that saw the pixel. Nobody else
//          writes there, so no atomics are needed and the sum has one order (a gather, not a scatter).
//          Channels are counted fastest: the 32 threads of a warp read and write neighbours, in one go.
// Launch   <<<ceil(N*OH*OW*C / 256), 256>>> and <<<ceil(N*H*W*C / 256), 256>>>; more work than threads: they stride.
// Moves    im2col: reads N*H*W*C numbers (again for each tap, but then from the cache), writes N*OH*OW*KH*KW*C.
//          64x32x32x32 with 3x3, float32: 8 + 75 MB, that is 25 microseconds at 3.35 TB/s; no arithmetic.
//          col2im: the same the other way round, and N*OH*OW*KH*KW*C additions.
// Sizes    any number of elements; of one image they must fit an int (per_image, which the launcher checks).

template <typename T>
__global__ void im2col(const T* __restrict__ x, T* __restrict__ columns, long long rows, int per_image, int h, int w,
                       int channels, int kh_size, int kw_size, int oh_size, int ow_size, int sh, int sw, int top,
                       int left, int dh, int dw, int groups)
{
    const int group_channels = channels / groups;
    const long long size = rows * channels;
    const long long step = (long long)blockDim.x * gridDim.x;
    for (long long i = (long long)blockIdx.x * blockDim.x + threadIdx.x; i < size; i += step) {
        // i = ((n * OH + oh) * OW + ow) * C + c, taken apart; a 64-bit division is slow, so there is only one
        const long long n = i / per_image;
        const int rest = (int)(i - n * per_image);
        const int c = rest % channels;
        const int pixel = rest / channels;
        const int oh = pixel / ow_size;
        const int ow = pixel - oh * ow_size;

        const int group = c / group_channels;
        const long long row = n * oh_size * ow_size + pixel;
        T* to = columns + (group * rows + row) * kh_size * kw_size * group_channels + (c - group * group_channels);
        const T* image = x + n * h * w * channels + c;
        for (int kh = 0; kh < kh_size; ++kh) {
            const int ih = oh * sh + kh * dh - top;
            for (int kw = 0; kw < kw_size; ++kw) {
                const int iw = ow * sw + kw * dw - left;
                const bool inside = 0 <= ih && ih < h && 0 <= iw && iw < w;
                *to = inside ? image[((long long)ih * w + iw) * channels] : T(0);
                to += group_channels;
            }
        }
    }
}

// The output row (or column) that saw input row i through kernel row k; -1 if none did.
__device__ inline int seen_by(int i, int k, int stride, int before, int dilation, int size)
{
    const int shifted = i + before - k * dilation;
    if (shifted < 0 || shifted % stride != 0) {
        return -1;
    }
    const int o = shifted / stride;
    return o < size ? o : -1;
}

template <typename T>
__global__ void col2im(const T* __restrict__ columns, T* __restrict__ x, long long rows, long long size,
                       int per_image, int h, int w, int channels, int kh_size, int kw_size, int oh_size, int ow_size,
                       int sh, int sw, int top, int left, int dh, int dw, int groups)
{
    const int group_channels = channels / groups;
    const long long step = (long long)blockDim.x * gridDim.x;
    for (long long i = (long long)blockIdx.x * blockDim.x + threadIdx.x; i < size; i += step) {
        const long long n = i / per_image;  // i = ((n * H + ih) * W + iw) * C + c
        const int rest = (int)(i - n * per_image);
        const int c = rest % channels;
        const int pixel = rest / channels;
        const int ih = pixel / w;
        const int iw = pixel - ih * w;

        const int group = c / group_channels;
        const T* from = columns + group * rows * kh_size * kw_size * group_channels + (c - group * group_channels);
        T sum = T(0);
        for (int kh = 0; kh < kh_size; ++kh) {
            const int oh = seen_by(ih, kh, sh, top, dh, oh_size);
            if (oh < 0) {
                continue;
            }
            for (int kw = 0; kw < kw_size; ++kw) {
                const int ow = seen_by(iw, kw, sw, left, dw, ow_size);
                if (ow < 0) {
                    continue;
                }
                const long long row = (n * oh_size + oh) * ow_size + ow;
                sum += from[((row * kh_size + kh) * kw_size + kw) * group_channels];
            }
        }
        x[i] = sum;
    }
}
