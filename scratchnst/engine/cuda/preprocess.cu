// Preprocessing.  scratchnst/ops/preprocess.py has the equations.
//
// A thread for each number.  With reversed = 1 the network expects BGR: its channel c of a pixel is channel 2 - c of
// RGB.

typedef REAL real;  // float or double

// The one of three numbers that belongs to channel 0, 1 or 2.
__device__ real of_channel(int channel, real first, real second, real third)
{
    return channel == 0 ? first : channel == 1 ? second : third;
}

// y = factor * x - offset, equation (a), x in RGB, y, factors and offsets in the network's order; `count` numbers.
extern "C" __global__ void preprocess_forward(
    const real* x, real* y, long long count, int reversed,
    real factor0, real factor1, real factor2, real offset0, real offset1, real offset2)
{
    long long index = (long long)blockIdx.x * blockDim.x + threadIdx.x;
    if (index >= count)
        return;
    int channel = index % 3;
    real value = x[reversed ? index - channel + 2 - channel : index];
    y[index] = of_channel(channel, factor0, factor1, factor2) * value - of_channel(channel, offset0, offset1, offset2);
}

// dL/dx = factor * dL/dy, equation (b); again, each number of dL/dy goes where its pixel's channel came from.
extern "C" __global__ void preprocess_backward(
    const real* grad_y, real* grad_x, long long count, int reversed,
    real factor0, real factor1, real factor2)
{
    long long index = (long long)blockIdx.x * blockDim.x + threadIdx.x;
    if (index >= count)
        return;
    int channel = index % 3;
    grad_x[reversed ? index - channel + 2 - channel : index] =
        of_channel(channel, factor0, factor1, factor2) * grad_y[index];
}
