"""One parallel loop for all kernels.

Numba compiles a parallel function about four times over (measured: 1 to 2.5 s for each driver that links a kernel), so
kernels are serial functions of (..., worker, workers), compiled once, and the only `prange` of the project calls them by
address: each iteration is one worker, which takes its own share of the output.
"""

from __future__ import annotations

from llvmlite import ir
from numba import config, int64, prange, types
from numba.extending import intrinsic

_BYTES = ir.IntType(8).as_pointer()
_NATURAL = ir.IntType(64)
_ENTRY = ir.FunctionType(ir.VoidType(), [_NATURAL, _NATURAL, _NATURAL])


@intrinsic
def _call(typing, entry, frame, worker, workers):
    """Call the entry with a frame of arguments, for one worker."""

    def generate(context, builder, signature, args):
        entry, *rest = args
        builder.call(builder.inttoptr(entry, _ENTRY.as_pointer()), rest)
        return context.get_dummy_value()

    return types.void(types.int64, types.int64, types.int64, types.int64), generate


@intrinsic
def _frame(typing, kernel, arguments):
    """Address of a stack frame that holds the kernel's address and its arguments."""

    def generate(context, builder, signature, args):
        values = ir.Constant(ir.LiteralStructType([value.type for value in args]), ir.Undefined)
        for i, value in enumerate(args):
            values = builder.insert_value(values, value, i)
        with builder.goto_entry_block():
            frame = builder.alloca(values.type)
        builder.store(values, frame)
        return builder.ptrtoint(frame, _NATURAL)

    return types.int64(types.int64, arguments), generate


@intrinsic
def _entry(typing, arguments):
    """Address of a function (frame, worker, workers) that calls the frame's kernel with the frame's arguments."""

    def generate(context, builder, signature, args):
        (tuple_type,), (tuple_value,) = signature.args, args
        function = ir.Function(builder.module, _ENTRY, builder.module.get_unique_name("kernel_entry"))
        function.linkage = "internal"
        inner = ir.IRBuilder(function.append_basic_block())
        address, worker, workers = function.args
        layout = ir.LiteralStructType([_NATURAL, tuple_value.type])
        frame = inner.load(inner.inttoptr(address, layout.as_pointer()))
        packed = inner.extract_value(frame, 1)
        values = [inner.extract_value(packed, i) for i in range(len(tuple_type))]
        argument_types = [*tuple_type, types.int64, types.int64]
        convention = context.call_conv
        kernel_type = convention.get_function_type(types.none, argument_types)
        kernel = inner.inttoptr(inner.extract_value(frame, 0), kernel_type.as_pointer())
        convention.call_function(inner, kernel, types.none, argument_types, [*values, worker, workers])
        inner.ret_void()
        return builder.ptrtoint(function, _NATURAL)

    return types.int64(arguments), generate


def _take_in_python(queue):
    queue[0] += 1
    return queue[0] - 1


def _take(typing, queue):
    """Number of the next task: how often `queue` was taken from before, by any worker.

    Tasks that workers take as they get free keep all of them busy where some run slower than others; who does a task makes
    no difference to its result.
    """

    def generate(context, builder, signature, args):
        data = context.make_array(signature.args[0])(context, builder, args[0]).data
        return builder.atomic_rmw("add", data, _NATURAL(1), "monotonic")

    return types.int64(queue), generate


take = _take_in_python if config.DISABLE_JIT else intrinsic(_take)


def parallel_for(entry, frame, workers):
    """Call the entry once for each worker, in parallel."""
    for worker in prange(workers):
        _call(entry, frame, int64(worker), workers)


def launch(kernel, workers, *arguments):
    """Run the kernel at an address on all workers."""
    parallel_for(_entry(arguments), _frame(kernel, arguments), workers)
