// The two dot products that the kernels are made of. Both take four bytes of a pixel's channels at a time:
// four of uint8 by int8 summed in int32 (AVX512-VNNI), or two of bfloat16 summed in float32 (AVX512-BF16).
// So maps, weights and loops are laid out in bytes, the same for both.
#pragma once

#include <immintrin.h>

#include <cstdint>

namespace vigil {

constexpr int kLanes = 16;   // output channels that a vector of sums holds
constexpr int kGroup = 4;    // bytes of input that one lane multiplies at once

// Inline assembly, because GCC 12 moves the intrinsics' sums between registers and to the stack: 0.8 dot
// products a cycle instead of the 2.0 that a Zen 5 can do.
struct Bytes {
  static inline __m512i dot(__m512i sum, __m512i pixel, __m512i weights) {
    asm("vpdpbusd %2, %1, %0" : "+v"(sum) : "v"(pixel), "v"(weights));
    return sum;
  }
  static inline __m512 floats(__m512i sum) { return _mm512_cvtepi32_ps(sum); }
  static inline __m128i larger(__m128i a, __m128i b) { return _mm_max_epu8(a, b); }
};

struct Halves {
  static inline __m512i dot(__m512i sum, __m512i pixel, __m512i weights) {
    asm("vdpbf16ps %2, %1, %0" : "+v"(sum) : "v"(pixel), "v"(weights));
    return sum;
  }
  static inline __m512 floats(__m512i sum) { return _mm512_castsi512_ps(sum); }
  // What comes out of a ReLU is not negative, and then bfloat16 is ordered as its bits are.
  static inline __m128i larger(__m128i a, __m128i b) { return _mm_max_epu16(a, b); }
};

}  // namespace vigil
