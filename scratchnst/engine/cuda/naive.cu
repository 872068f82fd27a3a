// Convolution, rung 1: the definition.  scratchnst/ops/conv2d.py has the equations and their letters.
//
// Each number of the result is computed by one thread, which adds up its whole sum.  The other rungs are compared with
// this one.
//
// Arrays lie in memory as (images, height, width, channels), the channel running fastest.  So do the numbers of the
// threads: where there are 32 output channels or more, the threads of a warp look at neighbouring ones of the same
// pixel.  Their weights lie side by side, and the GPU fetches them at once; they all want the same number of x, which
// is fetched once.  What limits this kernel: for each multiplication it fetches two numbers, mostly from a
// cache, while the arithmetic waits.  tiled.cu keeps them closer.
//
// __restrict__ promises the compiler that no two of these arrays overlap: what has been read from one is still valid
// after something was written to another.  A mask is an array of bools, a byte each.

typedef REAL real;  // float or double

// y = x * w + b, equation (a); w (kh, kw, channels, outputs).  b may be null, for zero; mask as well, else x counts as
// zero where the mask is 0.
// If `positive` is not null, y becomes max(y, 0), and positive says where y > 0.
extern "C" __global__ void naive_convolve(
    const real* __restrict__ x, const unsigned char* __restrict__ mask, const real* __restrict__ w,
    const real* __restrict__ b, real* __restrict__ y, unsigned char* __restrict__ positive,
    int images, int height, int width, int channels, int outputs, int kh, int kw)
{
    long long index = (long long)blockIdx.x * blockDim.x + threadIdx.x;
    if (index >= (long long)images * height * width * outputs)
        return;
    int k = index % outputs;  // y[n,p,q,k] is this thread's
    int q = index / outputs % width;
    int p = index / outputs / width % height;
    long long n = index / outputs / width / height;

    real sum = b ? b[k] : 0;
    for (int i = 0; i < kh; ++i)
        for (int j = 0; j < kw; ++j) {
            int u = p + i - kh / 2, v = q + j - kw / 2;
            if (u < 0 || u >= height || v < 0 || v >= width)
                continue;  // x is zero outside of the image
            long long pixel = ((n * height + u) * width + v) * channels;
            long long weights = (long long)(i * kw + j) * channels * outputs + k;
            for (int c = 0; c < channels; ++c)
                if (!mask || mask[pixel + c])
                    sum += x[pixel + c] * w[weights + (long long)c * outputs];
        }

    if (positive) {
        positive[index] = sum > 0;
        sum = sum < 0 ? 0 : sum;  // NaN stays NaN: it is not less than 0
    }
    y[index] = sum;
}

// dL/dw, equation (c): each thread has one weight, and sums over all pixels of all images.  dL/dy counts as zero where
// the mask, unless it is null, is 0.  So many numbers are added up that rounding would show: the sum is a double.
extern "C" __global__ void naive_kernel_gradient(
    const real* __restrict__ x, const real* __restrict__ grad_y, const unsigned char* __restrict__ mask,
    real* __restrict__ grad_w,
    int images, int height, int width, int channels, int outputs, int kh, int kw)
{
    long long index = (long long)blockIdx.x * blockDim.x + threadIdx.x;
    if (index >= (long long)kh * kw * channels * outputs)
        return;
    int k = index % outputs;  // grad_w[i,j,c,k] is this thread's
    int c = index / outputs % channels;
    int j = index / outputs / channels % kw;
    int i = index / outputs / channels / kw;

    double sum = 0;
    for (long long n = 0; n < images; ++n)
        for (int p = 0; p < height; ++p)
            for (int q = 0; q < width; ++q) {
                int u = p + i - kh / 2, v = q + j - kw / 2;
                if (u < 0 || u >= height || v < 0 || v >= width)
                    continue;
                long long output = ((n * height + p) * width + q) * outputs + k;
                if (!mask || mask[output])
                    sum += (double)x[((n * height + u) * width + v) * channels + c] * grad_y[output];
            }
    grad_w[index] = sum;
}
