// Convolution, rung 1: the definition.  scratchnst/ops/conv2d.py has the equations and their letters.
//
// Each number of the result is the business of one thread, which computes its whole sum.  That is all there is to it,
// and it is what the other rungs are compared with.
//
// Arrays lie in memory as (images, height, width, channels), the channel running fastest.  So do the numbers of the
// threads: the 32 threads of a warp, which march in step, look at 32 neighbouring output channels of the same pixel.
// Their weights lie side by side, and the GPU fetches them at once; they all want the same number of x, which is
// fetched once.  What limits this kernel: for each multiplication it fetches two numbers, from a cache if all goes
// well, while the arithmetic waits.  tiled.cu keeps them closer.

typedef REAL real;  // float or double

// y = x * w + b, equation (a).  b may be null, for zero; mask as well, else x counts as zero where the mask is 0.
// If `positive` is not null, y becomes max(y, 0), and positive says where y > 0.
extern "C" __global__ void convolve(
    const real* x, const unsigned char* mask, const real* w, const real* b, real* y, unsigned char* positive,
    int count, int height, int width, int channels, int outputs, int kh, int kw)
{
    long long index = (long long)blockIdx.x * blockDim.x + threadIdx.x;
    if (index >= (long long)count * height * width * outputs)
        return;
    int k = index % outputs;  // y[n,p,q,k] is this thread's
    int q = index / outputs % width;
    int p = index / outputs / width % height;
    long long n = index / outputs / width / height;

    real sum = b ? b[k] : 0;
    for (int i = 0; i < kh; i++)
        for (int j = 0; j < kw; j++) {
            int u = p + i - kh / 2, v = q + j - kw / 2;
            if (u < 0 || u >= height || v < 0 || v >= width)
                continue;  // x is zero outside of the image
            long long pixel = ((n * height + u) * width + v) * channels;
            long long weights = (long long)(i * kw + j) * channels * outputs + k;
            for (int c = 0; c < channels; c++)
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
extern "C" __global__ void kernel_gradient(
    const real* x, const real* grad_y, const unsigned char* mask, real* grad_w,
    int count, int height, int width, int channels, int outputs, int kh, int kw)
{
    long long index = (long long)blockIdx.x * blockDim.x + threadIdx.x;
    if (index >= (long long)kh * kw * channels * outputs)
        return;
    int k = index % outputs;  // grad_w[i,j,c,k] is this thread's
    int c = index / outputs % channels;
    int j = index / outputs / channels % kw;
    int i = index / outputs / channels / kw;

    double sum = 0;
    for (long long n = 0; n < count; n++)
        for (int p = 0; p < height; p++)
            for (int q = 0; q < width; q++) {
                int u = p + i - kh / 2, v = q + j - kw / 2;
                if (u < 0 || u >= height || v < 0 || v >= width)
                    continue;
                long long output = ((n * height + p) * width + q) * outputs + k;
                if (!mask || mask[output])
                    sum += (double)x[((n * height + u) * width + v) * channels + c] * grad_y[output];
            }
    grad_w[index] = sum;
}
