// Reflection padding.  scratchnst/ops/reflection_pad.py has the equations, average_pool.cu says which thread makes which
// number.

typedef REAL real;  // float or double

#include "mirror.cuh"

// y (N, height + 2 rows, width + 2 columns, channels) from x (N, height, width, channels), equation (b).
extern "C" __global__ void reflection_pad_forward(
    const real* x, real* y, int rows, int columns, int height, int width, int channels)
{
    int row = blockIdx.x, place = blockIdx.y * blockDim.x + threadIdx.x;
    int length = (width + 2 * columns) * channels;  // of a row of y
    if (place >= length)
        return;
    int image = row / (height + 2 * rows), u = mirrored(row % (height + 2 * rows) - rows, height);
    int v = mirrored(place / channels - columns, width);
    y[(long long)row * length + place] = x[(((long long)image * height + u) * width + v) * channels + place % channels];
}

// dL/dx from dL/dy: a thread for each number of dL/dx, which adds up all places at which it is shown.
extern "C" __global__ void reflection_pad_backward(
    const real* grad_y, real* grad_x, int rows, int columns, int height, int width, int channels)
{
    int row = blockIdx.x, place = blockIdx.y * blockDim.x + threadIdx.x;
    if (place >= width * channels)
        return;
    int image = row / height, u = row % height, v = place / channels;
    real sum = 0;
    for (int vertical = 0; vertical < 3; ++vertical)
        for (int horizontal = 0; horizontal < 3; ++horizontal) {
            int p = shown(u, vertical, height, rows), q = shown(v, horizontal, width, columns);
            if (p < 0 || q < 0)
                continue;
            long long pixel = ((long long)image * (height + 2 * rows) + p) * (width + 2 * columns) + q;
            sum += grad_y[pixel * channels + place % channels];
        }
    grad_x[(long long)row * width * channels + place] = sum;
}
