// The windows of a convolution with a stride, gathered and added up.  scratchnst/ops/strided_conv2d.py has the equations
// and their letters: windows (N, P, Q, kh, kw, channels) of x (N, height, width, channels), which is continued by
// reflection, `rows` and `columns` on each side, which may be none (mirror.cuh).  The products of matrices between these
// kernels are cuBLAS's.
//
// Only some rows of windows are in memory, `first` to last - 1, counted through all images.

typedef REAL real;  // float or double

#include "mirror.cuh"

// blockIdx.x is the row of windows, from `first` on, blockIdx.y the row i of the kernel.  Neighbouring threads have
// neighbouring channels of one pixel, then those of the pixel on its right: they lie side by side in x and in windows.
extern "C" __global__ void windows_gather(
    const real* __restrict__ x, real* __restrict__ windows, long long first,
    int P, int Q, int kh, int kw, int stride, int rows, int columns, int height, int width, int channels)
{
    int place = blockIdx.z * blockDim.x + threadIdx.x, length = kw * channels;  // of a row of a window
    if (place >= Q * length)
        return;
    long long row = first + blockIdx.x, image = row / P;
    int i = blockIdx.y, q = place / length, j = place % length / channels, c = place % channels;
    int u = mirrored((int)(row % P) * stride + i - rows, height), v = mirrored(q * stride + j - columns, width);
    windows[(((long long)blockIdx.x * Q + q) * kh + i) * length + place % length] =
        x[((image * height + u) * width + v) * channels + c];
}

// grad_x += the gradient of the windows in memory, each of whose numbers belongs to one number of x.  A thread has one
// number of x, and adds up where it is shown in windows: at place (a, b) of the continued image it is number (i, j) of
// window (p, q) if a = stride p + i and b = stride q + j.  blockIdx.x is its row, from `top` on, counted through all
// images.
extern "C" __global__ void windows_add(
    const real* __restrict__ grad_windows, real* __restrict__ grad_x, long long first, long long last, long long top,
    int P, int Q, int kh, int kw, int stride, int rows, int columns, int height, int width, int channels)
{
    int place = blockIdx.y * blockDim.x + threadIdx.x;
    if (place >= width * channels)
        return;
    long long row = top + blockIdx.x, image = row / height;
    int u = row % height, v = place / channels, c = place % channels;
    real sum = 0;
    for (int vertical = 0; vertical < 3; ++vertical) {
        int a = shown(u, vertical, height, rows);
        for (int i = a < 0 ? kh : a % stride; i < kh && i <= a; i += stride) {
            long long p = (a - i) / stride, window_row = image * P + p - first;
            if (p >= P || window_row < 0 || window_row >= last - first)
                continue;
            for (int horizontal = 0; horizontal < 3; ++horizontal) {
                int b = shown(v, horizontal, width, columns);
                for (int j = b < 0 ? kw : b % stride; j < kw && j <= b; j += stride) {
                    int q = (b - j) / stride;
                    if (q < Q)
                        sum += grad_windows[(((window_row * Q + q) * kh + i) * kw + j) * channels + c];
                }
            }
        }
    }
    grad_x[row * width * channels + place] += sum;
}
