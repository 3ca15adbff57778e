#include "krige/simd.hpp"

#include <atomic>
#include <cstdlib>
#include <cstring>
#include <initializer_list>

namespace krige::simd {
namespace {

Level detect() noexcept {
#ifdef KRIGE_X86_LEVELS
    __builtin_cpu_init();
    const bool avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") &&
                      __builtin_cpu_supports("bmi2");
    const bool avx512 = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512cd") &&
                        __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq") &&
                        __builtin_cpu_supports("avx512vl");
    if (avx2 && avx512) return Level::avx512;
    if (avx2) return Level::avx2;
#endif
    return Level::baseline;
}

Level from_environment(Level supported) noexcept {
    const char* text = std::getenv("KRIGETUNER_SIMD");
    if (text == nullptr) return supported;
    for (Level candidate : {Level::baseline, Level::avx2, Level::avx512})
        if (std::strcmp(text, name(candidate)) == 0 && candidate < supported) return candidate;
    return supported;
}

std::atomic<Level>& current() noexcept {
    static std::atomic<Level> value{from_environment(supported_level())};
    return value;
}

}  // namespace

Level supported_level() noexcept {
    static const Level value = detect();
    return value;
}

Level level() noexcept { return current().load(std::memory_order_relaxed); }

Level set_level(Level wanted) noexcept {
    const Level used = wanted < supported_level() ? wanted : supported_level();
    current().store(used, std::memory_order_relaxed);
    return used;
}

const char* name(Level level) noexcept {
    switch (level) {
        case Level::avx512: return "avx512";
        case Level::avx2: return "avx2";
        case Level::baseline: break;
    }
    return "baseline";
}

const char* cpu_features() noexcept {
    switch (supported_level()) {
        case Level::avx512: return "avx2 fma bmi2 avx512f avx512cd avx512bw avx512dq avx512vl";
        case Level::avx2: return "avx2 fma bmi2";
        case Level::baseline: break;
    }
    return "";
}

}  // namespace krige::simd
