#!/bin/sh
# Everything that a machine with a GPU can check and measure, in one call: sh tests/gpu.sh [FILE.json]
#
# PYTHON names the interpreter that has this package with its extra cuda12 or cuda13, pytest and hypothesis, and, to be
# compared with, PyTorch.  MINUTES is how long the bench may go on.  What fails is said in the end; all else is done.

cd "$(dirname "$0")/.." || exit 2
python=${PYTHON:-python3}
json=${1:-gpu.json}
failed=

"$python" -m scratchnst doctor

"$python" -m pytest -q -m gpu || failed="$failed tests"

# Under compute-sanitizer every array has memory of its own, see without_pool.py.  cuBLAS's kernels are not ours to check,
# and racecheck takes days for them.
if command -v compute-sanitizer > /dev/null; then
    for tool in memcheck racecheck initcheck synccheck; do
        echo "compute-sanitizer --tool $tool"
        PYTHONPATH=tests compute-sanitizer --tool "$tool" --error-exitcode 1 \
            --kernel-name-exclude 'regex=gemm|gemv|cutlass|cublas|splitK' \
            "$python" -m pytest -q -p without_pool -m gpu tests/test_engine_operations.py tests/test_engine_convolution.py \
            || failed="$failed $tool"
    done
else
    echo "compute-sanitizer is not on the PATH, so it is left out"
fi

peer=
"$python" -c "import torch" 2> /dev/null && peer="--peer torch"
# shellcheck disable=SC2086  # peer is two words or none
"$python" -m scratchnst bench --device cuda $peer --minutes "${MINUTES:-9}" --json "$json" || failed="$failed bench"

[ -z "$failed" ] || echo "failed:$failed"
[ -z "$failed" ]
