// Instance normalisation, alone and with a ReLU.  scratchnst/ops/instance_norm.py has the derivation, and
// scratchnst/engine/instance_norm.py the equations (a) to (c) in the form in which they are computed here: a kernel for
// the sums, and one for each way that computes each number from them.  Both sums are sum u and sum u d with
// d = x - pivot, there of u = d, back of u = g.
//
// The pixels of an image are cut into strips.  A thread of the first kernel adds up one channel of one strip of one
// image, in double; column_sums.cu adds up the strips.  A channel of an image is called a column, as there; neighbouring
// threads have neighbouring channels.

typedef REAL real;  // float or double

// The column of a number of images with so many pixels and channels.
__device__ long long column_of(long long index, long long pixels, int channels)
{
    return index / (pixels * channels) * channels + index % channels;
}

// parts[strip, 0, column] = sum u and parts[strip, 1, column] = sum u d over the strip's pixels.  g is null on the way
// there; the mask, unless it is null, is 0 where g counts as zero.
extern "C" __global__ void instance_norm_sums(
    const real* x, const real* pivot, const real* g, const unsigned char* mask, double* parts,
    long long pixels, int channels, int columns, int strips)
{
    long long index = (long long)blockIdx.x * blockDim.x + threadIdx.x;
    if (index >= (long long)strips * columns)
        return;
    long long column = index % columns, strip = index / columns;
    long long first = column / channels * pixels * channels + column % channels;  // of the column's numbers
    double sum = 0, product = 0;
    for (long long pixel = pixels * strip / strips; pixel < pixels * (strip + 1) / strips; ++pixel) {
        long long place = first + pixel * channels;
        double d = x[place] - pivot[column], u = !g ? d : !mask || mask[place] ? g[place] : 0;
        sum += u;
        product += u * d;
    }
    parts[2 * strip * columns + column] = sum;
    parts[(2 * strip + 1) * columns + column] = product;
}

// y = factor d + offset, equation (a), `count` numbers.  Unless positive is null, it becomes y > 0, and y max(y, 0).
extern "C" __global__ void instance_norm_forward(
    const real* x, const real* pivot, const real* factor, const real* offset, real* y, unsigned char* positive,
    long long pixels, int channels, long long count)
{
    long long index = (long long)blockIdx.x * blockDim.x + threadIdx.x;
    if (index >= count)
        return;
    long long column = column_of(index, pixels, channels);
    real value = factor[column] * (x[index] - pivot[column]) + offset[column];
    if (positive)
        positive[index] = value > 0;
    y[index] = positive && value < 0 ? 0 : value;
}

// dL/dx = factor (g + along d + offset), equation (c); where the mask, unless it is null, is 0, g counts as zero.
extern "C" __global__ void instance_norm_backward(
    const real* x, const real* pivot, const real* g, const unsigned char* mask,
    const real* factor, const real* along, const real* offset, real* grad_x,
    long long pixels, int channels, long long count)
{
    long long index = (long long)blockIdx.x * blockDim.x + threadIdx.x;
    if (index >= count)
        return;
    long long column = column_of(index, pixels, channels);
    real u = !mask || mask[index] ? g[index] : 0;
    grad_x[index] = factor[column] * (u + (along[column] * (x[index] - pivot[column]) + offset[column]));
}
