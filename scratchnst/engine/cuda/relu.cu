// ReLU: negative numbers become zero, the others pass.  scratchnst/ops/relu.py has the equations.
//
// The simplest kernel there is: each element is the business of one thread.  blockIdx, blockDim and threadIdx tell a
// thread which of all threads it is.  The last block may have more threads than there are elements left, hence the
// test against `count`.

typedef REAL real;  // float or double

// y = max(x, 0), equation (a); `count` elements.  NaN stays NaN: it is not less than 0.
extern "C" __global__ void relu_forward(const real* x, real* y, long long count)
{
    long long index = (long long)blockIdx.x * blockDim.x + threadIdx.x;
    if (index < count)
        y[index] = x[index] < 0 ? 0 : x[index];
}

// dL/dx = dL/dy where y > 0, and 0 elsewhere, equation (b).
extern "C" __global__ void relu_backward(const real* grad_y, const real* y, real* grad_x, long long count)
{
    long long index = (long long)blockIdx.x * blockDim.x + threadIdx.x;
    if (index < count)
        grad_x[index] = y[index] > 0 ? grad_y[index] : 0;
}
