// Images continued by reflection, row by row or column by column: scratchnst/ops/reflection_pad.py.  Of `length` numbers
// 0 to length - 1 are the image's own, and `margin` are added on each side.

// m(i), equation (a): the number that is shown at place i, from -margin to length + margin - 1.
__device__ int mirrored(int i, int length)
{
    return i < 0 ? -i : i < length ? i : 2 * (length - 1) - i;
}

// The places p, counted from the first that is added, at which number u is shown: its own for way 0, in the mirror before
// the image for way 1, in that behind it for way 2; -1 if it is not shown there.
__device__ int shown(int u, int way, int length, int margin)
{
    if (way == 0)
        return margin + u;
    if (way == 1)
        return u >= 1 && u <= margin ? margin - u : -1;
    return u >= length - 1 - margin && u <= length - 2 ? margin + 2 * (length - 1) - u : -1;
}
