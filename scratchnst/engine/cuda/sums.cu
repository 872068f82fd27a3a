// The second half of a sum over a whole array.  A barrier holds for the threads of one block only; blocks cannot wait
// for each other.  So each of them adds up a part of the array and leaves its sum in memory.  A kernel begins when the
// one launched before it has ended: this one, of a single block, adds up these sums.

#include "block_sum.cuh"

// total = factor * (the sum of `count` numbers), which may be none.  Thread t takes the numbers t, t + blockDim.x, ...
extern "C" __global__ void sums_total(const double* sums, double* total, int count, double factor)
{
    double mine = 0;
    for (int index = threadIdx.x; index < count; index += blockDim.x)
        mine += factor * sums[index];
    block_sum(mine, total);
}
