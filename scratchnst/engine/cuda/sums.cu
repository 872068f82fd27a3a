// The second half of a sum over a whole array.  Blocks cannot wait for each other, so each of them adds up a part of the
// array and leaves its sum in memory; when all have ended, this kernel, of one block, adds up these sums.

#include "block_sum.cuh"

// total = factor * (the sum of `count` numbers), which may be none.  Thread t takes the numbers t, t + blockDim.x, ...
extern "C" __global__ void sums_total(const double* sums, double* total, int count, double factor)
{
    double mine = 0;
    for (int index = threadIdx.x; index < count; index += blockDim.x)
        mine += factor * sums[index];
    block_sum(mine, total);
}
