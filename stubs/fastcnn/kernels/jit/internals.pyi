# Written by `python -m tests.stubs`.
from typing import Any
cgutils: Any
compiler: Any
event: Any
ir: Any
lowering: Any
typed_passes: Any
CompileResultCacheImpl: Any
FunctionCache: Any
IndexDataCacheFile: Any
NullCache: Any
CacheLocator: Any
global_compiler_lock: Any
register_pass: Any
Intrinsic: Any
cpu_target: Any
rtsys: Any
launch_threads: Any
