# Written by `python -m tests.stubs`.
from typing import Any
ir: Any
config: Any
int64: Any
prange: Any
types: Any
intrinsic: Any
FRAME_BYTES: int
run_share: Any
next_task: Any
add_to_counter: Any
parallel_for: Any
launch: Any
take_part: Any
take_part_together: Any
