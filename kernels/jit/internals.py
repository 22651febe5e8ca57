"""What of Numba is no part of its documented interface: all of it comes from here.

Tried with Numba 0.68; `pyproject.toml` bounds the versions. What else reaches inside: `_cache` and `overloads` of a
dispatcher and `_toplevel_target_context` of the target (compile.py), and what `KernelCache` overrides of its classes
(cache.py).
"""

from numba.core import cgutils, compiler, event, ir, lowering, typed_passes
from numba.core.caching import CompileResultCacheImpl, FunctionCache, IndexDataCacheFile, NullCache
from numba.core.caching import _CacheLocator as CacheLocator
from numba.core.compiler_lock import global_compiler_lock
from numba.core.compiler_machinery import register_pass
from numba.core.extending import _Intrinsic as Intrinsic
from numba.core.registry import cpu_target
from numba.core.runtime import rtsys
from numba.np.ufunc.parallel import _launch_threads as launch_threads

__all__ = ["CacheLocator", "CompileResultCacheImpl", "FunctionCache", "IndexDataCacheFile", "Intrinsic", "NullCache",
           "cgutils", "compiler", "cpu_target", "event", "global_compiler_lock", "ir", "launch_threads", "lowering",
           "register_pass", "rtsys", "typed_passes"]
