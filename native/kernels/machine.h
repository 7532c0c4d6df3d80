#pragma once

/**
 * Limits of the machine, measured: what kernels are compared with. Each function runs for about `seconds` on `threads`
 * threads. Declared in table.cpp.
 *
 * floatPeak, bfloat16Peak: operations per second of the fastest multiply-add (two operations each) from registers.
 * readBandwidth: bytes per second read from memory outside every cache.
 */
