// Convolution, rung 2: what threads share is fetched once, into shared memory.  Equation (a) of
// scratchnst/ops/conv2d.py.
//
// naive.cu fetches two numbers for each multiplication, from memory or its caches.  But neighbouring outputs look at
// almost the same pixels, and all pixels look at the same weights.  So here a block of threads computes a whole tile
// of pixels, for a group of output channels, together.  It goes through the input channels, a CHUNK of them at a time:
//
//   1. All threads together fetch what the tile needs into shared memory (see block_sum.cuh): a patch of x, the tile
//      with a border around it, and a slab of weights.
//   2. A barrier: no thread goes on before all have put their numbers there.
//   3. Each thread multiplies.  It keeps PIXELS x OUTPUTS sums in registers, its own memory and the fastest there is:
//      eight pixels in a row times four output channels.  For a channel and a row of the kernel, PIXELS + KW - 1
//      numbers of the patch and KW x OUTPUTS weights, fetched from shared memory, make PIXELS x KW x OUTPUTS
//      multiplications: 10 and 12 make 96 for a 3x3 kernel.
//   4. Another barrier: no thread fetches the next chunk before all are done with this one.
//
// A GPU consists of multiprocessors, an H200 of 132.  A block runs on one of them, which has room for a few blocks at a
// time, as far as its registers and its shared memory go.  While one block waits for memory, another one
// multiplies.
//
// Two things about memory, where the 32 threads of a warp read together.
// - Global memory, where arrays are, comes in pieces of 32 bytes.  When neighbouring threads read neighbouring numbers,
//   each piece is fetched once and used whole ("coalesced").  Hence channels run fastest, in all arrays and for all
//   threads.
// - Shared memory has 32 banks; in float, number i lies in bank i modulo 32.  Threads that read the same number get it
//   at once, but different numbers of the same bank come one after the other.  In step 3 the LANES threads side by side
//   have different channels of the same pixels, and read the same number of the patch; the others of the warp have
//   other rows of the tile.  A row of the patch has an odd number of numbers, so that the same column of different rows
//   lies in different banks.
//
// Registers have no addresses: `sum[q][o]` can only be one if q and o are known when the kernel is compiled.  #pragma
// unroll sees to that, it writes the loop out.  __launch_bounds__ says how many threads a block has at most, and so how
// many registers each may use.
//
// The layout comes from tiled.py, as macros.  KH, KW: the convolution kernel's sides.  CHUNK: input channels at a time.
// LANES: threads side by side, for LANES * OUTPUTS output channels.  A tile has ROWS rows of STEPS * PIXELS pixels.

typedef REAL real;  // float or double

const int THREADS = LANES * ROWS * STEPS;
const int CHANNELS = LANES * OUTPUTS;         // of the output, a block's
const int COLUMNS = STEPS * PIXELS + KW - 1;  // of the patch

// y = x * w + b.  b may be null, for zero; mask as well, else x counts as zero where the mask is 0.
// If `positive` is not null, y becomes max(y, 0), and positive says where y > 0.
extern "C" __global__ void __launch_bounds__(THREADS) tiled_convolve(
    const real* __restrict__ x, const unsigned char* __restrict__ mask, const real* __restrict__ w,
    const real* __restrict__ b, real* __restrict__ y, unsigned char* __restrict__ positive,
    int height, int width, int channels, int outputs)
{
    __shared__ real patch[ROWS + KH - 1][COLUMNS * CHUNK | 1];        // | 1: the next odd number
    alignas(16) __shared__ real slab[KH * KW][CHUNK][CHANNELS];  // alignas: so that 16 bytes of it are read at once

    // Which block this is: a group of channels of a tile of an image.  The groups run fastest, so that blocks that read
    // the same pixels run at about the same time, and find them in the cache.
    const int groups = (outputs + CHANNELS - 1) / CHANNELS;
    const int across = (width + STEPS * PIXELS - 1) / (STEPS * PIXELS), down = (height + ROWS - 1) / ROWS;
    const int tile = blockIdx.x / groups;
    const int first = blockIdx.x % groups * CHANNELS;  // output channel
    const int left = tile % across * (STEPS * PIXELS);
    const int top = tile / across % down * ROWS;
    const long long image = tile / across / down;

    // Which thread this is: some channels of some pixels.
    const int lane = threadIdx.x % LANES;
    const int row = threadIdx.x / LANES % ROWS;
    const int column = threadIdx.x / LANES / ROWS * PIXELS;

    real sum[PIXELS][OUTPUTS] = {};
    for (int start = 0; start < channels; start += CHUNK) {
        // The patch; outside of the image, where masked and beyond the last channel it is zero.  Whatever it will be, a
        // number is fetched, if need be the first: without branches a thread need not wait for one before it asks for
        // the next.
#pragma unroll 4
        for (int index = threadIdx.x; index < (ROWS + KH - 1) * COLUMNS * CHUNK; index += THREADS) {
            int r = index / (COLUMNS * CHUNK), rest = index % (COLUMNS * CHUNK);
            int u = top + r - KH / 2, v = left + rest / CHUNK - KW / 2, c = start + rest % CHUNK;
            bool inside = u >= 0 && u < height && v >= 0 && v < width && c < channels;
            long long position = inside ? ((image * height + u) * width + v) * channels + c : 0;
            real value = x[position];
            unsigned char kept = mask ? mask[position] : 1;
            patch[r][rest] = inside && kept ? value : 0;
        }
        // The slab.  Channels lane, lane + LANES, lane + 2 LANES ... are one thread's: they lie side by side here,
        // where it reads them at once, and those of neighbouring threads lie side by side in y, where these write them.
        for (int index = threadIdx.x; index < KH * KW * CHUNK * CHANNELS; index += THREADS) {
            int k = index % CHANNELS, c = index / CHANNELS % CHUNK, weight = index / CHANNELS / CHUNK;
            real value = 0;
            if (start + c < channels && first + k < outputs)
                value = w[((long long)weight * channels + start + c) * outputs + first + k];
            slab[weight][c][k % LANES * OUTPUTS + k / LANES] = value;
        }
        __syncthreads();

        for (int c = 0; c < CHUNK; ++c)
            for (int i = 0; i < KH; ++i) {
                real pixels[PIXELS + KW - 1];
#pragma unroll
                for (int q = 0; q < PIXELS + KW - 1; ++q)
                    pixels[q] = patch[row + i][(column + q) * CHUNK + c];
#pragma unroll
                for (int j = 0; j < KW; ++j) {
                    const real* weights = &slab[i * KW + j][c][lane * OUTPUTS];
#pragma unroll
                    for (int o = 0; o < OUTPUTS; ++o)
#pragma unroll
                        for (int q = 0; q < PIXELS; ++q)
                            sum[q][o] += pixels[q + j] * weights[o];
                }
            }
        __syncthreads();
    }

    const int p = top + row;
#pragma unroll
    for (int q = 0; q < PIXELS; ++q)
#pragma unroll
        for (int o = 0; o < OUTPUTS; ++o) {
            int k = first + lane + o * LANES;
            if (p >= height || left + column + q >= width || k >= outputs)
                continue;
            long long position = ((image * height + p) * width + left + column + q) * outputs + k;
            real value = sum[q][o] + (b ? b[k] : 0);
            if (positive) {
                positive[position] = value > 0;
                value = value < 0 ? 0 : value;  // NaN stays NaN: it is not less than 0
            }
            y[position] = value;
        }
}
