// Depthwise convolution (MobileNet, Howard et al. 2017, section 3.1), directly, channels-last. T is float or double.
//
// Each input channel c has M filters of its own; output channel o = c*M + m belongs to c = o / M, and O = C*M.
//   x (N, H, W, C), weight and dw as (KH*KW, O), so that the weights of one tap lie side by side, y (N, OH, OW, O).
//
//   depthwise_forward       y[n, oh, ow, o]  = sum over kh, kw of    weight[kh, kw, o] * x[n, ih, iw, o / M]
//   depthwise_input_grad    dx[n, ih, iw, c] = sum over kh, kw, m of weight[kh, kw, o] * grad[n, oh, ow, o]
//   depthwise_weight_grad   partial[s, kh, kw, o] = sum over the s-th share of the rows (n, oh), and over ow,
//                                                   of grad[n, oh, ow, o] * x[n, ih, iw, o / M]
//   depthwise_add_partials  dw[kh, kw, o] = partial[0, kh, kw, o] + partial[1, kh, kw, o] + ...
//
// where ih = oh*sh + kh*dh - top, iw = ow*sw + kw*dw - left. Zeros of the padding are multiplied as well, so that a NaN
// among the weights shows where the definition says (0 * NaN = NaN).
//
// Threads  forward, input_grad: one for each number of the result; channels are counted fastest, so a warp reads and
//          writes neighbours. weight_grad: block (32, 8) of 32 channels and 8 lanes that share the rows; the lanes'
//          sums meet in shared memory. add_partials: one for each weight, in one order: results repeat bit by bit.
// Launch   <<<ceil(size / 256), 256>>>, and for weight_grad <<<(ceil(O / 32), KH*KW, shares), (32, 8)>>>.
// Moves    forward: x and y once (taps after the first come from the cache), 2*KH*KW FLOPs for each number of y: with
//          3x3 and float32, 18 FLOPs for 8 bytes, so the memory is the limit. input_grad: the same.
//          weight_grad: x and grad KH*KW times, mostly from the cache.

template <typename T>
__global__ void depthwise_forward(const T* __restrict__ x, const T* __restrict__ weight, T* __restrict__ y,
                                  long long size, int per_image, int h, int w, int channels, int kh_size, int kw_size,
                                  int oh_size, int ow_size, int sh, int sw, int top, int left, int dh, int dw,
                                  int multiplier)
{
    const int outputs = channels * multiplier;
    const long long step = (long long)blockDim.x * gridDim.x;
    for (long long i = (long long)blockIdx.x * blockDim.x + threadIdx.x; i < size; i += step) {
        const long long n = i / per_image;  // i = ((n * OH + oh) * OW + ow) * O + o
        const int rest = (int)(i - n * per_image);
        const int o = rest % outputs;
        const int pixel = rest / outputs;
        const int oh = pixel / ow_size;
        const int ow = pixel - oh * ow_size;

        const T* image = x + n * h * w * channels + o / multiplier;
        T sum = T(0);
        for (int kh = 0; kh < kh_size; ++kh) {
            const int ih = oh * sh + kh * dh - top;
            for (int kw = 0; kw < kw_size; ++kw) {
                const int iw = ow * sw + kw * dw - left;
                const bool inside = 0 <= ih && ih < h && 0 <= iw && iw < w;
                const T seen = inside ? image[((long long)ih * w + iw) * channels] : T(0);
                sum += weight[(long long)(kh * kw_size + kw) * outputs + o] * seen;
            }
        }
        y[i] = sum;
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
__global__ void depthwise_input_grad(const T* __restrict__ grad, const T* __restrict__ weight, T* __restrict__ dx,
                                     long long size, int per_image, int h, int w, int channels, int kh_size,
                                     int kw_size, int oh_size, int ow_size, int sh, int sw, int top, int left, int dh,
                                     int dw, int multiplier)
{
    const int outputs = channels * multiplier;
    const long long step = (long long)blockDim.x * gridDim.x;
    for (long long i = (long long)blockIdx.x * blockDim.x + threadIdx.x; i < size; i += step) {
        const long long n = i / per_image;  // i = ((n * H + ih) * W + iw) * C + c
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
                const T* weights = weight + (long long)(kh * kw_size + kw) * outputs + c * multiplier;
                const T* grads = grad + ((n * oh_size + oh) * ow_size + ow) * outputs + c * multiplier;
                for (int m = 0; m < multiplier; ++m) {
                    sum += weights[m] * grads[m];
                }
            }
        }
        dx[i] = sum;
    }
}

// One image row of products is summed in T, the rows in double: long float sums keep their digits, and a GPU that is
// slow in double has little to do there.
template <typename T>
__global__ void depthwise_weight_grad(const T* __restrict__ grad, const T* __restrict__ x,
                                      double* __restrict__ partial, long long rows, int h, int w, int channels,
                                      int kh_size, int kw_size, int oh_size, int ow_size, int sh, int sw, int top,
                                      int left, int dh, int dw, int multiplier)
{
    __shared__ double sums[8][32];  // [lane][channel of the block]
    const int outputs = channels * multiplier;
    const int o = blockIdx.x * 32 + threadIdx.x;
    const int kh = blockIdx.y / kw_size;
    const int kw = blockIdx.y % kw_size;
    const long long share = blockIdx.z;
    const long long begin = share * rows / gridDim.z;
    const long long end = (share + 1) * rows / gridDim.z;

    double total = 0;
    if (o < outputs) {
        for (long long row = begin + threadIdx.y; row < end; row += 8) {  // row = n * OH + oh
            const long long n = row / oh_size;
            const int ih = (int)(row - n * oh_size) * sh + kh * dh - top;
            const T* image_row = x + (n * h + ih) * w * channels + o / multiplier;
            const T* grads = grad + row * ow_size * outputs + o;
            T sum = T(0);
            for (int ow = 0; ow < ow_size; ++ow) {
                const int iw = ow * sw + kw * dw - left;
                const bool inside = 0 <= ih && ih < h && 0 <= iw && iw < w;
                const T seen = inside ? image_row[(long long)iw * channels] : T(0);
                sum += grads[(long long)ow * outputs] * seen;
            }
            total += sum;
        }
    }
    sums[threadIdx.y][threadIdx.x] = total;
    __syncthreads();
    if (threadIdx.y == 0 && o < outputs) {
        for (int lane = 1; lane < 8; ++lane) {
            total += sums[lane][threadIdx.x];
        }
        partial[(share * gridDim.y + blockIdx.y) * outputs + o] = total;
    }
}

template <typename T>
__global__ void depthwise_add_partials(const double* __restrict__ partial, T* __restrict__ dw, long long size,
                                       int shares)
{
    const long long step = (long long)blockDim.x * gridDim.x;
    for (long long i = (long long)blockIdx.x * blockDim.x + threadIdx.x; i < size; i += step) {
        double total = 0;
        for (int share = 0; share < shares; ++share) {
            total += partial[share * size + i];
        }
        dw[i] = T(total);
    }
}
