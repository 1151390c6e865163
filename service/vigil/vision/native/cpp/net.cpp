// A detector's net as a list of steps that each picture takes by itself, and what Python calls of it.
//
// A picture is inferred by one thread from first to last: what lies between the steps stays in that core's L2 cache, and
// nobody waits for anybody. Who has several cores calls from several threads.
#include <sys/mman.h>

#include <atomic>
#include <cstdlib>
#include <cstring>
#include <future>
#include <memory>
#include <mutex>
#include <vector>

#include "pool.h"
#include "winograd.h"

namespace vigil {

enum class Does : int32_t {
  kConvolveBytes = 0,
  kConvolveHalves = 1,
  kPoolBytes = 2,
  kPoolHalves = 3,
  kSpreadBytes = 4,
  kSpreadHalves = 5,
  kConvolveTermsOfBytes = 6,
  kConvolveTermsOfHalves = 7,
  kCopyBytes = 8,
  kCopyHalves = 9,
};

// The picture, to where the stem reads it.
struct Copy {
  int64_t row;       // bytes of a row of the picture
  int64_t output;
  int64_t down;      // bytes to the row below
  int32_t rows;
  int32_t mean;      // kCopyHalves: the byte that the net takes for nothing
};

struct Step {
  Does does;
  int32_t unused;
  Convolution convolution;
  Pool pool;
  Spread spread;
  Copy copy;
};

struct Sizes {
  int64_t image;    // bytes of a picture
  int64_t space;    // bytes of a workspace
  int64_t grey;     // bytes at its beginning that are not zero at first, but ...
  int32_t mean;
  int32_t classes, cells;
  int32_t unused;
};

// Bytes less the mean, in bfloat16, which holds them exactly; ``count`` is a multiple of 16.
inline void halves_of(const uint8_t* from, int64_t count, int mean, uint8_t* to) {
  for (int64_t i = 0; i < count; i += 16) {
    const __m512i bytes = _mm512_cvtepu8_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(from + i)));
    const __m512 v = _mm512_cvtepi32_ps(_mm512_sub_epi32(bytes, _mm512_set1_epi32(mean)));
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(to + 2 * i), (__m256i)_mm512_cvtneps_pbh(v));
  }
}

// Asks for the rows after the next few: the picture comes from far away, and memcpy does not look ahead (21 to 15 µs a picture).
inline void ask_for(const Copy& c, const uint8_t* row) {
  for (int64_t x = 0; x < c.row; x += 64) _mm_prefetch(reinterpret_cast<const char*>(row + 4 * c.row + x), _MM_HINT_T0);
}

inline void copy_bytes(const Copy& c, const uint8_t* image, uint8_t* space) {
  for (int y = 0; y < c.rows; ++y, image += c.row) {
    ask_for(c, image);
    std::memcpy(space + c.output + y * c.down, image, c.row);
  }
}

inline void copy_halves(const Copy& c, const uint8_t* image, uint8_t* space) {
  for (int y = 0; y < c.rows; ++y, image += c.row) {
    ask_for(c, image);
    halves_of(image, c.row, c.mean, space + c.output + y * c.down);
  }
}

class Net {
 public:
  Net(const Step* steps, int count, const Sizes& sizes) : steps_(steps, steps + count), sizes_(sizes) {}

  void infer(const uint8_t* images, int count, float* logits, float* boxes, std::atomic<int>& next) {
    Space space = taken();
    for (int64_t i; (i = next++) < count;) {
      const Answers answers{logits + i * sizes_.cells * sizes_.classes, boxes + i * sizes_.cells * 4, sizes_.classes};
      for (const Step& step : steps_) take(step, images + i * sizes_.image, space.get(), answers);
    }
    const std::lock_guard<std::mutex> hold(lock_);
    spaces_.push_back(std::move(space));
  }

 private:
  static constexpr int64_t kPage = 1 << 21;  // a huge page
  static constexpr int64_t kNowhere = 4096;  // bytes after a workspace, see `convolve`

  struct Free {
    void operator()(uint8_t* space) const { std::free(space); }
  };
  using Space = std::unique_ptr<uint8_t, Free>;

  // A workspace that nobody uses; maps' borders in it are zero, the picture's stand for nothing, and no step ever writes there.
  Space taken() {
    {
      const std::lock_guard<std::mutex> hold(lock_);
      if (!spaces_.empty()) {
        Space space = std::move(spaces_.back());
        spaces_.pop_back();
        return space;
      }
    }
    const int64_t bytes = (sizes_.space + kNowhere + kPage - 1) / kPage * kPage;
    Space space(static_cast<uint8_t*>(std::aligned_alloc(kPage, bytes)));
    if (!space) throw std::bad_alloc();
    madvise(space.get(), bytes, MADV_HUGEPAGE);  // a wish: 2 MB of maps are 500 small pages
    std::memset(space.get(), 0, bytes);
    std::memset(space.get(), sizes_.mean, sizes_.grey);
    return space;
  }

  void take(const Step& step, const uint8_t* image, uint8_t* space, const Answers& answers) const {
    uint8_t* nowhere = space + sizes_.space;
    switch (step.does) {
      case Does::kConvolveBytes: return convolve<Bytes>(step.convolution, space, nowhere, answers);
      case Does::kConvolveHalves: return convolve<Halves>(step.convolution, space, nowhere, answers);
      case Does::kPoolBytes: return pool<Bytes>(step.pool, space);
      case Does::kPoolHalves: return pool<Halves>(step.pool, space);
      case Does::kSpreadBytes: return spread_bytes(step.spread, space);
      case Does::kSpreadHalves: return spread_halves(step.spread, space);
      case Does::kConvolveTermsOfBytes: return convolve_terms<Bytes>(step.convolution, space, nowhere);
      case Does::kConvolveTermsOfHalves: return convolve_terms<Halves>(step.convolution, space, nowhere);
      case Does::kCopyBytes: return copy_bytes(step.copy, image, space);
      case Does::kCopyHalves: return copy_halves(step.copy, image, space);
    }
  }

  const std::vector<Step> steps_;
  const Sizes sizes_;
  std::mutex lock_;
  std::vector<Space> spaces_;
};

}  // namespace vigil

extern "C" {

vigil::Net* vigil_net_new(const vigil::Step* steps, int count, const vigil::Sizes* sizes) try {
  return new vigil::Net(steps, count, *sizes);
} catch (const std::bad_alloc&) {
  return nullptr;
}

void vigil_net_delete(vigil::Net* net) { delete net; }

// Pictures (count, H, W, 3) uint8 to logits (count, A, classes) and boxes (count, A, 4), on up to `threads` threads. 0, or 1
// without memory or threads.
int vigil_net_infer(vigil::Net* net, const uint8_t* images, int count, float* logits, float* boxes,
                    int threads) try {
  std::atomic<int> next{0};
  std::vector<std::future<void>> others;
  for (int i = 1; i < std::min(threads, count); ++i) {
    others.push_back(std::async(std::launch::async, [=, &next] { net->infer(images, count, logits, boxes, next); }));
  }
  net->infer(images, count, logits, boxes, next);
  for (auto& other : others) other.get();
  return 0;
} catch (const std::exception&) {
  return 1;
}

int vigil_step_bytes() { return sizeof(vigil::Step); }

}
