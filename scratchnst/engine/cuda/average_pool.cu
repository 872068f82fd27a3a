// 2x2 average pooling.  scratchnst/ops/average_pool.py has the equations.  With the factor 1 in the place of 1/4 the two
// kernels are those of nearest upsampling in reverse order: scratchnst/ops/upsample.py.
//
// A grid may have two dimensions.  Here blockIdx.x is the row of the result that a block works on, counted through all
// images, blockIdx.y which piece of that row.  A thread makes one number: the one at `place` in the row, which is
// channel `channel` of its pixel q.
//
// A GPU runs the threads of a block in warps, 32 neighbours that execute an instruction together.  What they read at a
// time comes fastest if it lies side by side in memory.  Along a row that is where channels lie, those of the first
// pixel, then those of the second; so neighbouring threads take neighbouring channels.

typedef REAL real;  // float or double

// y (N, height/2, width/2, channels) from x (N, height, width, channels), equation (a).  A last odd row or column
// belongs to no square.
extern "C" __global__ void average_pool_forward(
    const real* x, real* y, real factor, int height, int width, int channels)
{
    int row = blockIdx.x, place = blockIdx.y * blockDim.x + threadIdx.x;
    int length = width / 2 * channels;  // of a row of y
    if (place >= length)
        return;
    int image = row / (height / 2), p = row % (height / 2), q = place / channels, channel = place % channels;
    long long below = (long long)width * channels;  // from a pixel to the one below it
    const real* corner = x + ((long long)image * height + 2 * p) * below + 2LL * q * channels + channel;
    y[(long long)row * length + place] =
        (corner[0] + corner[channels] + corner[below] + corner[below + channels]) * factor;
}

// dL/dx from dL/dy, equation (b): a thread for each number of dL/dx, so that those of pixels left out become zero, too.
// `square` counts the pixels of dL/dy; the thread's own is in row p and column q there.
extern "C" __global__ void average_pool_backward(
    const real* grad_y, real* grad_x, real factor, int height, int width, int channels)
{
    int row = blockIdx.x, place = blockIdx.y * blockDim.x + threadIdx.x;
    if (place >= width * channels)
        return;
    int p = row % height / 2, q = place / channels / 2;
    long long square = ((long long)(row / height) * (height / 2) + p) * (width / 2) + q;
    long long index = square * channels + place % channels;
    bool inside = p < height / 2 && q < width / 2;
    grad_x[(long long)row * width * channels + place] = inside ? grad_y[index] * factor : 0;
}
