// The optimisers' steps, in place, on flat arrays: SGD, Adam, RMSprop. T is float or double.
//
// Threads  one for each parameter; nobody else touches its averages, so everything happens in one pass. One array
//          operation after the other, as the plain room has it, Adam would pass over the memory a dozen times.
// Launch   <<<ceil(size / 256), 256>>>
// Moves    sgd: reads p, g and writes p; with momentum also reads and writes v: 12 or 20 bytes for each float32.
//          adam: 28 bytes; rmsprop: 20 to 36. Some 10 FLOPs for each, so only the memory's speed counts.
//
// Where weight_decay is 0 nothing is multiplied: 0 * p would turn an infinite parameter into NaN.

// p <- p - lr g
template <typename T>
__global__ void sgd(T* param, const T* grad, T lr, T weight_decay, long long size)
{
    const long long step = (long long)blockDim.x * gridDim.x;
    for (long long i = (long long)blockIdx.x * blockDim.x + threadIdx.x; i < size; i += step) {
        T g = grad[i];
        if (weight_decay != T(0)) {
            g += weight_decay * param[i];
        }
        param[i] -= lr * g;
    }
}

// v <- momentum v + g;  p <- p - lr v, or with Nesterov's form p <- p - lr (g + momentum v)
template <typename T>
__global__ void sgd_momentum(T* param, const T* grad, T* velocity, T lr, T momentum, T weight_decay, int nesterov,
                             long long size)
{
    const long long step = (long long)blockDim.x * gridDim.x;
    for (long long i = (long long)blockIdx.x * blockDim.x + threadIdx.x; i < size; i += step) {
        T g = grad[i];
        if (weight_decay != T(0)) {
            g += weight_decay * param[i];
        }
        const T v = momentum * velocity[i] + g;
        velocity[i] = v;
        param[i] -= lr * (nesterov ? g + momentum * v : v);
    }
}

// m <- b1 m + (1-b1) g;  v <- b2 v + (1-b2) g^2;  p <- p - rate m / (sqrt(v) / root_of_correction + eps)
// ``kept`` scales p first (decoupled weight decay), ``added`` p go into the gradient (ordinary weight decay).
template <typename T>
__global__ void adam(T* param, const T* grad, T* mean, T* square, T rate, T new_mean, T kept_square, T new_square,
                     T root_of_correction, T eps, T kept, T added, long long size)
{
    const long long step = (long long)blockDim.x * gridDim.x;
    for (long long i = (long long)blockIdx.x * blockDim.x + threadIdx.x; i < size; i += step) {
        const T p = param[i] * kept;
        T g = grad[i];
        if (added != T(0)) {
            g += added * p;
        }
        const T m = mean[i] + new_mean * (g - mean[i]);
        const T v = kept_square * square[i] + new_square * g * g;
        mean[i] = m;
        square[i] = v;
        param[i] = p - rate * m / (sqrt(v) / root_of_correction + eps);
    }
}

// v <- a v + (1-a) g^2;  p <- p - lr g / (sqrt(v + inside) + outside)
// centered: m <- a m + (1-a) g, and v - m^2 in place of v; else ``mean`` is not looked at.
// moving: u <- momentum u + g / (...), p <- p - lr u; else ``velocity`` is not looked at.
template <typename T>
__global__ void rmsprop(T* param, const T* grad, T* square, T* mean, T* velocity, T lr, T kept, T added, T momentum,
                        T inside, T outside, T weight_decay, int centered, int moving, long long size)
{
    const long long step = (long long)blockDim.x * gridDim.x;
    for (long long i = (long long)blockIdx.x * blockDim.x + threadIdx.x; i < size; i += step) {
        T g = grad[i];
        if (weight_decay != T(0)) {
            g += weight_decay * param[i];
        }
        const T v = kept * square[i] + added * g * g;
        square[i] = v;
        T variance = v;
        if (centered) {
            const T m = mean[i] + added * (g - mean[i]);
            mean[i] = m;
            variance = v - m * m;
            if (variance < T(0)) {  // by rounding only, but the root of that is NaN
                variance = T(0);
            }
        }
        T change = g / (sqrt(variance + inside) + outside);
        if (moving) {
            change += momentum * velocity[i];
            velocity[i] = change;
        }
        param[i] -= lr * change;
    }
}
