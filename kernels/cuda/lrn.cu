// Local response normalisation across channels (Krizhevsky et al. 2012, section 3.3), channels-last.
// T is float or double.
//
//   x, y, grad, dx (N, H, W, C)
//   y[c] = x[c] d[c]^-beta,   d[c] = k + alpha * sum of x[j]^2 for j from c - before to c + after, cut off at both ends
//
//   lrn            y
//   lrn_backward   dx[c] = grad[c] d[c]^-beta - 2 alpha beta x[c] * sum of sent[j], for j whose window holds c:
//                  those from c - after to c + before, the window the other way round. Channel j sends back
//                  sent[j] = grad[j] x[j] d[j]^(-beta-1) to all that its own window holds
//
// Threads  a warp for each pixel: its 32 lanes take 32 neighbouring channels at a time, so they read one run of memory
//          and, for their windows, the few numbers beside it, which lie in the first-level cache.
//          Why no running sum (the next window = this one + the channel that enters - the one that leaves)? It is the
//          thing to do where one thread walks over the channels of its pixel. Here that would make neighbouring threads
//          read numbers C apart. It would also save nothing, as the memory is the limit, and cost digits: one large
//          number leaves its rounding error behind, one NaN or infinity makes all that follow NaN.
//          Backward, what a pixel's channels send lies in shared memory, so that it never goes out to the device's
//          memory and back; lanes read neighbours there, too, so no two ask one bank for different words.
// Launch   <<<ceil(N*H*W * 32 / 256), 256>>>, blocks of whole warps; more pixels than warps: they stride over the grid.
//          lrn_backward: with warps * C numbers of dynamic shared memory, 8 warps or as many as fit 48 KB
// Moves    lrn: reads x, writes y once; about 2*size + 10 FLOPs for each number. Backward: reads grad and x, writes dx,
//          about 5*size + 20 FLOPs.
//          AlexNet's first, 128x55x55x96 float32: 149 MB for each array; forward 0.09, backward 0.13 ms at 3.35 TB/s.

// k + alpha * sum of squares around channel c of this pixel
template <typename T>
__device__ inline T denominator(const T* pixel, int c, int channels, int before, int after, T alpha, T k)
{
    T sum = T(0);
    for (int j = max(c - before, 0); j <= min(c + after, channels - 1); ++j) {
        sum += pixel[j] * pixel[j];
    }
    return k + alpha * sum;
}

// d^-beta. A general power costs far more than a root, so the paper's beta = 0.75 is taken by two roots.
template <typename T>
__device__ inline T to_minus(T d, T beta)
{
    if (beta == T(0.75)) {
        const T root = sqrt(d);
        return T(1) / (root * sqrt(root));
    }
    return pow(d, -beta);
}

template <typename T>
__global__ void lrn(const T* __restrict__ x, T* __restrict__ y, long long pixels, int channels, int before, int after,
                    T alpha, T beta, T k)
{
    const long long step = (long long)blockDim.x * gridDim.x / 32;
    for (long long p = ((long long)blockIdx.x * blockDim.x + threadIdx.x) / 32; p < pixels; p += step) {
        for (int c = threadIdx.x % 32; c < channels; c += 32) {
            const long long i = p * channels + c;
            const T d = denominator(x + p * channels, c, channels, before, after, alpha, k);
            y[i] = x[i] * to_minus(d, beta);
        }
    }
}

template <typename T>
__global__ void lrn_backward(const T* __restrict__ grad, const T* __restrict__ x, T* __restrict__ dx, long long pixels,
                             int channels, int before, int after, T alpha, T beta, T k)
{
    extern __shared__ double memory[];  // one name has one type, so it is no T; [warp][channel]
    T* sent = (T*)memory + threadIdx.x / 32 * channels;
    const long long step = (long long)blockDim.x * gridDim.x / 32;
    for (long long p = ((long long)blockIdx.x * blockDim.x + threadIdx.x) / 32; p < pixels; p += step) {
        for (int c = threadIdx.x % 32; c < channels; c += 32) {
            const long long i = p * channels + c;
            const T d = denominator(x + p * channels, c, channels, before, after, alpha, k);
            const T power = to_minus(d, beta);
            dx[i] = grad[i] * power;
            sent[c] = grad[i] * x[i] * (power / d);
        }
        __syncwarp();  // all channels of the pixel have been sent
        for (int c = threadIdx.x % 32; c < channels; c += 32) {
            const long long i = p * channels + c;
            T received = T(0);
            for (int j = max(c - after, 0); j <= min(c + before, channels - 1); ++j) {
                received += sent[j];
            }
            dx[i] -= T(2) * alpha * beta * x[i] * received;  // each lane changes what it wrote itself
        }
        __syncwarp();  // and received, before the next pixel's are
    }
}
