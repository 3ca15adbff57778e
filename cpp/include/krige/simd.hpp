// The instruction set levels, and which one is in use.
#pragma once

namespace krige::simd {

enum class Level { baseline, avx2, avx512 };

// The highest level that this processor has and that was built, capped by the environment variable
// KRIGETUNER_SIMD=baseline|avx2|avx512 (read once, when the library is loaded).
Level level() noexcept;

// The highest level that this processor has and that was built.
Level supported_level() noexcept;

// Uses `wanted`, or the highest supported level below it; returns what is used. For tests and
// benchmarks.
Level set_level(Level wanted) noexcept;

const char* name(Level level) noexcept;

// Names of the features that the levels ask for and this processor has, separated by spaces.
const char* cpu_features() noexcept;

}  // namespace krige::simd

// Declares functions in the namespace of every level that is built.
#ifdef KRIGE_X86_LEVELS
#define KRIGE_EACH_LEVEL(...)   \
    namespace krige::baseline { \
    __VA_ARGS__                 \
    }                           \
    namespace krige::avx2 {     \
    __VA_ARGS__                 \
    }                           \
    namespace krige::avx512 {   \
    __VA_ARGS__                 \
    }
// The function or table of the level in use: KRIGE_CALL(factor)(a).
#define KRIGE_CALL(function)                                                            \
    (::krige::simd::level() == ::krige::simd::Level::avx512 ? ::krige::avx512::function \
     : ::krige::simd::level() == ::krige::simd::Level::avx2 ? ::krige::avx2::function   \
                                                            : ::krige::baseline::function)
#else
#define KRIGE_EACH_LEVEL(...)   \
    namespace krige::baseline { \
    __VA_ARGS__                 \
    }
#define KRIGE_CALL(function) (::krige::baseline::function)
#endif
