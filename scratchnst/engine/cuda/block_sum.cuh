// The sum of one number of each thread of a block, whose size is a power of two, is written to `sum`.  A function
// marked __device__ is called by kernels.
//
// Threads of a block can hand numbers to each other through shared memory: what is declared __shared__ exists once for
// each block, not once for each thread.  It is small, 48 KB, and fast, and ends with the block.  The threads add up in
// rounds, here 8 of them:
//
//      7   2   5   3   1   4   0   6      each of the first four threads adds what lies four places on
//      8   6   5   9                      each of the first two, two places on
//     13  15                              the first, one place on
//     28
//
// Threads do not run in step: different warps never, and not even those of one warp may be relied on to.  One could be
// a round ahead of another.  So there is a barrier, __syncthreads(): no thread passes it before all threads of the
// block have come to it, and have written what the others read in the next round.  All have to come, hence it stands
// outside of the `if`.
//
// In double, whatever `real` is: the rounding of a million additions in float would show.  And always in the same
// order, so that the same numbers give the same sum to the last bit; atomicAdd, with which threads can add to one place
// in memory, adds in whatever order they come.
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
