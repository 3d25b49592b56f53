// Batch normalisation (Ioffe & Szegedy 2015, algorithm 1) and sums over all pixels, per channel, channels-last.
// T is float or double; statistics are double: float sums over a million pixels lose digits.
//
//   x, y, grad, dx (N, H, W, C), seen as (pixels, C); mean, var (C,); partial (shares, C): one row for each block
//
//   channel_sums          partial[s, c] = sum of x over the s-th share of the pixels
//   channel_stats         sums[s, c] = the same; squares[s, c] = sum of (x - mean of the share)^2
//   batch_norm_sums       partial[0, s, c] = sum of grad; partial[1, s, c] = sum of grad * xhat, for the share
//   add_shares            total[c] = partial[0, c] + partial[1, c] + ...
//   join_stats            mean and variance of everything from those of the shares
//   batch_norm            y  = (x - mean) / sqrt(var + eps) * weight + bias, and with ``add`` + residual, no less than
//                         ``lowest`` and no more than ``highest``: -inf and inf, or 0 and inf (ReLU), or 0 and 6 (ReLU6)
//   batch_norm_backward   dx = weight / sqrt(var + eps) * (grad - mean(grad) - xhat * mean(grad * xhat))
//   where xhat = (x - mean) / sqrt(var + eps), and with ``relu`` grad counts where 0 < y < highest, else 0 does
//
// The variance of a share is taken about the share's own mean, by a second pass over pixels that still lie in the
// cache, and shares are joined by (Chan, Golub & LeVeque 1983)
//
//     var = sum over shares of (squares + count * (mean of share - mean)^2) / pixels
//
// So x is read from memory once, and E[x^2] - E[x]^2, which loses all digits where the mean is large, never appears.
//
// Threads  blocks of 32 x 8. A warp (one threadIdx.y) takes ``lanes`` channels side by side and 32/lanes pixels: of 32
//          channels or more it reads 32 neighbours of one pixel, of 4 channels 8 whole pixels; either way one run of
//          memory. A thread keeps its channel and strides over the pixels of its block's share, so its channel's mean,
//          scale ... are read once and no division finds out where it is.
//          Sums then meet in two steps: inside a warp by shuffles (lanes of one channel lie ``lanes`` apart), between
//          the warps in shared memory. Every step adds in a fixed order, and shares follow from the shape alone: no
//          atomics, results repeat bit by bit on any GPU.
// Launch   <<<(ceil(C / lanes), shares), (32, 8)>>>, lanes = 1, 2, 4, ... 32: the first that covers C.
//          add_shares: <<<(ceil(C / lanes), 1, sums), (32, 32)>>>, join_stats: <<<ceil(C / lanes), (32, 32)>>>: one
//          block has its channels to itself, so it has as many warps as a block can have.
// Moves    channel_sums, channel_stats: x once. batch_norm: x and y (and residual). batch_norm_sums: x and grad;
//          batch_norm_backward: x, grad and dx: what ReLU let through follows from x. 1 to 8 FLOPs for each number, in double; GPUs that are slow in double (1/32 or 1/64 of
//          float) still do about as many as their memory delivers. 128x56x56x64 float32: 103 MB for each array, that is
//          31 microseconds at 3.35 TB/s.

const int WARPS = 8;        // of a block that has its share of the pixels
const int MANY_WARPS = 32;  // of a block that has all shares

// A thread's channel, and its pixels: first, first + step, ... below end.
struct Place {
    int channel;
    bool inside;  // the last block along x may have more lanes than there are channels left
    long long first, end, step;
};

__device__ inline Place place(long long pixels, int channels, int lanes)
{
    Place p;
    p.channel = blockIdx.x * lanes + threadIdx.x % lanes;
    p.inside = p.channel < channels;
    const int rows = 32 / lanes;  // pixels that a warp takes at a time
    p.first = blockIdx.y * pixels / gridDim.y + threadIdx.y * rows + threadIdx.x / lanes;
    p.end = p.inside ? (blockIdx.y + 1) * pixels / gridDim.y : 0;  // else nothing to do, but at the barriers
    p.step = blockDim.y * rows;
    return p;
}

// The sum of v over all threads of the block that have this thread's channel. All threads of the block must call it.
template <int warps>
__device__ inline double add_up(double v, int lanes, double (*sums)[32])
{
    for (int distance = 16; distance >= lanes; distance /= 2) {
        v += __shfl_xor_sync(0xffffffffu, v, distance);  // in the end all lanes of a channel hold the warp's sum
    }
    sums[threadIdx.y][threadIdx.x] = v;
    __syncthreads();
    double total = 0;
    for (int warp = 0; warp < warps; ++warp) {
        total += sums[warp][threadIdx.x];  // neighbours read neighbours: no bank conflicts
    }
    __syncthreads();  // nobody may write the next sums before all have read these
    return total;
}

// Whether this thread writes what the block has found for its channel.
__device__ inline bool is_writer(const Place& p, int lanes)
{
    return p.inside && threadIdx.y == 0 && threadIdx.x < lanes;
}

template <typename T>
__global__ void channel_sums(const T* __restrict__ x, double* __restrict__ partial, long long pixels, int channels,
                             int lanes)
{
    __shared__ double sums[WARPS][32];  // [warp][lane]
    const Place p = place(pixels, channels, lanes);
    double sum = 0;
    for (long long pixel = p.first; pixel < p.end; pixel += p.step) {
        sum += x[pixel * channels + p.channel];
    }
    sum = add_up<WARPS>(sum, lanes, sums);
    if (is_writer(p, lanes)) {
        partial[(long long)blockIdx.y * channels + p.channel] = sum;
    }
}

template <typename T>
__global__ void channel_stats(const T* __restrict__ x, double* __restrict__ share_sums, double* __restrict__ squares,
                              long long pixels, int channels, int lanes)
{
    __shared__ double sums[WARPS][32];
    const Place p = place(pixels, channels, lanes);
    double sum = 0;
    for (long long pixel = p.first; pixel < p.end; pixel += p.step) {
        sum += x[pixel * channels + p.channel];
    }
    sum = add_up<WARPS>(sum, lanes, sums);
    const long long count = (blockIdx.y + 1) * pixels / gridDim.y - blockIdx.y * pixels / gridDim.y;
    const double mean = sum / count;

    double square = 0;
    for (long long pixel = p.first; pixel < p.end; pixel += p.step) {
        const double difference = x[pixel * channels + p.channel] - mean;
        square += difference * difference;
    }
    square = add_up<WARPS>(square, lanes, sums);
    if (is_writer(p, lanes)) {
        share_sums[(long long)blockIdx.y * channels + p.channel] = sum;
        squares[(long long)blockIdx.y * channels + p.channel] = square;
    }
}

// Here the "pixels" are the shares. The launch bounds have the compiler use few enough registers for such large blocks.
__global__ void __launch_bounds__(32 * MANY_WARPS)
join_stats(const double* __restrict__ share_sums, const double* __restrict__ squares, double* __restrict__ mean,
           double* __restrict__ var, long long pixels, int channels, int shares, int lanes)
{
    __shared__ double sums[MANY_WARPS][32];
    const Place p = place(shares, channels, lanes);
    double total = 0;
    for (long long s = p.first; s < p.end; s += p.step) {
        total += share_sums[s * channels + p.channel];
    }
    const double joint_mean = add_up<MANY_WARPS>(total, lanes, sums) / pixels;

    double square = 0;
    for (long long s = p.first; s < p.end; s += p.step) {
        const double count = (double)((s + 1) * pixels / shares - s * pixels / shares);
        const double between = share_sums[s * channels + p.channel] / count - joint_mean;
        square += squares[s * channels + p.channel] + count * between * between;
    }
    square = add_up<MANY_WARPS>(square, lanes, sums);
    if (is_writer(p, lanes)) {
        mean[p.channel] = joint_mean;
        var[p.channel] = square / pixels;
    }
}

// Several sums at once: blockIdx.z says which. ``rounded`` is what the caller gets, in the type of its arrays.
template <typename T>
__global__ void __launch_bounds__(32 * MANY_WARPS)
add_shares(const double* __restrict__ partial, double* __restrict__ total, T* __restrict__ rounded, int channels,
           int shares, int lanes)
{
    __shared__ double sums[MANY_WARPS][32];
    const Place p = place(shares, channels, lanes);
    partial += (long long)blockIdx.z * shares * channels;
    double sum = 0;
    for (long long s = p.first; s < p.end; s += p.step) {
        sum += partial[s * channels + p.channel];
    }
    sum = add_up<MANY_WARPS>(sum, lanes, sums);
    if (is_writer(p, lanes)) {
        total[blockIdx.z * channels + p.channel] = sum;
        rounded[blockIdx.z * channels + p.channel] = T(sum);
    }
}

template <typename T>
__global__ void batch_norm(const T* __restrict__ x, const double* __restrict__ mean, const double* __restrict__ var,
                           const T* __restrict__ weight, const T* __restrict__ bias, const T* __restrict__ residual,
                           T* __restrict__ y, double eps, T lowest, T highest, int add, long long pixels, int channels,
                           int lanes)
{
    const Place p = place(pixels, channels, lanes);
    if (!p.inside) {
        return;  // allowed here: there is no barrier that would wait for this thread
    }
    const double m = mean[p.channel];
    const double scale = weight[p.channel] / sqrt(var[p.channel] + eps);
    const double shift = bias[p.channel];
    for (long long pixel = p.first; pixel < p.end; pixel += p.step) {
        const long long i = pixel * channels + p.channel;
        T value = T((x[i] - m) * scale + shift);
        if (add) {
            value += residual[i];
        }
        y[i] = value <= lowest ? lowest : value >= highest ? highest : value;  // a NaN stays one
    }
}

// The gradient in front of ReLU. A NaN passes it on.
template <typename T>
__device__ inline double passed(double grad, T x, double mean, double scale, double shift, T highest)
{
    const T y = T((x - mean) * scale + shift);
    return y <= T(0) || y >= highest ? 0 : grad;
}

// ``relu`` is known when the kernel is compiled: without it, nothing more is loaded or kept in registers.
template <typename T, bool relu>
__global__ void batch_norm_sums(const T* __restrict__ grad, const T* __restrict__ x, const double* __restrict__ mean,
                                const double* __restrict__ var, const T* __restrict__ weight,
                                const T* __restrict__ bias, double* __restrict__ partial, double eps, T highest,
                                long long pixels, int channels, int lanes)
{
    __shared__ double sums[WARPS][32];
    const Place p = place(pixels, channels, lanes);
    double grads = 0;
    double products = 0;
    if (p.inside) {
        const double m = mean[p.channel];
        const double root = sqrt(var[p.channel] + eps);
        const double inverse_std = 1 / root;
        const double scale = weight[p.channel] / root;
        const double shift = bias[p.channel];
        for (long long pixel = p.first; pixel < p.end; pixel += p.step) {
            const long long i = pixel * channels + p.channel;
            double g = grad[i];
            if (relu) {
                g = passed(g, x[i], m, scale, shift, highest);
            }
            grads += g;
            products += g * ((x[i] - m) * inverse_std);
        }
    }
    grads = add_up<WARPS>(grads, lanes, sums);
    products = add_up<WARPS>(products, lanes, sums);
    if (is_writer(p, lanes)) {
        partial[(long long)blockIdx.y * channels + p.channel] = grads;
        partial[((long long)gridDim.y + blockIdx.y) * channels + p.channel] = products;
    }
}

// total[0, c] = sum of grad, total[1, c] = sum of grad * xhat. Outside training mean and var are constants: no more
// terms, and x is looked at for ReLU only.
template <typename T, bool relu>
__global__ void batch_norm_backward(const T* __restrict__ grad, const T* __restrict__ x,
                                    const double* __restrict__ mean, const double* __restrict__ var,
                                    const T* __restrict__ weight, const T* __restrict__ bias,
                                    const double* __restrict__ total, T* __restrict__ dx, double eps, T highest,
                                    int training, long long pixels, int channels, int lanes)
{
    const Place p = place(pixels, channels, lanes);
    if (!p.inside) {
        return;
    }
    const double m = mean[p.channel];
    const double root = sqrt(var[p.channel] + eps);
    const double inverse_std = 1 / root;
    const double scale = weight[p.channel] / root;
    const double shift = bias[p.channel];
    const double grad_mean = total[p.channel] / pixels;
    const double product_mean = total[channels + p.channel] / pixels;
    for (long long pixel = p.first; pixel < p.end; pixel += p.step) {
        const long long i = pixel * channels + p.channel;
        double d = grad[i];
        if (relu) {
            d = passed(d, x[i], m, scale, shift, highest);
        }
        if (training) {
            const double xhat = (x[i] - m) * inverse_std;
            d = d - grad_mean - xhat * product_mean;
        }
        dx[i] = T(d * scale);
    }
}
