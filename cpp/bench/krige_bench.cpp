#include "krige/simd.hpp"

int main() { return krige::simd::level() == krige::simd::Level::baseline ? 0 : 0; }
