// The bias of a convolution, added to y (N, OH, OW, C) in place: y[..., c] += bias[c]. T is float or double.
//
// The products themselves are im2col.cu and cuBLAS (see conv.py), or depthwise.cu.
//
// Threads  one for each number of y; neighbours take neighbouring channels.
// Launch   <<<ceil(size / 256), 256>>>; more work than threads: they stride.
// Moves    reads and writes y once: 2 * N*OH*OW*C numbers, as many additions; the biases stay in the cache.

template <typename T>
__global__ void add_bias(T* __restrict__ y, const T* __restrict__ bias, long long size, int channels)
{
    const long long step = (long long)blockDim.x * gridDim.x;
    for (long long i = (long long)blockIdx.x * blockDim.x + threadIdx.x; i < size; i += step) {
        y[i] += bias[i % channels];
    }
}
