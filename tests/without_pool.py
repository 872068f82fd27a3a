"""A plugin for pytest, ``-p without_pool``: CuPy without its pools, so that each array has memory of its own.

compute-sanitizer sees what CuPy asks of the driver.  Arrays out of a pool are parts of one large piece of memory to it,
and who writes beyond the end of one stays unseen.
"""

import cupy

cupy.cuda.set_allocator(None)
cupy.cuda.set_pinned_memory_allocator(None)
