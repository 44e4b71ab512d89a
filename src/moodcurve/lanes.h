/* What the C of this package is written in: as many floats as the processor that it is compiled for
   takes at once, in the vector types of gcc and clang. */

#ifndef LANES_H
#define LANES_H

#include <stdint.h>
#include <string.h>

#if defined(_WIN32)
#define EXPORT __declspec(dllexport)
#else
#define EXPORT __attribute__((visibility("default")))
#endif

#define INLINE static inline __attribute__((always_inline))

#if defined(__AVX512F__)
#define LANES 16
#define LOW_HALVES 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23
#define HIGH_HALVES 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31
#elif defined(__AVX__)
#define LANES 8
#define LOW_HALVES 0, 8, 1, 9, 2, 10, 3, 11
#define HIGH_HALVES 4, 12, 5, 13, 6, 14, 7, 15
#else
#define LANES 4
#define LOW_HALVES 0, 4, 1, 5
#define HIGH_HALVES 2, 6, 3, 7
#endif

typedef float Lanes __attribute__((vector_size(4 * LANES)));
typedef int32_t Choice __attribute__((vector_size(4 * LANES)));

#if defined(__clang__) || __GNUC__ >= 12
#define MIX(a, b, ...) __builtin_shufflevector(a, b, __VA_ARGS__)
#else
#define MIX(a, b, ...) __builtin_shuffle(a, b, (Choice){__VA_ARGS__})
#endif

INLINE Lanes lanes(const float *from)
{
    Lanes loaded;
    memcpy(&loaded, from, sizeof loaded);
    return loaded;
}

/* The generation of processors that this one belongs to, of those of hatch_build.py. */
EXPORT int generation(void)
{
#if defined(__x86_64__) || defined(_M_X64)
    __builtin_cpu_init();
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw")
        && __builtin_cpu_supports("avx512cd") && __builtin_cpu_supports("avx512dq")
        && __builtin_cpu_supports("avx512vl"))
        return 4;
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")
        && __builtin_cpu_supports("bmi2"))
        return 3;
#endif
    return 1;
}

INLINE Lanes choose(Choice which, Lanes yes, Lanes no)
{
    return (Lanes)(((Choice)yes & which) | ((Choice)no & ~which));
}

/* As many vectors as each has lanes, transposed by perfect shuffles. */
INLINE void transpose(Lanes *square)
{
    for (int round = 1; round < LANES; round *= 2) {
        Lanes next[LANES];
        for (int i = 0; i < LANES / 2; i++) {
            next[2 * i] = MIX(square[i], square[i + LANES / 2], LOW_HALVES);
            next[2 * i + 1] = MIX(square[i], square[i + LANES / 2], HIGH_HALVES);
        }
        memcpy(square, next, sizeof next);
    }
}

#endif
