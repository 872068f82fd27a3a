// The sums of a matrix's columns, the same to the last bit each time.
//
// The rows are cut into strips.  A thread of the first kernel adds up one column of one strip; a thread of the second
// adds up what the strips have in one column.  It takes two kernels for the reason that sums.cu gives.
//
// Neighbouring threads have neighbouring columns, and so read numbers that lie side by side.

typedef REAL real;  // float or double

// parts[strip, column] = sum of x[row, column] over the strip's rows; where the mask, unless it is null, is 0, x counts
// as zero.
extern "C" __global__ void add_rows(
    const real* x, const unsigned char* mask, double* parts, long long rows, int columns, int strips)
{
    long long index = (long long)blockIdx.x * blockDim.x + threadIdx.x;
    if (index >= (long long)strips * columns)
        return;
    long long column = index % columns, strip = index / columns;
    double sum = 0;
    for (long long row = rows * strip / strips; row < rows * (strip + 1) / strips; ++row)
        if (!mask || mask[row * columns + column])
            sum += x[row * columns + column];
    parts[index] = sum;
}

// sums[column] = sum of parts[strip, column] over all strips.
extern "C" __global__ void add_strips(const double* parts, real* sums, int columns, int strips)
{
    long long column = (long long)blockIdx.x * blockDim.x + threadIdx.x;
    if (column >= columns)
        return;
    double sum = 0;
    for (long long strip = 0; strip < strips; ++strip)
        sum += parts[strip * columns + column];
    sums[column] = sum;
}
