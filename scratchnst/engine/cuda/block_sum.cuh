// The sum of one number of each thread of a block, whose size is a power of two, is written to `sum`.
//
// Threads of a block can hand numbers to each other through shared memory, which is small, fast and the block's own.
// They add up in rounds, here for 8 threads:
//
//      7   2   5   3   1   4   0   6      each of the first four threads adds what lies four places on
//      8   6   5   9                      each of the first two, two places on
//     13  15                              the first, one place on
//     28
//
// Threads do not run in step: one may be a round ahead of another.  __syncthreads is a barrier: nobody passes it before
// all threads of the block have come to it, and have written what the others read in the next round.
//
// In double, whatever `real` is: the rounding of a million additions in float would show.  And always in the same order,
// so that the same numbers give the same sum to the last bit; additions to one place in memory (atomicAdd) come in any.
//
// A kernel calls it once: a second call would overwrite numbers that slower threads have yet to read.
__device__ void block_sum(double number, double* sum)
{
    __shared__ double numbers[1024];  // for the largest block that there is
    int thread = threadIdx.x;
    numbers[thread] = number;
    for (int half = blockDim.x / 2; half > 0; half /= 2) {
        __syncthreads();
        if (thread < half)
            numbers[thread] += numbers[thread + half];
    }
    if (thread == 0)
        *sum = numbers[0];
}
