"""One parallel loop for all kernels.

Numba compiles a parallel function about four times over (measured: 1 to 2.5 s for each driver that links a kernel), so
kernels are serial functions of (..., worker, workers), compiled once, and the only `prange` of the project calls them by
address: each iteration is one worker, which takes its own share of the output.
"""

from __future__ import annotations

from llvmlite import ir
from numba import config, int64, prange, types
from numba.extending import intrinsic

_INT64 = ir.IntType(64)
FRAME_BYTES = 4096  # room for a kernel's address and its arguments
_ENTRY = ir.FunctionType(ir.VoidType(), [_INT64, _INT64, _INT64])


@intrinsic
def run_share(typing, entry, frame, worker, workers):
    """Call the entry with a frame of arguments, which is an address, for one worker."""

    def generate(context, builder, signature, args):
        entry, *rest = args
        builder.call(builder.inttoptr(entry, _ENTRY.as_pointer()), rest)
        return context.get_dummy_value()

    return types.void(types.int64, types.int64, types.int64, types.int64), generate


@intrinsic
def _store(typing, frame, kernel, arguments):
    """Write the kernel's address and its arguments to the frame."""

    def generate(context, builder, signature, args):
        address, kernel_address, packed = args
        layout = ir.LiteralStructType([_INT64, packed.type])
        if context.get_abi_sizeof(layout) > FRAME_BYTES:
            raise ValueError(f"a kernel has arguments of {context.get_abi_sizeof(layout)} bytes, expected {FRAME_BYTES}")
        values = builder.insert_value(ir.Constant(layout, ir.Undefined), kernel_address, 0)
        builder.store(builder.insert_value(values, packed, 1), builder.inttoptr(address, layout.as_pointer()))
        return context.get_dummy_value()

    return types.void(types.int64, types.int64, arguments), generate


@intrinsic
def _entry(typing, arguments):
    """Address of a function (frame, worker, workers) that calls the frame's kernel with the frame's arguments."""

    def generate(context, builder, signature, args):
        (tuple_type,), (tuple_value,) = signature.args, args
        function = ir.Function(builder.module, _ENTRY, builder.module.get_unique_name("kernel_entry"))
        function.linkage = "internal"
        inner = ir.IRBuilder(function.append_basic_block())
        address, worker, workers = function.args
        layout = ir.LiteralStructType([_INT64, tuple_value.type])
        frame = inner.load(inner.inttoptr(address, layout.as_pointer()))
        packed = inner.extract_value(frame, 1)
        values = [inner.extract_value(packed, i) for i in range(len(tuple_type))]
        argument_types = [*tuple_type, types.int64, types.int64]
        convention = context.call_conv
        kernel_type = convention.get_function_type(types.none, argument_types)
        kernel = inner.inttoptr(inner.extract_value(frame, 0), kernel_type.as_pointer())
        convention.call_function(inner, kernel, types.none, argument_types, [*values, worker, workers])
        inner.ret_void()
        return builder.ptrtoint(function, _INT64)

    return types.int64(arguments), generate


def _next_task_in_python(counter):
    counter[0] += 1
    return counter[0] - 1


def _next_task(typing, counter):
    """Number of the next task: what `counter` stood at, which all workers increase.

    Tasks that workers claim as they become free keep all of them busy where some run slower than others; which worker does
    a task makes no difference to its result.
    """

    def generate(context, builder, signature, args):
        data = context.make_array(signature.args[0])(context, builder, args[0]).data
        return builder.atomic_rmw("add", data, _INT64(1), "monotonic")

    return types.int64(counter), generate


next_task = _next_task_in_python if config.DISABLE_JIT else intrinsic(_next_task)


def _add_in_python(counters, index, amount):
    counters[index] += amount
    return counters[index] - amount


def _add(typing, counters, index, amount):
    """Add to a counter that other threads change, too; return what it was. What they wrote before they did is visible."""

    def generate(context, builder, signature, args):
        data = context.make_array(signature.args[0])(context, builder, args[0]).data
        return builder.atomic_rmw("add", builder.gep(data, [args[1]]), args[2], "acq_rel")

    return types.int64(counters, types.int64, types.int64), generate


add_to_counter = _add_in_python if config.DISABLE_JIT else intrinsic(_add)


def parallel_for(entry, frame, workers):
    """Call the entry once for each worker, in parallel."""
    for worker in prange(workers):
        run_share(entry, frame, int64(worker), workers)


def launch(kernel, frame, workers, arguments):
    """Run the kernel at an address on all workers, or on none; return the entry that the frame can be called by again."""
    entry = _entry(arguments)
    _store(frame, kernel, arguments)
    if workers > 0:
        parallel_for(entry, frame, workers)
    return entry


@intrinsic
def _read(typing, counters, index):
    """A counter that other threads change; what they wrote before they did is visible."""

    def generate(context, builder, signature, args):
        data = context.make_array(signature.args[0])(context, builder, args[0]).data
        return builder.load_atomic(builder.gep(data, [args[1]]), "acquire", 8)

    return types.int64(counters, types.int64), generate


def take_part(entries, frames, shares, counters, pitch):
    """Run launches one after the other: take shares that are left, wait for those that others took, go on to the next.

    Whoever comes does what is left, so all gets done whether or not the other threads ever run. A launch has `pitch`
    counters; the first counts the shares taken, the second those done.
    """
    for i in range(len(entries)):
        taken, done = int64(i * pitch), int64(i * pitch + 1)
        share = add_to_counter(counters, taken, 1)
        while share < shares[i]:
            run_share(entries[i], frames[i], share, shares[i])
            add_to_counter(counters, done, 1)
            share = add_to_counter(counters, taken, 1)
        while _read(counters, done) < shares[i]:
            pass


def take_part_together(entries, frames, shares, counters, pitch, threads):
    """Run launches one after the other on several threads."""
    for _ in prange(threads):
        take_part(entries, frames, shares, counters, pitch)
