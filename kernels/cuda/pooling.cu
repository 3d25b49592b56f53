// Max, average and adaptive average pooling, and their gradients, channels-last. T is float or double.
//
//   x, dx (N, H, W, C);  y, grad (N, OH, OW, C);  index (N, OH, OW, C): which pixel of the window was the largest,
//   kh*KW + kw, or -1 for a window without pixels (then y is -infinity).
//
// Threads  one for each number of the result, y or dx. Channels are counted fastest, so the 32 threads of a warp read
//          and write neighbours, in one go. A gradient is gathered: the thread of a pixel visits the windows that hold
//          it. Nobody else writes there, so no atomics are needed and the sum has one order: results repeat bit by bit.
// Launch   <<<ceil(size / 256), 256>>>, size = N*OH*OW*C or N*H*W*C; more work than threads: they stride over the grid.
// Moves    forward: reads x once (again where windows overlap, but then from the cache), writes y (max: and index).
//          backward: reads grad (max: and index), writes dx. KH*KW comparisons or additions for each number of y.
//          Max 3x3 stride 2 of 128x112x112x64, float32: 411 + 206 MB, that is 0.18 ms at 3.35 TB/s.
// Sizes    any number of elements; of one image they must fit an int (per_image, which the launcher checks).
//
// All kernels take i = ((n * OH + oh) * OW + ow) * C + c apart (or with H and W) in the same way: a 64-bit division is
// slow, so there is only one, by the numbers of one image; the rest fits an int.

// ---- max pooling: output (oh, ow) sees, through kernel offset (kh, kw), pixel (oh*sh + kh*dh - top, ow*sw + ...)

template <typename T>
__global__ void max_pool2d(const T* x, T* y, int* index, long long size, int per_image, int h, int w, int channels,
                           int kh_size, int kw_size, int oh_size, int ow_size, int sh, int sw, int top, int left,
                           int dh, int dw)
{
    const long long step = (long long)blockDim.x * gridDim.x;
    for (long long i = (long long)blockIdx.x * blockDim.x + threadIdx.x; i < size; i += step) {
        const long long n = i / per_image;
        const int rest = (int)(i - n * per_image);
        const int c = rest % channels;
        const int pixel = rest / channels;
        const int oh = pixel / ow_size;
        const int ow = pixel - oh * ow_size;

        const T* image = x + n * h * w * channels + c;
        T best = T(-__int_as_float(0x7f800000));  // -infinity, by its bits: there is no header to take it from
        int tap = -1;                             // no pixel of this window was inside the image yet
        for (int kh = 0; kh < kh_size; ++kh) {
            const int ih = oh * sh + kh * dh - top;
            for (int kw = 0; kw < kw_size; ++kw) {
                const int iw = ow * sw + kw * dw - left;
                if (ih < 0 || ih >= h || iw < 0 || iw >= w) {
                    continue;
                }
                const T value = image[((long long)ih * w + iw) * channels];
                // The first pixel always wins, even if it is -infinity; then only what is larger, so the first maximum
                // wins ties. A NaN (which is not equal to itself) wins over all before it, and nothing is larger.
                if (tap < 0 || value > best || value != value) {
                    best = value;
                    tap = kh * kw_size + kw;
                }
            }
        }
        y[i] = best;
        index[i] = tap;
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
__global__ void max_pool2d_backward(const T* grad, const int* index, T* dx, long long size, int per_image, int h,
                                    int w, int channels, int kh_size, int kw_size, int oh_size, int ow_size, int sh,
                                    int sw, int top, int left, int dh, int dw)
{
    const long long step = (long long)blockDim.x * gridDim.x;
    for (long long i = (long long)blockIdx.x * blockDim.x + threadIdx.x; i < size; i += step) {
        const long long n = i / per_image;
        const int rest = (int)(i - n * per_image);
        const int c = rest % channels;
        const int pixel = rest / channels;
        const int ih = pixel / w;
        const int iw = pixel - ih * w;

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
                const long long o = ((n * oh_size + oh) * ow_size + ow) * channels + c;
                if (index[o] == kh * kw_size + kw) {  // this pixel won that window
                    sum += grad[o];
                }
            }
        }
        dx[i] = sum;
    }
}

// ---- average pooling: window o covers the rows o*stride - before ... o*stride - before + k - 1, likewise columns

// Height (or width) of what window o covers: inside the image, or inside image and padding. What ceil_mode adds beyond
// the padding never counts.
__device__ inline int side(int o, int size, int k, int stride, int before, int after, int count_include_pad)
{
    const int start = o * stride - before;
    const int begin = count_include_pad ? -before : 0;
    const int end = count_include_pad ? size + after : size;
    return min(start + k, end) - max(start, begin);
}

template <typename T>
__global__ void avg_pool2d(const T* x, T* y, long long size, int per_image, int h, int w, int channels, int kh_size,
                           int kw_size, int oh_size, int ow_size, int sh, int sw, int top, int bottom, int left,
                           int right, int count_include_pad)
{
    const long long step = (long long)blockDim.x * gridDim.x;
    for (long long i = (long long)blockIdx.x * blockDim.x + threadIdx.x; i < size; i += step) {
        const long long n = i / per_image;
        const int rest = (int)(i - n * per_image);
        const int c = rest % channels;
        const int pixel = rest / channels;
        const int oh = pixel / ow_size;
        const int ow = pixel - oh * ow_size;

        const T* image = x + n * h * w * channels + c;
        const int first_row = oh * sh - top;
        const int first_column = ow * sw - left;
        double total = 0;
        for (int ih = max(first_row, 0); ih < min(first_row + kh_size, h); ++ih) {
            for (int iw = max(first_column, 0); iw < min(first_column + kw_size, w); ++iw) {
                total += image[((long long)ih * w + iw) * channels];
            }
        }
        const int area = side(oh, h, kh_size, sh, top, bottom, count_include_pad) *
                         side(ow, w, kw_size, sw, left, right, count_include_pad);
        y[i] = T(total / area);
    }
}

// The first window that reaches row i or beyond it: the smallest o >= 0 with o*stride - before + k > i.
__device__ inline int first_window(int i, int k, int stride, int before)
{
    const int beyond = i + before - k;  // o*stride must be larger
    return beyond < 0 ? 0 : beyond / stride + 1;
}

// The last window that begins at row i or before it.
__device__ inline int last_window(int i, int stride, int before, int size)
{
    return min((i + before) / stride, size - 1);
}

template <typename T>
__global__ void avg_pool2d_backward(const T* grad, T* dx, long long size, int per_image, int h, int w, int channels,
                                    int kh_size, int kw_size, int oh_size, int ow_size, int sh, int sw, int top,
                                    int bottom, int left, int right, int count_include_pad)
{
    const long long step = (long long)blockDim.x * gridDim.x;
    for (long long i = (long long)blockIdx.x * blockDim.x + threadIdx.x; i < size; i += step) {
        const long long n = i / per_image;
        const int rest = (int)(i - n * per_image);
        const int c = rest % channels;
        const int pixel = rest / channels;
        const int ih = pixel / w;
        const int iw = pixel - ih * w;

        T sum = T(0);
        for (int oh = first_window(ih, kh_size, sh, top); oh <= last_window(ih, sh, top, oh_size); ++oh) {
            const int height = side(oh, h, kh_size, sh, top, bottom, count_include_pad);
            for (int ow = first_window(iw, kw_size, sw, left); ow <= last_window(iw, sw, left, ow_size); ++ow) {
                const int width = side(ow, w, kw_size, sw, left, right, count_include_pad);
                sum += grad[((n * oh_size + oh) * ow_size + ow) * channels + c] / T(height * width);
            }
        }
        dx[i] = sum;
    }
}

// ---- adaptive average pooling: windows tile the image, and overlap where the sizes do not divide

// Output o covers the rows from floor(o*size / out_size) ...
__device__ inline int window_start(int o, int size, int out_size)
{
    return o * size / out_size;
}

// ... to ceil((o+1)*size / out_size), not included. With the sizes exchanged: which windows hold row i.
__device__ inline int window_stop(int o, int size, int out_size)
{
    return ((o + 1) * size + out_size - 1) / out_size;
}

template <typename T>
__global__ void adaptive_avg_pool2d(const T* x, T* y, long long size, int per_image, int h, int w, int channels,
                                    int oh_size, int ow_size)
{
    const long long step = (long long)blockDim.x * gridDim.x;
    for (long long i = (long long)blockIdx.x * blockDim.x + threadIdx.x; i < size; i += step) {
        const long long n = i / per_image;
        const int rest = (int)(i - n * per_image);
        const int c = rest % channels;
        const int pixel = rest / channels;
        const int oh = pixel / ow_size;
        const int ow = pixel - oh * ow_size;

        const T* image = x + n * h * w * channels + c;
        const int top = window_start(oh, h, oh_size), bottom = window_stop(oh, h, oh_size);
        const int left = window_start(ow, w, ow_size), right = window_stop(ow, w, ow_size);
        double total = 0;
        for (int ih = top; ih < bottom; ++ih) {
            for (int iw = left; iw < right; ++iw) {
                total += image[((long long)ih * w + iw) * channels];
            }
        }
        y[i] = T(total / ((bottom - top) * (right - left)));
    }
}

template <typename T>
__global__ void adaptive_avg_pool2d_backward(const T* grad, T* dx, long long size, int per_image, int h, int w,
                                             int channels, int oh_size, int ow_size)
{
    const long long step = (long long)blockDim.x * gridDim.x;
    for (long long i = (long long)blockIdx.x * blockDim.x + threadIdx.x; i < size; i += step) {
        const long long n = i / per_image;
        const int rest = (int)(i - n * per_image);
        const int c = rest % channels;
        const int pixel = rest / channels;
        const int ih = pixel / w;
        const int iw = pixel - ih * w;

        T sum = T(0);
        for (int oh = window_start(ih, oh_size, h); oh < window_stop(ih, oh_size, h); ++oh) {
            const int height = window_stop(oh, h, oh_size) - window_start(oh, h, oh_size);
            for (int ow = window_start(iw, ow_size, w); ow < window_stop(iw, ow_size, w); ++ow) {
                const int width = window_stop(ow, w, ow_size) - window_start(ow, w, ow_size);
                sum += grad[((n * oh_size + oh) * ow_size + ow) * channels + c] / T(height * width);
            }
        }
        dx[i] = sum;
    }
}
