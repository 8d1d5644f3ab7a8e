"""Numbers as Go's print writes them, and their shortest digits."""

from __future__ import annotations

import pytest

from addrspace_gdb.goruntime.printpanic import _float


@pytest.mark.parametrize(
    ("value", "code", "old", "new"),
    [
        (-93.7, "d", "-9.370000e+001", "-93.7"),
        (0.1, "f", "+1.000000e-001", "0.1"),
        (0.0, "d", "+0.000000e+000", "0"),
        (999999.0, "d", "+9.999990e+005", "999999"),
        (1e6, "d", "+1.000000e+006", "1e+06"),
        (12345678.0, "d", "+1.234568e+007", "1.2345678e+07"),
        (0.0001, "d", "+1.000000e-004", "0.0001"),
        (0.00001, "d", "+1.000000e-005", "1e-05"),
        (1e300, "d", "+1.000000e+300", "1e+300"),
        (float("inf"), "d", "+Inf", "+Inf"),
        (float("nan"), "f", "NaN", "NaN"),
    ],
)
def test_a_float_is_written_as_go_does(value: float, code: str, old: str, new: str) -> None:
    assert (_float(value, code, 25), _float(value, code, 26)) == (old, new)
