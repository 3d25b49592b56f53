// Matrix product, version 1 of 3: one thread for each number of the result. T is float or double.
//
//   c (M, N) = a (M, K) @ b (K, N), row after row in memory:  c[i, j] = sum over l of a[i, l] * b[l, j]
//
// Threads  one for each c[i, j]. threadIdx.x counts columns, so the 32 threads of a warp stand side by side in one row
//          of c: at each step they read 32 neighbours of b, and all the same number of a.
// Launch   <<<(ceil(N / 32), ceil(M / 8)), (32, 8)>>>; any block will do.
// Moves    2*M*N*K FLOPs. Every step of a warp asks for 128 bytes of b (float32: 4 sectors of 32 bytes) and one sector
//          of a: 160 bytes for 64 FLOPs. 1024 x 1024 x 1024 asks for 5.4 GB, though a, b and c together are 12.6 MB:
//          each number of b is read by M threads, each number of a by N threads (in warps).
// Improves nothing yet, it is the definition. One thing is right already: neighbouring threads read neighbouring
//          numbers, which the memory delivers in one go ("coalesced": CUDA C++ Best Practices Guide, "Coalesced Access
//          to Global Memory"). Let threadIdx.x count rows instead, and the 32 threads read from 32 rows of a: of each
//          sector of 32 bytes that comes, 4 are used.

template <typename T>
__global__ void matmul(const T* __restrict__ a, const T* __restrict__ b, T* __restrict__ c, int m, int n, int k)
{
    const int row = blockIdx.y * blockDim.y + threadIdx.y;
    const int column = blockIdx.x * blockDim.x + threadIdx.x;
    if (row < m && column < n) {
        T sum = T(0);
        for (int l = 0; l < k; ++l) {
            sum += a[(long long)row * k + l] * b[(long long)l * n + column];
        }
        c[(long long)row * n + column] = sum;
    }
}
