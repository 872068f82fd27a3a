"""The contenders' names, as tables and files have them."""

OURS, SGEMM = "scratchnst", "sgemm"
PEERS = {"torch contiguous": "contiguous_format", "torch channels_last": "channels_last"}  # PyTorch's names of them
PRODUCT, COPY = "large product", "large copy"  # what a GPU does at best
TRAINING = "training with the distilled network", "training with VGG19"  # what looks at what is painted
PAINTING = ONE_STYLE, ANY_STYLE = "painting", "painting in any style"
EMULATED = "emulated"  # a GPU on the CPU: sizes are small, and times have no meaning
_TF32 = " tf32"


def doing(name: str, task: str | None) -> str:
    """Return the name of the same contender's process where it does another task than the usual one."""
    return f"{name}: {task}" if task else name


def tf32(name: str) -> str:
    """Return the name of the same contender with products in TF32."""
    return name + _TF32


def is_tf32(name: str) -> bool:
    """Return whether a contender has its products in TF32."""
    return name.endswith(_TF32)
