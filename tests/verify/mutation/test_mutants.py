"""The tester tested: planted mistakes are caught and named, sound changes pass."""

from __future__ import annotations

from collections import Counter
from importlib import import_module

import pytest

from scratchnst.ops import average_pool
from scratchnst.verify.mutation.mutants import check_assembly, check_module, mutated, run_mutants
from scratchnst.verify.mutation.planted import MUTANTS, SOUND, Mutant
from scratchnst.verify.operations import OPERATIONS

ALL = (*MUTANTS, *SOUND)
QUICK = {  # one or two of each operation, the nastier ones
    "conv2d: kernel flipped along rows only",
    "conv2d: dL/dw averaged over the images",
    "relu: >= of the output, always true",
    "relu: gradient in float32",
    "average_pool: factor off by 4e-8",
    "average_pool: one element off by a millionth",
    "max_pool: ties counted twice",
    "max_pool: compared with the first pixel only",
    "reflection_pad: the edge repeated",
    "replicate_pad: second side left out",
    "upsample: three pixels of four",
    "strided_conv2d: zeros not put between",
    "strided_conv2d: stride forgotten in dL/dw",
    "preprocess: mean subtracted from the gradient",
    "gram: diagonal counted once",
    "matrix_square_root: eigenvectors held fixed",
    "whitening: trace in e forgotten",
    "content_loss: upstream gradient left out",
    "content_loss: equation 2 with >=",
    "style_loss: factor 2 of the symmetric Gram matrix missing",
    "cross_gram: the first pixel for the mean of a square",
    "cross_style_loss: factor 2 of a symmetric matrix",
    "total_variation: starts left out",
    "moment_matrix: sums from the row alone",
    "moments_style_loss: mean held fixed in the variance",
    "wasserstein_style_loss: mean held fixed in the covariance",
    "projections: directions not transposed",
    "sliced_style_loss: style not subtracted",
    "absolute_variation: sign along the rows",
    "laplacian_loss: neighbours left out",
    "instance_norm: means over the batch",
    "instance_norm: EPSILON outside of the root on the way back",
    "moments: mean moved in the square of x[j] alone",
    "adain: dL/dstyle forgotten",
    "adain: dL/dstyle divided by the content's pixels",
    "addition: one array for both",
    "total_variation: x changed on the way",
    "network: a tap's gradient overwritten",
    "objective: two terms at one layer overwrite each other",
    "objective: gradient rounded to float32",
}


@pytest.mark.parametrize("mutant", ALL, ids=lambda mutant: mutant.name)
def test_every_patch_is_in_the_source_once(mutant):
    original = import_module(f"scratchnst.{mutant.module}")
    module = mutated(mutant)
    assert module is not original
    assert module.__name__ == original.__name__
    assert {name for name in vars(original) if not name.startswith("__")} <= vars(module).keys()


def test_a_patch_that_no_longer_fits_is_an_error():
    with pytest.raises(ValueError, match="holds 'no such text' 0 times, not once: mend 'outdated'"):
        mutated(Mutant("ops.relu", "outdated", (("no such text", ""),)))
    with pytest.raises(ValueError, match="times, not once"):
        mutated(Mutant("ops.relu", "ambiguous", (("return", ""),)))


def test_there_are_mistakes_in_every_operation_and_what_joins_them():
    planted = Counter(mutant.module for mutant in MUTANTS)
    assert sum(planted.values()) >= 90
    modules = {operation.module.__name__.removeprefix("scratchnst.") for operation in OPERATIONS.values()}
    modules |= {"models.network", "transfer.objective"}
    assert set(planted) == modules
    assert min(planted.values()) >= 5
    assert len({mutant.name for mutant in ALL}) == len(ALL)
    assert all(mutant.key or mutant.words for mutant in MUTANTS)


@pytest.mark.parametrize("mutant", [each for each in MUTANTS if each.name in QUICK], ids=lambda mutant: mutant.name)
def test_a_planted_mistake_is_caught_and_told(mutant):
    (row,) = run_mutants(mutants=[mutant])
    assert row.caught
    assert row.methods
    assert row.outcome == ("named" if mutant.key else "described"), row.sentence


def test_quick_ones_exist():
    assert {mutant.name for mutant in MUTANTS} >= QUICK


def test_what_is_found_is_not_what_was_hoped_for():
    """The outcome depends on the diagnosis: a mistake announced under another name is misnamed."""
    (mutant,) = [each for each in MUTANTS if each.name == "relu: mask missing"]
    (row,) = run_mutants(mutants=[Mutant(mutant.module, "another name", mutant.patches, "leaky")])
    assert row.outcome == "misnamed"
    (row,) = run_mutants(mutants=[Mutant("ops.relu", "no mistake at all", (), "leaky")])
    assert (row.caught, row.outcome) == (False, "missed")


@pytest.mark.parametrize(
    "name", ["relu: leaky in forward and backward", "objective: weights squared in loss and gradient"]
)
def test_a_sound_change_passes(name):
    (mutant,) = [each for each in SOUND if each.name == name]
    (row,) = run_mutants(mutants=[mutant])
    assert row.outcome == "passed", row.sentence


def test_right_modules_pass():
    assert all(report.passed for report in check_module(average_pool, "average_pool"))
    assert all(report.passed for report in check_assembly(import_module("scratchnst.transfer.objective")))


@pytest.mark.slow
@pytest.mark.parametrize("seed", [0, 1])
def test_every_planted_mistake_is_caught_and_none_misnamed(seed):
    rows = list(run_mutants(seed))
    outcomes = Counter(row.outcome for row in rows)
    wrong = [row for row in rows if row.outcome in ("missed", "misnamed", "false alarm")]
    assert not wrong, [(row.mutant.name, row.outcome, row.sentence) for row in wrong]
    assert outcomes["passed"] == len(SOUND)
    assert outcomes["named"] >= 0.8 * len(MUTANTS)
