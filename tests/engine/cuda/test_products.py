"""Products of stacks of matrices by cuBLAS, and by what stands for it."""

from __future__ import annotations

import numpy as np
import pytest

from scratchnst.engine.cuda import device, emulator, products
from scratchnst.engine.cuda.emulator import cublas


@pytest.fixture(autouse=True)
def cupy():
    with emulator.installed():
        yield device.library()


def stacks(random, dtype, count=3, m=4, k=5, n=2):
    return (random.normal(size=shape).astype(dtype) for shape in ((count, m, k), (count, k, n)))


@pytest.mark.parametrize("sides", [(3, 4, 5, 2), (1, 7, 3, 1), (2, 1, 6, 3), (1, 1, 1, 1), (36, 2, 1, 3)])
@pytest.mark.parametrize("transposes", [(False, False), (True, False), (False, True), (True, True)])
def test_products(random, dtype, sides, transposes):
    a, b = stacks(random, dtype, *sides)
    given = [
        device.asarray(np.ascontiguousarray(one.swapaxes(1, 2)) if transposed else one)
        for one, transposed in zip((a, b), transposes)
    ]
    product = products.multiply(*given, transpose_a=transposes[0], transpose_b=transposes[1])
    exact = np.einsum("bij,bjk->bik", a.astype(float), b.astype(float))
    assert product.dtype == dtype
    np.testing.assert_allclose(device.asnumpy(product), exact, rtol=0, atol=50 * np.finfo(dtype).eps)


def test_a_product_worked_by_hand():
    a = device.asarray([[[1.0, 2, 3], [4, 5, 6]]])
    b = device.asarray([[[1.0], [10], [100]]])
    assert device.asnumpy(products.multiply(a, b)).tolist() == [[[321], [654]]]


def test_into_an_array_or_added_to_it(random, dtype):
    a, b = stacks(random, dtype)
    before = random.normal(size=(3, 4, 2)).astype(dtype)
    out = device.asarray(before)
    assert products.multiply(device.asarray(a), device.asarray(b), out, accumulate=True) is out
    np.testing.assert_allclose(device.asnumpy(out), before + a @ b, rtol=0, atol=1e-5)
    out.fill(np.nan)  # what is replaced is not read
    products.multiply(device.asarray(a), device.asarray(b), out)
    np.testing.assert_allclose(device.asnumpy(out), a @ b, rtol=0, atol=1e-5)


def test_matrices_that_do_not_lie_in_one_piece(random):
    a, b = (device.asarray(one) for one in stacks(random, "float64"))
    product = products.multiply(a[:, ::2, ::-1], b[:, ::-1])
    np.testing.assert_allclose(device.asnumpy(product), device.asnumpy(a @ b)[:, ::2], rtol=1e-12)


@pytest.mark.parametrize("sides", [(2, 3, 0, 4), (0, 3, 2, 4), (2, 0, 3, 4), (2, 3, 4, 0)])
def test_empty_matrices(sides, dtype):
    count, m, k, n = sides
    a, b = device.zeros((count, m, k), dtype), device.zeros((count, k, n), dtype)
    product = products.multiply(a, b)
    assert device.asnumpy(product).tolist() == np.zeros((count, m, n)).tolist()
    product.fill(7)
    products.multiply(a, b, product, accumulate=True)
    assert device.asnumpy(product).tolist() == np.full((count, m, n), 7).tolist()


@pytest.mark.parametrize("rows", [0, 1, 255, 512, 1500, 2049])
@pytest.mark.parametrize("count", [1, 2])
def test_tall_matrices(random, dtype, rows, count):
    a, b = (random.normal(size=(count, rows, n)).astype(dtype) for n in (3, 2))
    product = products.multiply_tall(device.asarray(a), device.asarray(b))
    exact = np.einsum("bij,bik->bjk", a.astype(float), b.astype(float))
    np.testing.assert_allclose(device.asnumpy(product), exact, rtol=0, atol=2000 * np.finfo(dtype).eps)


def test_tall_matrices_are_cut_only_where_a_gpu_has_too_little_to_do():
    assert products.stretches(2**20, 64, 64) == 256
    assert products.stretches(2**20, 512, 512) == 16
    assert products.stretches(1024, 512, 512) == 4  # 256 rows each
    assert products.stretches(1024, 2**12, 2**12) == 1
    assert products.stretches(100, 64, 0) == 1


@pytest.mark.parametrize(
    ("name", "bits"), [("float32", 23), ("tf32", 10)], ids=["no tensor cores unless asked for", "tf32"]
)
def test_precision(name, bits):
    """1 + 2^-b is the last number above 1 that a factor of b bits can be, and half of that step is rounded up."""
    one, above = np.float32(1), np.float32(1 + 2.0**-bits)
    factor = np.array([[[above, 1 + 2.0**-11, 1 + 2.0**-12]]], np.float32)
    with products.precision(name):
        product = products.multiply(device.asarray(factor), device.asarray(np.eye(3, dtype=np.float32)[None]))
    expected = {"float32": factor[0, 0].tolist(), "tf32": [above, 1 + 2.0**-10, one]}[name]
    assert device.asnumpy(product)[0, 0].tolist() == expected


def test_precision_ends_with_its_block_and_leaves_float64_alone():
    factor = np.array([[[1 + 2.0**-20]]])
    with products.precision("tf32"):
        product = products.multiply(device.asarray(factor), device.asarray(factor))
        with products.precision("float32"):
            inner = products._precision.get()
    assert (inner, products._precision.get()) == ("float32", "float32")
    assert device.asnumpy(product) == factor**2


def test_rounding_to_tf32():
    given = np.array([3.0, -1 - 2.0**-11, 65537, np.inf, -np.inf, np.nan, 0, -0.0], np.float32)
    rounded = cublas.rounded_to_tf32(given)
    np.testing.assert_array_equal(rounded, np.array([3, -1 - 2.0**-10, 65536, np.inf, -np.inf, np.nan, 0, 0]))
    assert np.signbit(rounded[-1])


@pytest.mark.parametrize(
    ("a", "b", "settings", "words"),
    [
        ((2, 3, 4), (2, 3, 4), {}, "cannot be multiplied"),
        ((2, 3, 4), (1, 4, 3), {}, "cannot be multiplied"),
        ((3, 4), (4, 3), {}, "three dimensions"),
        ((2, 3, 4), (2, 4, 3), {"accumulate": True}, "give out"),
    ],
)
def test_stacks_that_do_not_match(a, b, settings, words):
    with pytest.raises(ValueError, match=words):
        products.multiply(device.zeros(a, "float32"), device.zeros(b, "float32"), **settings)


def test_arrays_that_do_not_fit():
    a = device.zeros((1, 2, 2), "float32")
    for other in (device.zeros((1, 2, 2), "float64"), device.zeros((1, 2, 2), "int32")):
        with pytest.raises(ValueError, match="all float32 or all float64"):
            products.multiply(a, other)
    for out in (device.zeros((1, 2, 3), "float32"), device.zeros((1, 2, 4), "float32")[..., ::2]):
        with pytest.raises(ValueError, match="out must be"):
            products.multiply(a, a, out)
    with pytest.raises(ValueError, match="no precision 'bf16'"), products.precision("bf16"):
        pass
    with pytest.raises(ValueError, match="cannot be multiplied"):
        products.multiply_tall(device.zeros((1, 3, 2), "float32"), device.zeros((1, 4, 2), "float32"))


class TestStandIn:
    """What cuBLAS would refuse, or do behind an array's end, must not go unseen."""

    def call(self, transa=0, transb=0, lda=2, ldc=2, stride_c=4, batch=1, compute=None, beta=0.0):
        a, b = (device.asarray(np.arange(4.0).reshape(1, 2, 2)) for _ in range(2))
        c = device.empty((1, 2, 2), "float64")
        one, other = np.array(1.0), np.array(beta)
        cublas.gemmStridedBatchedEx(
            cublas.HANDLE, transa, transb, 2, 2, 2, one.ctypes.data, a.data.ptr, cublas.CUDA_R_64F, lda, 4,
            b.data.ptr, cublas.CUDA_R_64F, 2, 4, other.ctypes.data, c.data.ptr, cublas.CUDA_R_64F, ldc, stride_c, batch,
            cublas.CUBLAS_COMPUTE_64F if compute is None else compute, cublas.CUBLAS_GEMM_DEFAULT,
        )  # fmt: skip
        return device.asnumpy(c)[0]

    def test_columns_come_first(self):
        """As column-major matrices both factors are [[0, 2], [1, 3]]."""
        assert self.call().T.tolist() == [[2, 6], [3, 11]]
        assert self.call(transa=1).T.tolist() == [[1, 3], [3, 13]]
        assert np.isnan(self.call(beta=1.0)).all()  # 0 is the only beta that does not read

    @pytest.mark.parametrize("wrong", [{"lda": 1}, {"ldc": 1}, {"transb": 3}, {"batch": -1}])
    def test_what_cublas_refuses(self, wrong):
        with pytest.raises(cublas.CUBLASError, match="INVALID_VALUE"):
            self.call(**wrong)

    def test_types_that_do_not_go_together(self):
        with pytest.raises(cublas.CUBLASError, match="NOT_SUPPORTED"):
            self.call(compute=cublas.CUBLAS_COMPUTE_32F_FAST_TF32)

    @pytest.mark.parametrize("wrong", [{"lda": 3}, {"ldc": 4}, {"batch": 2}])
    def test_what_reaches_beyond_an_array(self, wrong):
        with pytest.raises(RuntimeError, match="after an array"):
            self.call(**wrong)

    def test_an_address_of_nothing(self):
        gone = device.zeros((1, 2, 2), "float64").data.ptr
        with pytest.raises(RuntimeError, match="no array at the address"):
            cublas._matrices(gone, (1, 2, 2), 2, 4, np.dtype("float64"))
