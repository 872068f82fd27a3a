// The kernel's gradient, rung 2: equation (c) of scratchnst/ops/conv2d.py with shared memory, as tiled.cu explains it.
//
//     dL/dw[i,j,c,k] = sum over pixels of x[p + i - KH/2, q + j - KW/2, c] dL/dy[p,q,k]
//
// Here it is the pixels that are summed over.  Their rows are cut into strips, so that there are blocks enough.  A
// block takes one strip, one row i of the kernel, and a group of input and of output channels.  It goes along the
// strip's rows, COLUMNS pixels at a time: all threads fetch the numbers of x and of dL/dy into shared memory; then each
// multiplies, for one input channel, OUTPUTS output channels, and all j: KW * OUTPUTS sums in registers.  For each
// pixel it needs one new number of x and OUTPUTS numbers of dL/dy, and makes KW * OUTPUTS multiplications of them.
//
// Each strip has its own result; column_sums.cu adds them up.  Within a strip there may be a million pixels: adding
// each product to a large sum would round it badly, so the products of COLUMNS pixels are added up first.
//
// The layout comes from tiled.py.  KH, KW: the kernel's sides.  LANES: threads side by side, for LANES * OUTPUTS output
// channels.  CHANNELS: input channels of a block.

typedef REAL real;  // float or double

const int THREADS = LANES * CHANNELS;  // 256, or 32
const int GROUP = LANES * OUTPUTS;     // output channels of a block
const int COLUMNS = 32;

// parts[strip,i,j,c,k] = the sum above, over the pixels of one strip; `rows` are those of all images together.  dL/dy
// counts as zero where the mask, unless it is null, is 0.
//
// The second launch bound is how many blocks a multiprocessor has at a time at least: 256 threads, so that the compiler
// may give each of them nearly as many registers as a thread can have, 255.
extern "C" __global__ void __launch_bounds__(THREADS, 256 / THREADS) tiled_kernel_gradient(
    const real* __restrict__ x, const real* __restrict__ grad_y, const unsigned char* __restrict__ mask,
    real* __restrict__ parts,
    long long rows, int strips, int height, int width, int channels, int outputs)
{
    __shared__ real pixels[COLUMNS + KW - 1][CHANNELS];
    alignas(16) __shared__ real gradients[COLUMNS][GROUP];

    // Which block this is.
    const int input_groups = (channels + CHANNELS - 1) / CHANNELS, output_groups = (outputs + GROUP - 1) / GROUP;
    const int first_k = blockIdx.x % output_groups * GROUP;
    const int first_c = blockIdx.x / output_groups % input_groups * CHANNELS;
    const int i = blockIdx.x / output_groups / input_groups % KH;
    const long long strip = blockIdx.x / output_groups / input_groups / KH;

    // Which thread this is.
    const int lane = threadIdx.x % LANES, channel = threadIdx.x / LANES;

    real total[KW][OUTPUTS] = {};
    for (long long row = rows * strip / strips; row < rows * (strip + 1) / strips; ++row) {
        const int u = row % height + i - KH / 2;
        if (u < 0 || u >= height)
            continue;  // x is zero there; all threads of the block agree on that, and none waits at a barrier
        for (int left = 0; left < width; left += COLUMNS) {
            for (int index = threadIdx.x; index < (COLUMNS + KW - 1) * CHANNELS; index += THREADS) {
                int v = left + index / CHANNELS - KW / 2, c = first_c + index % CHANNELS;
                real value = 0;
                if (v >= 0 && v < width && c < channels)
                    value = x[((row + i - KH / 2) * width + v) * channels + c];
                pixels[index / CHANNELS][index % CHANNELS] = value;
            }
            for (int index = threadIdx.x; index < COLUMNS * GROUP; index += THREADS) {
                int q = left + index / GROUP, k = index % GROUP;
                real value = 0;
                if (q < width && first_k + k < outputs) {
                    long long position = (row * width + q) * outputs + first_k + k;
                    if (!mask || mask[position])
                        value = grad_y[position];
                }
                gradients[index / GROUP][k % LANES * OUTPUTS + k / LANES] = value;  // see tiled.cu's slab
            }
            __syncthreads();

            real sum[KW][OUTPUTS] = {};
#pragma unroll 8
            for (int q = 0; q < COLUMNS; ++q)
#pragma unroll
                for (int j = 0; j < KW; ++j)
#pragma unroll
                    for (int o = 0; o < OUTPUTS; ++o)
                        sum[j][o] += pixels[q + j][channel] * gradients[q][lane * OUTPUTS + o];
#pragma unroll
            for (int j = 0; j < KW; ++j)
#pragma unroll
                for (int o = 0; o < OUTPUTS; ++o)
                    total[j][o] += sum[j][o];
            __syncthreads();
        }
    }

    const int c = first_c + channel;
#pragma unroll
    for (int j = 0; j < KW; ++j)
#pragma unroll
        for (int o = 0; o < OUTPUTS; ++o) {
            int k = first_k + lane + o * LANES;
            if (c < channels && k < outputs)
                parts[(((strip * KH + i) * KW + j) * channels + c) * outputs + k] = total[j][o];
        }
}
