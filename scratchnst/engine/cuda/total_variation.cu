// Total variation.  scratchnst/losses/total_variation.py has the equations; squares.cu tells what a grid-stride loop is.

typedef REAL real;  // float or double

#include "block_sum.cuh"

// sums[k] is what block k has of V, equation (a): for each of its numbers of x (images, height, width, channels) the
// squares of the differences to the pixel below and to the one on the right, where there are such pixels.
extern "C" __global__ void total_variation_forward(
    const real* x, double* sums, int images, int height, int width, int channels)
{
    double mine = 0;
    long long row = (long long)width * channels, count = images * height * row;
    long long stride = (long long)gridDim.x * blockDim.x;
    for (long long index = (long long)blockIdx.x * blockDim.x + threadIdx.x; index < count; index += stride) {
        if (index / row % height < height - 1) {
            real down = x[index + row] - x[index];
            mine += (double)down * down;
        }
        if (index % row < row - channels) {
            real right = x[index + channels] - x[index];
            mine += (double)right * right;
        }
    }
    block_sum(mine, sums + blockIdx.x);
}

// dL/dx, equation (b), gathered: a number of x is the end of the differences from above and from the left, and the
// start of those downwards and to the right.
extern "C" __global__ void total_variation_backward(
    const real* x, real* grad_x, real factor, int images, int height, int width, int channels)
{
    long long row = (long long)width * channels, count = images * height * row;
    long long index = (long long)blockIdx.x * blockDim.x + threadIdx.x;
    if (index >= count)
        return;
    int p = index / row % height;
    long long place = index % row;
    real here = x[index], sum = 0;
    if (p > 0)
        sum += here - x[index - row];
    if (p < height - 1)
        sum += here - x[index + row];
    if (place >= channels)
        sum += here - x[index - channels];
    if (place < row - channels)
        sum += here - x[index + channels];
    grad_x[index] = factor * sum;
}
