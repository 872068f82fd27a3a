// ReLU: negative numbers become zero, the others pass.  scratchnst/ops/relu.py has the equations.
//
// The simplest CUDA there is.  A function marked __global__ is a kernel: the CPU launches it (relu.py does), and the
// GPU runs it many times over, in as many threads as were asked for, all with the same arguments.  Each element of the
// array is computed by one thread: of what would be a loop over elements in Python, only the body is here.
//
// Threads come in blocks, here of 256, and all blocks of a launch are its grid.  A thread finds out which one it is:
// blockIdx is the number of its block in the grid, blockDim the number of threads in a block, threadIdx its own number
// within the block.  The last block may have more threads than there are elements left, hence the test against `count`.
//
// The order in which threads run is not defined, nor how many run at a time; so none depends on what another does.
//
// Pointers are addresses in the GPU's memory, which the CPU cannot read.  Arrays may have more than 2^31 elements, so
// an index into them is a `long long`, of 64 bits.  extern "C" lets Python find the kernel by its name.

typedef REAL real;  // float or double: the compiler is told which, -DREAL=float

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
