// Convolution, version 1 of 3: one thread for each number of the result. T is float or double.
//
//   x (N, H, W, C), weight (O, KH, KW, C) -> y (N, OH, OW, O), channels-last:
//   y[n, oh, ow, o] = sum over kh, kw, c of weight[o, kh, kw, c] * x[n, oh*sh + kh - top, ow*sw + kw - left, c]
//
// Threads  one for each number of y; neighbours take neighbouring output channels o of the same pixel.
// Launch   <<<ceil(size / 256), 256>>>, size = N*OH*OW*O; more work than threads: they stride over the grid.
// Moves    2 * N*OH*OW*O * KH*KW*C FLOPs. For each multiply-add a thread asks for one number of x and one of the
//          weights. The number of x is the same for the whole warp: one sector of 32 bytes. The weights of 32
//          neighbouring o lie KH*KW*C numbers apart, in 32 different sectors, of each of which 4 bytes are wanted
//          (float32). That is 33 sectors, 1056 bytes, for 64 FLOPs. (The cache helps: the next 7 channels lie in the
//          same sectors.)
// Improves nothing yet, it is the definition. Other maps of threads do not help: let neighbours take neighbouring
//          pixels, and the weights become one sector for the warp, but the pixels lie C numbers apart, and results are
//          written O numbers apart. In channels-last memory the neighbours are the *channels*, over which a thread
//          sums.
// Sizes    any number of results; those of one image must fit an int (per_image, which the launcher checks).

template <typename T>
__global__ void conv2d(const T* __restrict__ x, const T* __restrict__ weight, T* __restrict__ y, long long size,
                       int per_image, int h, int w, int channels, int outputs, int kh_size, int kw_size, int oh_size,
                       int ow_size, int sh, int sw, int top, int left)
{
    const long long step = (long long)blockDim.x * gridDim.x;
    for (long long i = (long long)blockIdx.x * blockDim.x + threadIdx.x; i < size; i += step) {
        const long long n = i / per_image;  // i = ((n * OH + oh) * OW + ow) * O + o, taken apart
        const int rest = (int)(i - n * per_image);
        const int o = rest % outputs;
        const int pixel = rest / outputs;
        const int first_row = pixel / ow_size * sh - top;
        const int first_column = pixel % ow_size * sw - left;

        const T* image = x + n * h * w * channels;
        const T* filter = weight + (long long)o * kh_size * kw_size * channels;
        T sum = T(0);
        for (int kh = 0; kh < kh_size; ++kh) {
            for (int kw = 0; kw < kw_size; ++kw) {
                const int ih = first_row + kh;
                const int iw = first_column + kw;
                if (0 <= ih && ih < h && 0 <= iw && iw < w) {  // the padding is zero, and adds nothing
                    for (int c = 0; c < channels; ++c) {
                        sum += image[((long long)ih * w + iw) * channels + c] *
                               filter[((long long)kh * kw_size + kw) * channels + c];
                    }
                }
            }
        }
        y[i] = sum;
    }
}
