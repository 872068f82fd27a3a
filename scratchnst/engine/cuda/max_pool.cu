// 2x2 max pooling.  scratchnst/ops/max_pool.py has the equations, average_pool.cu says which thread makes which number.

typedef REAL real;  // float or double

// y and winner (N, height/2, width/2, channels) from x (N, height, width, channels), equation (a).  The winner, 0 to 3,
// is the first of the largest in reading order.  A NaN goes into y, as in the textbook; it is not larger than the
// winner so far, and nothing is larger than it, so the winner stays.
extern "C" __global__ void max_pool_forward(
    const real* x, real* y, unsigned char* winner, int height, int width, int channels)
{
    int row = blockIdx.x, place = blockIdx.y * blockDim.x + threadIdx.x;
    int length = width / 2 * channels;  // of a row of y
    if (place >= length)
        return;
    int image = row / (height / 2), p = row % (height / 2), q = place / channels, channel = place % channels;
    long long below = (long long)width * channels;  // from a pixel to the one below it
    const real* corner = x + ((long long)image * height + 2 * p) * below + 2LL * q * channels + channel;
    real largest = corner[0];
    unsigned char first = 0;
    for (int number = 1; number < 4; ++number) {
        real other = corner[number / 2 * below + number % 2 * channels];
        if (other > largest)
            first = number;
        if (other > largest || other != other)  // only a NaN is not equal to itself
            largest = other;
    }
    y[(long long)row * length + place] = largest;
    winner[(long long)row * length + place] = first;
}

// dL/dx from dL/dy, equation (b): a thread for each number of dL/dx, so that those of pixels left out become zero, too.
extern "C" __global__ void max_pool_backward(
    const real* grad_y, const unsigned char* winner, real* grad_x, int height, int width, int channels)
{
    int row = blockIdx.x, place = blockIdx.y * blockDim.x + threadIdx.x;
    if (place >= width * channels)
        return;
    int u = row % height, v = place / channels, p = u / 2, q = v / 2;
    long long square = ((long long)(row / height) * (height / 2) + p) * (width / 2) + q;
    long long index = square * channels + place % channels;
    bool inside = p < height / 2 && q < width / 2;
    bool won = inside && winner[index] == u % 2 * 2 + v % 2;
    grad_x[(long long)row * width * channels + place] = won ? grad_y[index] : 0;
}
