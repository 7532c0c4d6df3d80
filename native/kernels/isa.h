#pragma once

/**
 * Every file in this folder is compiled once for each instruction set, with STEMMA_ISA naming it. All code lives in
 * `namespace stemma::STEMMA_ISA`, so that no function compiled for a newer processor can be merged by the linker with
 * its namesake for an older one. For the same reason no C++ standard header may be included here: its inline functions
 * and templates would be compiled with these flags under one shared name. C headers and intrinsics are fine.
 */
#ifndef STEMMA_ISA
#error "compile kernels with -DSTEMMA_ISA=portable|avx2|avx512|avx512bf16|avx512amx"
#endif

#include <stddef.h>
#include <stdint.h>

#if defined(__x86_64__)
#include <immintrin.h>
#elif defined(__aarch64__)
#include <arm_neon.h>
#endif

/** For the small functions that kernels are made of: vectors stay in registers and never cross a call. */
#define STEMMA_INLINE static inline __attribute__((always_inline))
/** The same for a lambda, after its parameters. */
#define STEMMA_EXPANDED __attribute__((always_inline))

#if defined(__AVX512F__)
#define STEMMA_VECTOR_BYTES 64
#elif defined(__AVX2__)
#define STEMMA_VECTOR_BYTES 32
#else
#define STEMMA_VECTOR_BYTES 16
#endif
