// How far two arrays are from each other: the differences of their elements, and the sum of the squares of these.  It
// is what content loss (equation 1) and style loss (equation 4) have in common; both need the differences again on the
// way back.
//
// Memory takes nearly all the time, so both results are made of one reading.
//
// There may be a thousand times more elements than threads, and a thread takes many: its first is that of its own
// number among all threads of the grid, its next one lies as many places on as the grid has threads (gridDim is how
// many blocks it has), and so forth.  This is a grid-stride loop.  Neighbouring threads still read neighbouring
// elements, and any number of blocks does for any number of elements.
//
// Each thread adds up its own squares, block_sum.cuh those of a block, and sums.cu those of all blocks.

typedef REAL real;  // float or double

#include "block_sum.cuh"

// difference = a - b, `count` elements; sums[k] is the sum of squares of those that block k has taken.
extern "C" __global__ void squares_of_difference(
    const real* a, const real* b, real* difference, double* sums, long long count)
{
    double mine = 0;
    long long stride = (long long)gridDim.x * blockDim.x;
    for (long long index = (long long)blockIdx.x * blockDim.x + threadIdx.x; index < count; index += stride) {
        real d = a[index] - b[index];
        difference[index] = d;
        mine += (double)d * d;
    }
    block_sum(mine, sums + blockIdx.x);
}
