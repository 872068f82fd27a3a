// Winograd's convolution F(4x4, 3x3): what stands before and after the matrix products.  The mathematics is derived in
// scratchnst/engine/cpu/winograd.py, and the equations (d), (e) and (g) below are those of that file:
//
//     D[t] = B^T d[t] B,   U = G w G^T,   M = D U (36 products of matrices, cuBLAS),   y[t] = A^T M[t] A          (e)
//
// A tile t is 4x4 pixels of the output, and d[t] the 6x6 pixels of the input that they depend on.  One thread has one
// tile of one channel, from its pixels to its 36 numbers, which fit into its registers.  So every index below must be
// known when the kernel is compiled (see tiled.cu), once the loops are unrolled and the functions inlined, as
// __forceinline__ demands.
//
// D and M lie in memory as (36, tiles, channels).  Threads side by side have channels side by side, in images as in D
// and M, so that a warp's 32 threads read and write 32 numbers side by side, and use all bytes that are fetched.
//
// blockDim is (channels, tiles) of a block, and so is the grid, counted in blocks.  Tiles are counted from `first`, row
// by row, image by image; `down` and `across` say how many an image has.
//
// The points are 0, 1, -1, 1/2, -2 and infinity.  A row of B^T holds the coefficients of a polynomial that is 1 at one
// of them and 0 at the others: the product of (t - other point), divided by its value at the point.  Here it is not B^T
// that is divided, but the same row of G, since M is only the product of the two: there are far fewer kernels than
// tiles, and the numbers left in B^T are exact in binary.
//
// "Kernel" in a name below (winograd_kernel, transform_kernel) is always the convolution's.

typedef REAL real;  // float or double

const int POINTS = 6, TILE = 4;
const real HALF = (real)1 / 2, QUARTER = (real)1 / 4, EIGHTH = (real)1 / 8, THREE_HALVES = (real)3 / 2;
const real THIRD = (real)1 / 3, FIFTEENTH = (real)1 / 15;

// The five transforms of one dimension.  Each replaces numbers that lie `step` apart, of a column or of a row.

// Six pixels d -> their six numbers B^T d.
__device__ __forceinline__ void transform_input(real* d, int step)
{
    real d0 = d[0], d1 = d[step], d2 = d[2 * step], d3 = d[3 * step], d4 = d[4 * step], d5 = d[5 * step];
    real even = d4 - d2, odd = d3 - d1;
    d[0] = (d0 - d2) + THREE_HALVES * odd + even;                       // d0 - 3/2 d1 - 2 d2 + 3/2 d3 + d4
    d[step] = (even + odd) + THREE_HALVES * (d3 + d2);                  // -d1 + 1/2 d2 + 5/2 d3 + d4
    d[2 * step] = (even - odd) + THREE_HALVES * (d3 - d2);              // d1 - 5/2 d2 + 1/2 d3 + d4
    d[3 * step] = even + 2 * odd;                                       // -2 d1 - d2 + 2 d3 + d4
    d[4 * step] = even - HALF * odd;                                    // 1/2 d1 - d2 - 1/2 d3 + d4
    d[5 * step] = (d5 - d3) + THREE_HALVES * even - odd;                // d1 - 3/2 d2 - 2 d3 + 3/2 d4 + d5
}

// Three weights w -> their values at the points, times the fractions: G w.
__device__ __forceinline__ void transform_kernel(real* w, int step)
{
    real w0 = w[0], w1 = w[step], w2 = w[2 * step];
    w[step] = THIRD * (w0 + w2 + w1);
    w[2 * step] = -THIRD * (w0 + w2 - w1);
    w[3 * step] = -16 * FIFTEENTH * (w0 + HALF * w1 + QUARTER * w2);
    w[4 * step] = FIFTEENTH * (w0 - 2 * w1 + 4 * w2);
    w[5 * step] = w2;
}

// Six numbers m -> four pixels of the output, A^T m.
__device__ __forceinline__ void transform_output(real* m, int step)
{
    real m3 = m[3 * step], m4 = m[4 * step];
    real sum = m[step] + m[2 * step], difference = m[step] - m[2 * step];
    m[0] = m[0] + sum + m3 + m4;
    m[step] = difference + HALF * m3 - 2 * m4;
    m[2 * step] = sum + QUARTER * m3 + 4 * m4;
    m[3 * step] = difference + EIGHTH * m3 - 8 * m4 + m[5 * step];
}

// Four pixels g of the output's gradient -> six numbers A g: the transpose of transform_output.
__device__ __forceinline__ void transform_gradient(real* g, int step)
{
    real g0 = g[0], g1 = g[step], g2 = g[2 * step], g3 = g[3 * step];
    g[step] = (g0 + g2) + (g1 + g3);
    g[2 * step] = (g0 + g2) - (g1 + g3);
    g[3 * step] = g0 + HALF * g1 + QUARTER * g2 + EIGHTH * g3;
    g[4 * step] = g0 - 2 * g1 + 4 * g2 - 8 * g3;
    g[5 * step] = g3;
}

// Six numbers u -> the gradient of three weights, G^T u: the transpose of transform_kernel.
__device__ __forceinline__ void transform_kernel_gradient(real* u, int step)
{
    real u1 = THIRD * u[step], u2 = -THIRD * u[2 * step];
    real u3 = -16 * FIFTEENTH * u[3 * step], u4 = FIFTEENTH * u[4 * step];
    u[0] = u[0] + u1 + u2 + u3 + u4;
    u[step] = u1 - u2 + HALF * u3 - 2 * u4;
    u[2 * step] = u1 + u2 + QUARTER * u3 + 4 * u4 + u[5 * step];
}

// Where a thread's tile begins: image, row and column of its first pixel of output.
struct Place {
    int image, row, column;
};

__device__ __forceinline__ Place place(int tile, int down, int across)
{
    int rows = tile / across;  // of tiles, of all images so far
    return {rows / down, TILE * (rows % down), TILE * (tile % across)};
}

// The one of 0, ..., count - 1 that is nearest to an index.
__device__ __forceinline__ int nearest(int index, int count)
{
    return min(max(index, 0), count - 1);
}

// Read side x side pixels of a channel into the upper left of a thread's 6x6 numbers.  They begin at a row and column
// that may lie outside of the image: there, and where `mask`, if there is one, is 0, pixels are 0.  Instead of a pixel
// outside, its nearest neighbour inside is read, and not used: without branches, all reads are under way at once.
__device__ __forceinline__ void read_pixels(
    const real* __restrict__ x, const unsigned char* __restrict__ mask, int side, Place from, int channel, int height,
    int width, int channels, real* numbers)
{
    int top = nearest(from.row, height), left = nearest(from.column, width);
    long long start = (((long long)from.image * height + top) * width + left) * channels + channel;
    int rows[POINTS], columns[POINTS];  // how far from there
#pragma unroll
    for (int step = 0; step < side; ++step) {
        rows[step] = (nearest(from.row + step, height) - top) * width * channels;
        columns[step] = (nearest(from.column + step, width) - left) * channels;
    }
    x += start;
    if (!mask)
#pragma unroll
        for (int row = 0; row < side; ++row)
#pragma unroll
            for (int column = 0; column < side; ++column)
                numbers[POINTS * row + column] = x[rows[row] + columns[column]];
    else
#pragma unroll
        for (int row = 0; row < side; ++row)
#pragma unroll
            for (int column = 0; column < side; ++column) {
                real pixel = x[rows[row] + columns[column]];
                numbers[POINTS * row + column] = (mask + start)[rows[row] + columns[column]] ? pixel : 0;
            }
    if (from.row < 0 || from.row + side > height || from.column < 0 || from.column + side > width)
#pragma unroll
        for (int row = 0; row < side; ++row)
#pragma unroll
            for (int column = 0; column < side; ++column)
                if (from.row + row < 0 || from.row + row >= height || from.column + column < 0 ||
                    from.column + column >= width)
                    numbers[POINTS * row + column] = 0;
}

// Write a thread's 36 numbers to their places in D, or what has its layout: (36, tiles, channels).
__device__ __forceinline__ void write_points(
    const real* numbers, real* D, int tile, int tiles, int channel, int channels)
{
    D += (long long)tile * channels + channel;
#pragma unroll
    for (int point = 0; point < POINTS * POINTS; ++point)
        D[(long long)point * tiles * channels] = numbers[point];
}

// D = B^T d B of `tiles` tiles of x (N, height, width, channels), zero where `mask`, if there is one, is 0.
extern "C" __global__ void winograd_input(
    const real* __restrict__ x, const unsigned char* __restrict__ mask, real* __restrict__ D,
    int first, int tiles, int down, int across, int height, int width, int channels)
{
    int channel = blockIdx.x * blockDim.x + threadIdx.x, tile = blockIdx.y * blockDim.y + threadIdx.y;
    if (channel >= channels || tile >= tiles)
        return;
    Place from = place(first + tile, down, across);
    from.row -= 1;  // the kernel reaches one pixel to each side
    from.column -= 1;
    real numbers[POINTS * POINTS];
    read_pixels(x, mask, POINTS, from, channel, height, width, channels, numbers);
#pragma unroll
    for (int column = 0; column < POINTS; ++column)
        transform_input(numbers + column, POINTS);
#pragma unroll
    for (int row = 0; row < POINTS; ++row)
        transform_input(numbers + POINTS * row, 1);
    write_points(numbers, D, tile, tiles, channel, channels);
}

// dL/dM = A g A^T, equation (g), of `tiles` tiles of g = grad_y, zero where `mask`, if there is one, is 0.
extern "C" __global__ void winograd_gradient(
    const real* __restrict__ grad_y, const unsigned char* __restrict__ mask, real* __restrict__ grad_M,
    int first, int tiles, int down, int across, int height, int width, int channels)
{
    int channel = blockIdx.x * blockDim.x + threadIdx.x, tile = blockIdx.y * blockDim.y + threadIdx.y;
    if (channel >= channels || tile >= tiles)
        return;
    real numbers[POINTS * POINTS];
    read_pixels(grad_y, mask, TILE, place(first + tile, down, across), channel, height, width, channels, numbers);
#pragma unroll
    for (int column = 0; column < TILE; ++column)
        transform_gradient(numbers + column, POINTS);
#pragma unroll
    for (int row = 0; row < POINTS; ++row)
        transform_gradient(numbers + POINTS * row, 1);
    write_points(numbers, grad_M, tile, tiles, channel, channels);
}

// y = A^T M A of `tiles` tiles, plus the bias b, if there is one.  If `positive` is given, y is rectified, and positive
// says where it is above 0.  Of tiles at the edge only what lies within y (N, height, width, channels) is written.
extern "C" __global__ void winograd_output(
    const real* __restrict__ M, const real* __restrict__ b, real* __restrict__ y, unsigned char* __restrict__ positive,
    int first, int tiles, int down, int across, int height, int width, int channels)
{
    int channel = blockIdx.x * blockDim.x + threadIdx.x, tile = blockIdx.y * blockDim.y + threadIdx.y;
    if (channel >= channels || tile >= tiles)
        return;
    real numbers[POINTS * POINTS];
    M += (long long)tile * channels + channel;
#pragma unroll
    for (int point = 0; point < POINTS * POINTS; ++point)
        numbers[point] = M[(long long)point * tiles * channels];
#pragma unroll
    for (int column = 0; column < POINTS; ++column)
        transform_output(numbers + column, POINTS);
#pragma unroll
    for (int row = 0; row < TILE; ++row)
        transform_output(numbers + POINTS * row, 1);

    Place to = place(first + tile, down, across);
    long long start = (((long long)to.image * height + to.row) * width + to.column) * channels + channel;
    int rows = min(TILE, height - to.row), columns = min(TILE, width - to.column);
    real bias = b ? b[channel] : 0;
#pragma unroll
    for (int row = 0; row < TILE; ++row)
#pragma unroll
        for (int column = 0; column < TILE; ++column) {
            real value = numbers[POINTS * row + column] + bias;
            int offset = (row * width + column) * channels;
            if (positive && row < rows && column < columns)
                (positive + start)[offset] = value > 0;
            if (positive && value < 0)
                value = 0;
            if (row < rows && column < columns)
                (y + start)[offset] = value;
        }
}

// U = G w G^T, (36, C, K), of a kernel w (3, 3, C, K), a thread for each of the count = C K pairs of channels.  If
// `flip`, of the kernel turned by 180 degrees, with which dL/dx is convolved.
extern "C" __global__ void winograd_kernel(const real* __restrict__ w, real* __restrict__ U, int count, int flip)
{
    int pair = blockIdx.x * blockDim.x + threadIdx.x;
    if (pair >= count)
        return;
    real numbers[POINTS * POINTS];
#pragma unroll
    for (int row = 0; row < 3; ++row)
#pragma unroll
        for (int column = 0; column < 3; ++column) {
            int weight = 3 * row + column;
            numbers[POINTS * row + column] = w[(long long)(flip ? 8 - weight : weight) * count + pair];
        }
#pragma unroll
    for (int column = 0; column < 3; ++column)
        transform_kernel(numbers + column, POINTS);
#pragma unroll
    for (int row = 0; row < POINTS; ++row)
        transform_kernel(numbers + POINTS * row, 1);
#pragma unroll
    for (int point = 0; point < POINTS * POINTS; ++point)
        U[(long long)point * count + pair] = numbers[point];
}

// dL/dw = G^T dL/dU G, equation (g), a thread for each pair of channels.
extern "C" __global__ void winograd_kernel_gradient(
    const real* __restrict__ grad_U, real* __restrict__ grad_w, int count)
{
    int pair = blockIdx.x * blockDim.x + threadIdx.x;
    if (pair >= count)
        return;
    real numbers[POINTS * POINTS];
#pragma unroll
    for (int point = 0; point < POINTS * POINTS; ++point)
        numbers[point] = grad_U[(long long)point * count + pair];
#pragma unroll
    for (int column = 0; column < POINTS; ++column)
        transform_kernel_gradient(numbers + column, POINTS);
#pragma unroll
    for (int row = 0; row < 3; ++row)
        transform_kernel_gradient(numbers + POINTS * row, 1);
#pragma unroll
    for (int row = 0; row < 3; ++row)
#pragma unroll
        for (int column = 0; column < 3; ++column)
            grad_w[(long long)(3 * row + column) * count + pair] = numbers[POINTS * row + column];
}
