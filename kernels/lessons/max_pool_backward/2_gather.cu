// Gradient of max pooling, version 2 of 2: every pixel asks the windows that saw it. T is float or double.
//
//   grad, index (N, OH, OW, C) -> dx (N, H, W, C), channels-last. index says which pixel of the window was the largest,
//   kh*KW + kw (the first one of equal pixels), or -1 for a window without pixels:
//   dx[n, ih, iw, c] = sum of grad[n, oh, ow, c] over the windows whose index names pixel (ih, iw)
//
// Threads  one for each pixel and channel, i.e. for each number of dx; channels are counted fastest.
// Launch   <<<ceil(N*H*W*C / 256), 256>>>; more work than threads: they stride over the grid.
// Moves    for each pixel reads the index of the windows that hold it (3x3 with stride 2: 1, 2 or 4, 2.25 on average),
//          grad where the pixel won, and writes dx once. One addition for each window.
// Improves a gather needs no atomics: each number of dx belongs to one thread, which adds in a fixed order (kh, kw), so
//          results repeat bit by bit. dx crosses to memory once, in whole sectors; version 1 wrote zeros, read them
//          back and wrote again, here and there: twice the bytes in all. The price: more is asked for, because the
//          index of a window is read by each pixel that the window holds; but by neighbours, soon one after the other,
//          so most of it comes from the cache. The question that turns a scatter around is always "who would write to
//          me?".

// The output row (or column) that saw input row i through kernel row k; -1 if none did.
__device__ inline int seen_by(int i, int k, int stride, int before, int size)
{
    const int shifted = i + before - k;
    if (shifted < 0 || shifted % stride != 0) {
        return -1;
    }
    const int o = shifted / stride;
    return o < size ? o : -1;
}

template <typename T>
__global__ void max_pool_backward(const T* __restrict__ grad, const int* __restrict__ index, T* __restrict__ dx,
                                  long long size, int per_image, int h, int w, int channels, int kh_size, int kw_size,
                                  int oh_size, int ow_size, int sh, int sw, int top, int left)
{
    const long long step = (long long)blockDim.x * gridDim.x;
    for (long long i = (long long)blockIdx.x * blockDim.x + threadIdx.x; i < size; i += step) {
        const long long n = i / per_image;  // i = ((n * H + ih) * W + iw) * C + c, taken apart
        const int rest = (int)(i - n * per_image);
        const int c = rest % channels;
        const int pixel = rest / channels;
        const int ih = pixel / w;
        const int iw = pixel % w;

        T sum = T(0);
        for (int kh = 0; kh < kh_size; ++kh) {
            const int oh = seen_by(ih, kh, sh, top, oh_size);
            for (int kw = 0; kw < kw_size; ++kw) {
                const int ow = seen_by(iw, kw, sw, left, ow_size);
                if (oh >= 0 && ow >= 0) {
                    const long long o = ((n * oh_size + oh) * ow_size + ow) * channels + c;
                    if (index[o] == kh * kw_size + kw) {  // this pixel won that window
                        sum += grad[o];
                    }
                }
            }
        }
        dx[i] = sum;
    }
}
