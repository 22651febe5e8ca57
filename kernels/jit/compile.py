"""How every kernel is compiled: the only Numba options of the project, the cache and the launch rules.

`kernel` compiles a serial function, `parallel_kernel` one whose work is shared in the loop of launch.py, `njit` one with
parallel loops of its own. A kernel never raises: an exception inside `prange` is lost and leaves garbage, so everything is
checked before the launch.
"""

from __future__ import annotations

import abc
import contextlib
import functools
import operator
import os
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from typing import Any, TypeVar

from . import threads  # loads the threading layer's library before numba looks for it  # isort: skip

import llvmlite.ir
import numba
import numpy as np

from ..kinds import HOST, KIND, held, host_features
from . import launch, notice  # noqa: F401  # which listens from now on
from .cache import EntryCache, KernelCache
from .internals import compiler, cpu_target, global_compiler_lock, ir, launch_threads, lowering, register_pass, typed_passes

# Values may be contracted and regrouped, but NaN and infinity keep their meaning: no `nnan`, no `ninf`.
FLAGS = {"contract", "reassoc", "nsz", "arcp"}
# For sums whose order is part of the promise, such as compensated arithmetic.
ORDERED = FLAGS - {"reassoc"}
# For loops whose values are those of their formula: a product and a sum may become one instruction.
CONTRACTED = {"contract"}

# LLVM takes vectors of 32 bytes for its loops where the first AVX-512 processors lost speed by wider ones; on today's, loops
# that compute are up to 1.5 times faster with all 64 (measured), and tiles have these in any case.
_WIDEST = '"prefer-vector-width"="512"' if KIND.name == "avx512" else None

# Vectors of a loop that `interleaved_kernel` takes in turns: what fits in the registers beside the constants.
_TURNS = 4 if _WIDEST else 2

if KIND is not HOST:
    if "_toplevel_target_context" in vars(cpu_target):  # which Numba makes once, at the first compilation of the process
        raise ImportError(f"FASTCNN_CPU is {KIND.name!r}, but Numba has already compiled for {HOST.name!r} in this process: "
                          "import fastcnn.functional before")
    numba.config.CPU_NAME, numba.config.CPU_FEATURES = held(KIND, host_features())

# Every compiled kernel, for warm-up progress and for the test that counts signatures.
dispatchers: dict[str, Any] = {}

# Whether each launch is compared with what its kernel was compiled for: a launch looks at few arguments to find its code,
# and machine code looks at none. The check takes longer than many a kernel: only the project's own tests turn it on.
CHECKED = os.environ.get("FASTCNN_CHECK_LAUNCHES", "") not in ("", "0")


class _Lowering(lowering.Lower):  # type: ignore[misc]
    def setup_function(self, fndesc: Any) -> None:
        super().setup_function(fndesc)
        if _WIDEST is not None:
            set.add(self.function.attributes, _WIDEST)  # llvmlite's own `add` knows no attributes with values


class _HintedLowering(_Lowering):
    """Gives LLVM a hint at each loop."""

    hint: tuple[Any, ...]

    def lower_inst(self, inst: Any) -> None:
        super().lower_inst(inst)
        if isinstance(inst, ir.Jump) and self.blkmap[inst.target].instructions:  # back to the head of a loop
            hint = self.module.add_metadata(list(self.hint))
            loop = self.module.add_metadata([hint])
            loop.operands = loop, hint  # LLVM tells loops apart by nodes that begin with themselves
            self.builder.block.terminator.set_metadata("llvm.loop", loop)


class _InterleavedLowering(_HintedLowering):
    """Lets LLVM take several vectors of a loop in turns, where each operation waits for the one before.

    A processor looks ahead over the arithmetic of two vectors or so; LLVM itself takes turns in loops of little arithmetic.
    """

    hint = "llvm.loop.interleave.count", llvmlite.ir.Constant(llvmlite.ir.IntType(32), _TURNS)


class _RolledLowering(_HintedLowering):
    """Keeps LLVM from unrolling: of two rounds at once it would load ahead more than the registers hold."""

    hint = ("llvm.loop.unroll.disable",)


def _pipeline(lowering_class: Any, name: str) -> Any:
    """Numba's compiler with another lowering."""

    @register_pass(mutates_CFG=True, analysis_only=False)
    class _NativeLowering(typed_passes.NativeLowering):  # type: ignore[misc]
        _name = name

    _NativeLowering.lowering_class = lowering_class

    class _Compiler(compiler.CompilerBase):  # type: ignore[misc]
        def define_pipelines(self) -> list[Any]:
            passes = compiler.DefaultPassBuilder.define_nopython_pipeline(self.state)
            passes.passes = [(_NativeLowering if step is typed_passes.NativeLowering else step, name)
                             for step, name in passes.passes]
            passes.finalize()
            return [passes]

    return _Compiler


_Compiler = _pipeline(_Lowering, "fastcnn_lowering")
_InterleavingCompiler = _pipeline(_InterleavedLowering, "fastcnn_interleaved_lowering")
_RollingCompiler = _pipeline(_RolledLowering, "fastcnn_rolled_lowering")


class _LeanCompiler(_Compiler):  # type: ignore[misc, valid-type]
    """Asks LLVM for less: its copies of a loop for each outcome of a condition gain nothing there (measured).

    Nests with conditions, which Numba's parallel loops compile several times over, take half as long: 15 s in all for 34.
    """

    def compile_extra(self, function: Callable[..., None]) -> Any:
        usual = numba.config.OPT
        numba.config.OPT = type(usual)(min(usual, 2))  # nothing else is compiled meanwhile: there is a lock around it
        try:
            return super().compile_extra(function)
        finally:
            numba.config.OPT = usual


def _compile(function: Callable[..., None], cache: type[KernelCache] = KernelCache, **options: Any) -> Any:
    # No references to arrays are counted: a kernel owns none, and two atomic additions for each array and each call that
    # is not inlined took up to half the time of convolutions of few channels (measured). Numba's loops cannot do without.
    counting = bool(options.get("parallel"))
    common = {"error_model": "numpy", "nogil": True, "no_cfunc_wrapper": True, "pipeline_class": _Compiler, "_nrt": counting}
    dispatcher = numba.njit(**{**common, **options})(function)
    if not numba.config.DISABLE_JIT:
        dispatcher._cache = cache(function)
        dispatchers[f"{function.__module__}.{function.__qualname__}"] = dispatcher
    return dispatcher


def kernel(function: Callable[..., Any]) -> Any:
    """Compile a serial function that parallel drivers call; it has no entry from Python, which saves compile time."""
    return _compile(function, fastmath=FLAGS, no_cpython_wrapper=True)


def rolled_kernel(function: Callable[..., Any]) -> Any:
    """Compile a serial function whose loops stay as they are: their sums fill the registers."""
    return _compile(function, fastmath=FLAGS, no_cpython_wrapper=True, pipeline_class=_RollingCompiler)


def ordered_kernel(function: Callable[..., Any]) -> Any:
    """Compile a serial function whose sums are taken exactly in the order written."""
    return _compile(function, fastmath=ORDERED, no_cpython_wrapper=True)


def inline_kernel(function: Callable[..., Any]) -> Any:
    """Compile a scalar function for use inside loops; LLVM inlines and vectorises it with its caller."""
    return _compile(function, fastmath=ORDERED, forceinline=True)


Launch = Callable[["Kernel", tuple[Any, ...], int], None]
_Made = TypeVar("_Made")


class _Thread(threading.local):
    def __init__(self) -> None:
        self.launch: Launch | None = None  # what takes the place of a launch
        self.frame = np.empty(launch.FRAME_BYTES, np.uint8)
        self.address = self.frame.ctypes.data
        self.lock = threads.launches.lock()  # held while it launches


_thread = _Thread()


@contextlib.contextmanager
def launching(instead: Launch) -> Iterator[None]:
    """Let instead(kernel, arguments, workers) take the place of this thread's launches inside the `with` block."""
    before, _thread.launch = _thread.launch, instead
    try:
        yield
    finally:
        _thread.launch = before


def launches_run() -> bool:
    """Whether this thread's launches run, with nothing in their place."""
    return _thread.launch is None


class Kernel(abc.ABC):
    """A compiled function that is called from Python, by a launch."""

    def __init__(self, function: Callable[..., None], **options: Any) -> None:
        functools.update_wrapper(self, function)
        self.dispatcher = _compile(function, EntryCache, **options)

    @abc.abstractmethod
    def run(self, arguments: tuple[Any, ...], workers: int) -> None:
        """Run the kernel on so many workers."""

    @abc.abstractmethod
    def code_of(self, arguments: tuple[Any, ...], workers: int) -> Any:
        """What names the compiled code of a launch, among those of this kernel."""

    @abc.abstractmethod
    def is_cached(self, arguments: tuple[Any, ...], workers: int) -> bool:
        """Whether the cache has the compiled code of a launch."""

    @abc.abstractmethod
    def prepare(self, arguments: tuple[Any, ...], workers: int) -> None:
        """Compile a launch, or load it, without running it."""


class LoopNest(Kernel):
    """A kernel with parallel loops of its own (`prange`), which run on `threads.get_num_threads()` threads at most.

    Called with the function's own arguments. Numba starts the threads, so it cannot be part of a recording.
    """

    def __call__(self, *arguments: Any) -> None:
        """Launch, or do what this thread has put in the place of launches."""
        if _thread.launch is None:
            self.run(arguments, threads.get_num_threads())
        else:
            _thread.launch(self, arguments, threads.get_num_threads())

    def run(self, arguments: tuple[Any, ...], workers: int) -> None:
        """Run the kernel on so many threads, as far as Numba has them."""
        if numba.config.DISABLE_JIT:
            self.dispatcher(*arguments)
            return
        self.prepare(arguments, workers)
        with _thread.lock if threads.unguarded else threads.guard(), _numba_threads(workers):
            self.dispatcher(*arguments)


    def code_of(self, arguments: tuple[Any, ...], workers: int) -> Any:
        """Types of the arguments."""
        return tuple(map(numba.typeof, arguments))

    def is_cached(self, arguments: tuple[Any, ...], workers: int) -> bool:
        """Whether the cache has the code for these arguments."""
        return _is_cached(self.dispatcher, self.code_of(arguments, workers))

    def prepare(self, arguments: tuple[Any, ...], workers: int) -> None:
        """Compile the code for these arguments, or load it."""
        types = self.code_of(arguments, workers)
        if types not in self.dispatcher.overloads:
            _to_the_end(lambda: self.dispatcher.compile(types))


@contextlib.contextmanager
def _numba_threads(count: int) -> Iterator[None]:
    """Let parallel loops of this thread run on so many of Numba's threads inside the `with` block, or on all it has."""
    before = numba.get_num_threads()
    numba.set_num_threads(min(count, numba.config.NUMBA_NUM_THREADS))
    try:
        yield
    finally:
        numba.set_num_threads(before)


class ParallelKernel(Kernel):
    """A kernel (..., worker, workers) whose workers each take their own share of the output.

    Called with (..., workers): one worker runs here and now, several run in the project's one parallel loop. The element
    types of the first and the last array of floats (or bytes) and the widths of tiles, where there are any, say which
    compiled code is meant: Numba's own look at all arguments takes longer than many a kernel (measured: 3 of 4 us with 13
    arguments).
    """

    def __init__(self, function: Callable[..., None], **options: Any) -> None:
        super().__init__(function, fastmath=FLAGS, **options)
        self._deciding: tuple[int, int, list[Callable[[Any], Any]]] | None = None
        self._entries: dict[tuple[Any, ...], Callable[..., None]] = {}
        self._launchers: dict[tuple[Any, ...], tuple[Callable[..., int], int]] = {}
        self._signatures: dict[tuple[Any, ...], tuple[Any, ...]] = {}  # of the code that is meant,
        self._checked: set[Any] = set()  # and forms of arguments that were compared with it

    def __call__(self, *arguments: Any) -> None:
        """Launch (..., workers), or do what this thread has put in the place of launches."""
        if _thread.launch is None:
            self.run(arguments[:-1], arguments[-1])
        else:
            _thread.launch(self, arguments[:-1], arguments[-1])

    def run(self, arguments: tuple[Any, ...], workers: int) -> None:
        """Run the kernel on so many workers."""
        if workers == 1:
            try:
                entry = self._entries[self._types(arguments)]
            except KeyError:
                entry = self._compiled(arguments)
            if CHECKED:
                self._require_compiled(arguments)
            entry(*arguments, 0, 1)
        elif numba.config.DISABLE_JIT:
            for worker in range(workers):
                self.dispatcher(*arguments, worker, workers)
        else:
            launcher, address = self._launcher(arguments)
            with _thread.lock if threads.unguarded else threads.guard():
                launcher(address, _thread.address, workers, arguments)

    def code_of(self, arguments: tuple[Any, ...], workers: int) -> Any:
        """What decides which code is meant, and whether several threads are to launch it."""
        return self._types(arguments), workers > 1

    def is_cached(self, arguments: tuple[Any, ...], workers: int) -> bool:
        """Whether the cache has the code for these arguments, and that of its launch on several threads."""
        signature = self._signature(arguments)
        return (_is_cached(self.dispatcher, signature)
                and (workers == 1 or _is_cached(_launch, _launch_signature(signature))))

    def prepare(self, arguments: tuple[Any, ...], workers: int) -> None:
        """Compile the code for these arguments, or load it, and that of its launch on several threads."""
        self._compiled(arguments)
        if workers > 1:
            _to_the_end(lambda: _launch.compile(_launch_signature(self._signature(arguments))))

    def store(self, frame: np.ndarray, arguments: tuple[Any, ...]) -> int:
        """Write a launch to a frame (`launch.FRAME_BYTES`), without running it; return the entry that it is called by."""
        launcher, address = self._launcher(arguments)
        return launcher(address, frame.ctypes.data, 0, arguments)

    def _types(self, arguments: tuple[Any, ...]) -> tuple[Any, ...]:
        """What decides which compiled code is meant."""
        first, last, widths = self._deciding or self._find_deciding(arguments)
        types = arguments[first].dtype, arguments[last].dtype
        return (*types, *[width(arguments) for width in widths]) if widths else types

    def _find_deciding(self, arguments: tuple[Any, ...]) -> tuple[int, int, list[Callable[[Any], Any]]]:
        """Where the arguments stand that decide: arrays of integers, geometries and numbers have one type each."""
        arrays = [place for place, value in enumerate(arguments)
                  if isinstance(value, np.ndarray) and value.dtype.kind in "fub"]
        widths: list[Callable[[Any], Any]] = []
        for place, value in enumerate(arguments):
            if hasattr(value, "_fields"):  # a NamedTuple, which may have another one, of arrays or of widths
                widths += [_field(place, number) for number, part in enumerate(value)
                           if isinstance(part, tuple) and not any(isinstance(inner, np.ndarray) for inner in part)]
            elif isinstance(value, tuple):
                widths.append(operator.itemgetter(place))
        self._deciding = arrays[0], arrays[-1], widths
        return self._deciding

    def _compiled(self, arguments: tuple[Any, ...]) -> Callable[..., None]:
        """Entry of the code for these arguments' types, compiled or loaded on first use."""
        entry = self._entries[self._types(arguments)] = self._compile(arguments)
        return entry

    def _signature(self, arguments: tuple[Any, ...]) -> tuple[Any, ...]:
        """Types of the arguments of the code that is meant; Numba's own look at arguments takes a tenth of a millisecond."""
        types = self._types(arguments)
        if types not in self._signatures:
            self._signatures[types] = _signature(arguments)
        return self._signatures[types]

    def _compile(self, arguments: tuple[Any, ...]) -> Callable[..., None]:
        if numba.config.DISABLE_JIT:
            return self.dispatcher
        return _to_the_end(lambda: self.dispatcher.compile(self._signature(arguments)))

    def _launcher(self, arguments: tuple[Any, ...]) -> tuple[Callable[..., int], int]:
        """Entry of `launch.launch` for these arguments' types and address of their code, compiled or loaded on first use."""
        types = self._types(arguments)
        known = self._launchers.get(types)
        if known is None:
            self._compiled(arguments)
            # A launch out of the cache does not start Numba's threads if `parallel_for` was loaded when it was stored, and
            # what of Numba it calls has no address before they start.
            launch_threads()
            signature = self._signature(arguments)
            launcher = _to_the_end(lambda: _launch.compile(_launch_signature(signature)))
            compiled = self.dispatcher.overloads[signature]
            with global_compiler_lock:  # another thread may compile: LLVM takes one at a time
                address = compiled.library.get_pointer_to_function(compiled.fndesc.llvm_func_name)
            known = self._launchers[types] = launcher, address
        if CHECKED:
            self._require_compiled(arguments)
        return known

    def _require_compiled(self, arguments: tuple[Any, ...]) -> None:
        """TypeError where the code that is about to run was compiled for arguments of other types."""
        types, form = self._types(arguments), _form(arguments)
        if numba.config.DISABLE_JIT or (types, form) in self._checked:
            return
        came, meant = _signature(arguments), self._signature(arguments)
        if came != meant:
            raise TypeError(f"{self.dispatcher.__name__}: launched with ({', '.join(map(str, came))}), its code was "
                            f"compiled for ({', '.join(map(str, meant))})")
        self._checked.add((types, form))


def _form(value: Any) -> Any:
    """What of an argument decides its type; Numba's own look at it takes a hundred times as long."""
    if isinstance(value, np.ndarray):
        return value.dtype, value.ndim, value.flags.c_contiguous, value.flags.aligned, value.flags.writeable
    return (type(value), *map(_form, value)) if isinstance(value, tuple) else type(value)


def _field(place: int, number: int) -> Callable[[Any], Any]:
    return lambda arguments: arguments[place][number]


def _to_the_end(compilation: Callable[[], _Made]) -> _Made:
    """Return what a compilation gives, which goes on where Ctrl-C ends the wait for it.

    Only the main thread is interrupted, so that another one compiles: Numba, stopped while it loads what it compiles with,
    can compile nothing more in this process.
    """
    if threading.current_thread() is not threading.main_thread():
        return compilation()
    future: Future[_Made] = Future()

    def work() -> None:
        try:
            future.set_result(compilation())
        except BaseException as error:
            future.set_exception(error)

    worker = threading.Thread(target=work)  # which the process waits for at its end: LLVM must not be taken from under it
    try:
        worker.start()
    except RuntimeError:  # no thread is to be had, as while the interpreter ends
        return compilation()
    return future.result()


def _signature(arguments: tuple[Any, ...]) -> tuple[Any, ...]:
    return (*map(numba.typeof, arguments), numba.int64, numba.int64)


def _launch_signature(signature: tuple[Any, ...]) -> tuple[Any, ...]:
    return (*[numba.int64] * 3, numba.types.Tuple(signature[:-2]))


def _is_cached(dispatcher: Any, signature: tuple[Any, ...]) -> bool:
    """Whether the cache has this code of a dispatcher, or it was compiled in this process."""
    return signature in dispatcher.overloads or dispatcher._cache.holds(signature, dispatcher.targetctx)


def njit(*, parallel: bool) -> Callable[[Callable[..., None]], LoopNest]:
    """Compile a function as Numba's own `njit` does, but with the project's error model, cache and launches.

    Sums keep the order that is written.
    """
    return functools.partial(LoopNest, parallel=parallel, fastmath=CONTRACTED, pipeline_class=_LeanCompiler)


def parallel_kernel(function: Callable[..., None]) -> ParallelKernel:
    """Compile a kernel (..., worker, workers) that is called with (..., workers) and runs on that many threads."""
    return ParallelKernel(function)


def interleaved_kernel(function: Callable[..., None]) -> ParallelKernel:
    """Compile a parallel kernel that is one long loop of much arithmetic."""
    return ParallelKernel(function, pipeline_class=_InterleavingCompiler)


@kernel
def share(count, worker, workers):
    """Half-open range of `count` elements that belongs to `worker`.

    Borders lie at multiples of 64 elements, the largest vector step of a loop, so that each element goes through the
    same instructions (vector body or scalar rest) whatever the number of workers.
    """
    blocks = (count + 63) // 64
    start = blocks * worker // workers * 64
    stop = blocks * (worker + 1) // workers * 64
    return min(start, count), min(stop, count)


launch.parallel_for = _compile(launch.parallel_for, parallel=True)
_launch = _compile(launch.launch, EntryCache)
launch.take_part = _compile(launch.take_part)
_take_part_together = _compile(launch.take_part_together, EntryCache, parallel=True)

@functools.cache
def _compile_take_part() -> None:
    """Compile what runs stored launches."""
    numbers = numba.int64[::1]
    types = numbers, numbers, numbers, numbers, numba.int64
    _to_the_end(lambda: launch.take_part.compile(types))
    _to_the_end(lambda: _take_part_together.compile((*types, numba.int64)))


def run_stored(entries: np.ndarray, frames: np.ndarray, shares: np.ndarray, counters: np.ndarray, workers: int) -> None:
    """Run stored launches one after the other on so many workers: addresses and `shares`, the workers of each, as int64.

    counters (launches, any), int64, are zeros.
    """
    arguments = entries, frames, shares, counters.reshape(-1), counters.shape[1]
    _compile_take_part()
    if workers == 1:
        launch.take_part(*arguments)
    elif threads.unguarded:
        with _thread.lock:
            _take_part_together(*arguments, workers)
    else:
        with threads.guard():
            _take_part_together(*arguments, workers)
