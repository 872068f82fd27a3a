#!/bin/sh
# Everything that a machine with a GPU can check and measure, in one call or part by part:
#
#     sh tests/gpu.sh [tests] [bench] [training] [arbitrary] [sanitizers]
#
# PYTHON is the interpreter that has this package with its extra cuda12 or cuda13, pytest and hypothesis, and, to be
# compared with, PyTorch.  The bench writes to JSON and goes on for MINUTES.  The training learns PAINTING, or a drawn
# one, with the arguments in TRAINING, and writes the model, its log, a painting and its speed to MODEL.  A network for
# any style learns the pictures in STYLES, with the arguments in ARBITRARY, where that names a folder.  DEVICE is another
# than cuda.  What failed is said in the end.

cd "$(dirname "$0")/.." || exit 2
python=${PYTHON:-python3}
device=${DEVICE:-cuda}
failed=

# Warnings are shown and no errors: what is installed there may be of other versions than the tests are made for.
run_tests() {
    "$python" -m pytest -q -W default -m gpu || failed="$failed tests"
}

# Under compute-sanitizer each array has memory of its own, see without_pool.py.  cuBLAS's kernels are not looked at, but
# by initcheck, which would take what they write for never written.
run_sanitizers() {
    if ! command -v compute-sanitizer > /dev/null; then
        echo "compute-sanitizer is not on the PATH, so it is left out"
        return
    fi
    for tool in memcheck racecheck initcheck synccheck; do
        echo "compute-sanitizer --tool $tool"
        exclude="--kernel-name-exclude regex=gemm|gemv|cutlass|cublas|splitK|nvjet"
        [ "$tool" != initcheck ] || exclude=
        # shellcheck disable=SC2086  # exclude is two words or none
        PYTHONPATH=.:tests compute-sanitizer --tool "$tool" --error-exitcode 1 $exclude \
            "$python" -m pytest -q -W default -p without_pool -m gpu \
            tests/engine/test_operations.py tests/engine/test_convolution.py tests/engine/test_strided_convolution.py \
            tests/engine/test_instance_norm.py || failed="$failed $tool"
    done
}

run_bench() {
    measure --minutes "${MINUTES:-9}" --json "${JSON:-gpu.json}" || failed="$failed bench"
}

measure() {
    peer=
    "$python" -c "import torch" 2> /dev/null && peer="--peer torch"
    # shellcheck disable=SC2086  # peer is two words or none
    "$python" -m scratchnst bench --device "$device" $peer "$@"
}

# Photographs are those in IMAGES, else those at hand.
run_training() {
    folder=${MODEL:-gpu-training}
    # shellcheck disable=SC2086  # TRAINING is several words
    "$python" -m scratchnst samples "$folder" \
        && "$python" -m scratchnst train style "${PAINTING:-$folder/style.png}" -o "$folder/model.h5" \
            --device "$device" ${IMAGES:+--images "$IMAGES"} ${TRAINING:---minutes 3} \
            --log "$folder/log.jsonl" --preview "$folder/preview.png" \
        && "$python" -m scratchnst fast "$folder/content.png" --model "$folder/model.h5" --device "$device" \
            -o "$folder/painting.png" \
        && measure --parts training fast arbitrary --json "$folder/bench.json" \
        || failed="$failed training"
}

run_arbitrary() {
    if [ -z "$STYLES" ]; then
        echo "STYLES names no folder with pictures of styles, so no network for any style is trained"
        return
    fi
    folder=${MODEL:-gpu-training}
    # shellcheck disable=SC2086  # ARBITRARY is several words
    "$python" -m scratchnst samples "$folder" \
        && "$python" -m scratchnst train arbitrary --styles "$STYLES" -o "$folder/arbitrary.h5" \
            --device "$device" ${IMAGES:+--images "$IMAGES"} ${ARBITRARY:---minutes 3} \
            --log "$folder/arbitrary.jsonl" --preview "$folder/arbitrary-preview.png" \
        && "$python" -m scratchnst arbitrary "$folder/content.png" "$folder/style.png" --model "$folder/arbitrary.h5" \
            --device "$device" -o "$folder/arbitrary.png" \
        || failed="$failed arbitrary"
}

[ $# -gt 0 ] || set -- tests bench training arbitrary sanitizers
"$python" -m scratchnst doctor
for part; do
    case $part in
        tests | bench | training | arbitrary | sanitizers) "run_$part" ;;
        *) echo "there is no part $part: tests, bench, training, arbitrary, sanitizers"; exit 2 ;;
    esac
done
[ -z "$failed" ] || { echo "failed:$failed"; exit 1; }
