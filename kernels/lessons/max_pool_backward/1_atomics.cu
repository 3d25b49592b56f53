// Gradient of max pooling, version 1 of 2: every window adds to the pixel that won it. T is float or double.
//
//   grad, index (N, OH, OW, C) -> dx (N, H, W, C), channels-last. index says which pixel of the window was the largest,
//   kh*KW + kw (the first one of equal pixels), or -1 for a window without pixels:
//   dx[n, ih, iw, c] = sum of grad[n, oh, ow, c] over the windows whose index names pixel (ih, iw)
//
// Threads  one for each window and channel, i.e. for each number of grad; channels are counted fastest.
// Launch   zeros: <<<ceil(N*H*W*C / 256), 256>>>, then max_pool_backward: <<<ceil(N*OH*OW*C / 256), 256>>>; more work
//          than threads: they stride over the grid.
// Moves    writes zeros to dx; reads grad and index once; reads and writes dx again for each window: one addition each.
// Improves nothing yet; it is how the rule reads, a scatter: "the gradient goes to the pixel that won". Windows may
//          overlap, so two threads may add to one pixel at the same time; an ordinary += would then lose one of the
//          two, and atomicAdd makes the second one wait. Two things are unpleasant about it. Where several windows add
//          to one pixel, the order of the additions is left to chance, and floating-point sums depend on their order:
//          two runs may differ in the last bits. And which pixel won differs from channel to channel, so the threads of
//          a warp add here and there.

template <typename T>
__global__ void zeros(T* dx, long long size)
{
    const long long step = (long long)blockDim.x * gridDim.x;
    for (long long i = (long long)blockIdx.x * blockDim.x + threadIdx.x; i < size; i += step) {
        dx[i] = T(0);
    }
}

template <typename T>
__global__ void max_pool_backward(const T* __restrict__ grad, const int* __restrict__ index, T* __restrict__ dx,
                                  long long size, int per_image, int h, int w, int channels, int kh_size, int kw_size,
                                  int oh_size, int ow_size, int sh, int sw, int top, int left)
{
    const long long step = (long long)blockDim.x * gridDim.x;
    for (long long i = (long long)blockIdx.x * blockDim.x + threadIdx.x; i < size; i += step) {
        const long long n = i / per_image;  // i = ((n * OH + oh) * OW + ow) * C + c, taken apart
        const int rest = (int)(i - n * per_image);
        const int c = rest % channels;
        const int window = rest / channels;
        const int ih = window / ow_size * sh - top + index[i] / kw_size;
        const int iw = window % ow_size * sw - left + index[i] % kw_size;
        if (index[i] >= 0) {  // else a window of nothing but padding; a winner lies inside the image
            atomicAdd(&dx[((n * h + ih) * w + iw) * channels + c], grad[i]);
        }
    }
}
