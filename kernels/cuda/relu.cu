// ReLU, ReLU6, leaky ReLU and their gradients, on arrays of any shape taken as flat. T is float or double.
//
// Threads  one for each number; neighbouring threads take neighbouring numbers. If there are fewer threads than
//          numbers, each goes on a whole grid further (a grid-stride loop), so any launch covers any size.
// Launch   <<<ceil(size / 256), 256>>>
// Moves    forward: reads and writes each number once; backward: reads two, writes one. About 1 FLOP for 8 to 12 bytes
//          (float32), so only the memory's speed counts: relu of 100 MB takes 60 microseconds at 3.35 TB/s.
//
// The gradients look at the output y: it says all that the input says. Comparisons are written such that a NaN fails
// them and falls through to "keep": NaN in, NaN out. A gradient is loaded before anything is known of its y: both loads
// are under way at once, and the whole warp takes part, so that each sector is asked for as a whole.

template <typename T>
__global__ void relu(const T* x, T* y, long long size)
{
    const long long step = (long long)blockDim.x * gridDim.x;
    for (long long i = (long long)blockIdx.x * blockDim.x + threadIdx.x; i < size; i += step) {
        y[i] = x[i] <= T(0) ? T(0) : x[i];
    }
}

template <typename T>
__global__ void relu_backward(const T* grad, const T* y, T* dx, long long size)
{
    const long long step = (long long)blockDim.x * gridDim.x;
    for (long long i = (long long)blockIdx.x * blockDim.x + threadIdx.x; i < size; i += step) {
        const T g = grad[i];
        dx[i] = y[i] <= T(0) ? T(0) : g;
    }
}

template <typename T>
__global__ void relu6(const T* x, T* y, long long size)
{
    const long long step = (long long)blockDim.x * gridDim.x;
    for (long long i = (long long)blockIdx.x * blockDim.x + threadIdx.x; i < size; i += step) {
        const T value = x[i] <= T(0) ? T(0) : x[i];
        y[i] = value >= T(6) ? T(6) : value;
    }
}

template <typename T>
__global__ void relu6_backward(const T* grad, const T* y, T* dx, long long size)
{
    const long long step = (long long)blockDim.x * gridDim.x;
    for (long long i = (long long)blockIdx.x * blockDim.x + threadIdx.x; i < size; i += step) {
        const T g = grad[i];
        dx[i] = y[i] <= T(0) || y[i] >= T(6) ? T(0) : g;
    }
}

template <typename T>
__global__ void leaky_relu(const T* x, T* y, T slope, long long size)
{
    const long long step = (long long)blockDim.x * gridDim.x;
    for (long long i = (long long)blockIdx.x * blockDim.x + threadIdx.x; i < size; i += step) {
        y[i] = x[i] > T(0) ? x[i] : slope * x[i];
    }
}

template <typename T>
__global__ void leaky_relu_backward(const T* grad, const T* y, T* dx, T slope, long long size)
{
    const long long step = (long long)blockDim.x * gridDim.x;
    for (long long i = (long long)blockIdx.x * blockDim.x + threadIdx.x; i < size; i += step) {
        const T g = grad[i];
        dx[i] = y[i] > T(0) ? g : slope * g;
    }
}
