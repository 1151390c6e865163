// A detector's net as a list of steps that each picture takes by itself, and what Python calls of it.
//
// A picture is inferred by one thread from first to last: what lies between the steps stays in that core's L2 cache, and
// nobody waits for anybody. Who has several cores calls from several threads.
#include <atomic>
#include <cstdlib>
#include <cstring>
#include <future>
#include <memory>
#include <mutex>
#include <vector>

#include "convolution.h"
#include "pool.h"

namespace vigil {

enum class Does : int32_t { kConvolveBytes = 0, kConvolveHalves = 1, kPoolBytes = 2, kPoolHalves = 3 };

struct Step {
  Does does;
  int32_t unused;
  Convolution convolution;
  Pool pool;
};

// Where a picture lies in the workspace, with what its borders hold.
struct Picture {
  int64_t first;    // the first pixel's first byte
  int64_t down;     // bytes to the pixel below
  int32_t height, width;
  int32_t mean;     // the byte that the net takes for nothing
  Does does;        // kConvolveBytes: bytes as they are; kConvolveHalves: bfloat16, less the mean
};

// Bytes less the mean, in bfloat16, which holds them exactly; ``count`` is a multiple of 16.
inline void halves_of(const uint8_t* from, int64_t count, int mean, uint8_t* to) {
  for (int64_t i = 0; i < count; i += 16) {
    const __m512i bytes = _mm512_cvtepu8_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(from + i)));
    const __m512 v = _mm512_cvtepi32_ps(_mm512_sub_epi32(bytes, _mm512_set1_epi32(mean)));
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(to + 2 * i), (__m256i)_mm512_cvtneps_pbh(v));
  }
}

class Net {
 public:
  Net(const Step* steps, int count, const Picture& picture, int64_t space_bytes, int classes, int cells)
      : steps_(steps, steps + count), picture_(picture), space_bytes_(space_bytes), classes_(classes), cells_(cells) {}

  void infer(const uint8_t* images, int count, float* logits, float* boxes, std::atomic<int>& next) {
    Space space = taken();
    for (int i; (i = next++) < count;) {
      const Answers answers{logits + int64_t{i} * cells_ * classes_, boxes + int64_t{i} * cells_ * 4, classes_};
      copy_in(images + int64_t{i} * picture_.height * picture_.width * 3, space.get());
      for (const Step& step : steps_) take(step, space.get(), answers);
    }
    const std::lock_guard<std::mutex> hold(lock_);
    spaces_.push_back(std::move(space));
  }

 private:
  static constexpr int64_t kNowhere = 4096;  // bytes after a workspace, see `convolve`

  struct Free {
    void operator()(uint8_t* space) const { std::free(space); }
  };
  using Space = std::unique_ptr<uint8_t, Free>;

  // A workspace that nobody uses; maps' borders in it are zero, and no step ever writes there.
  Space taken() {
    {
      const std::lock_guard<std::mutex> hold(lock_);
      if (!spaces_.empty()) {
        Space space = std::move(spaces_.back());
        spaces_.pop_back();
        return space;
      }
    }
    const int64_t bytes = (space_bytes_ + kNowhere + 4095) / 4096 * 4096;
    Space space(static_cast<uint8_t*>(std::aligned_alloc(4096, bytes)));
    if (!space) throw std::bad_alloc();
    std::memset(space.get(), 0, bytes);
    if (picture_.does == Does::kConvolveBytes) {
      std::memset(space.get(), picture_.mean, picture_.first + picture_.height * picture_.down);
    }
    return space;
  }

  // What is around the picture stands for nothing, as the convolutions' own padding.
  void copy_in(const uint8_t* image, uint8_t* space) const {
    const int64_t row = int64_t{picture_.width} * 3;
    for (int y = 0; y < picture_.height; ++y, image += row) {
      uint8_t* to = space + picture_.first + y * picture_.down;
      if (picture_.does == Does::kConvolveBytes) {
        std::memcpy(to, image, row);
      } else {
        halves_of(image, row, picture_.mean, to);
      }
    }
  }

  void take(const Step& step, uint8_t* space, const Answers& answers) const {
    uint8_t* nowhere = space + space_bytes_;
    switch (step.does) {
      case Does::kConvolveBytes: return convolve<Bytes>(step.convolution, space, nowhere, answers);
      case Does::kConvolveHalves: return convolve<Halves>(step.convolution, space, nowhere, answers);
      case Does::kPoolBytes: return pool<Bytes>(step.pool, space);
      case Does::kPoolHalves: return pool<Halves>(step.pool, space);
    }
  }

  const std::vector<Step> steps_;
  const Picture picture_;
  const int64_t space_bytes_;
  const int classes_, cells_;
  std::mutex lock_;
  std::vector<Space> spaces_;
};

}  // namespace vigil

extern "C" {

vigil::Net* vigil_net_new(const vigil::Step* steps, int count, const vigil::Picture* picture,
                          int64_t space_bytes, int classes, int cells) {
  return new (std::nothrow) vigil::Net(steps, count, *picture, space_bytes, classes, cells);
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
