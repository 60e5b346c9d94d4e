// Bilinear samples along one axis of a roi, summed into one weight per pixel and bin.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <vector>

#include <c10/util/Exception.h>

namespace mmdet_ops {

constexpr int64_t kMostSamples = 65536;  // per bin and axis: beyond lie only broken rois

// The weights of one bin along one axis: pixel `first + i` counts weights[i].
template <class A>
struct Bin {
  int64_t first = 0;
  std::vector<A> weights;

  void add(int64_t pixel, A weight) {
    const auto i = static_cast<std::size_t>(pixel - first);
    if (weights.empty()) first = pixel, weights.push_back(weight);
    else if (i < weights.size()) weights[i] += weight;
    else weights.resize(i, A(0)), weights.push_back(weight);
  }
  int64_t end() const { return first + static_cast<int64_t>(weights.size()); }
};

// A sample beyond one pixel outside counts zero; nearer ones take the border's value.
template <class A>
void add_sample(Bin<A>& bin, A at, int64_t length, A weight) {
  if (at < -1 || at > length) return;
  at = std::max(at, A(0));
  const auto low = std::min(static_cast<int64_t>(at), length - 1);
  const A fraction = low == length - 1 ? A(0) : at - low;
  bin.add(low, weight * (1 - fraction));
  if (fraction > 0) bin.add(low + 1, weight * fraction);
}

// `start` and `extent` in feature pixels.
template <class A>
std::vector<Bin<A>> axis(A start, A extent, int64_t bins, int64_t length, int64_t sample_num) {
  std::vector<Bin<A>> all(bins);
  const A size = extent / bins;
  TORCH_CHECK(std::abs(size) <= kMostSamples, "aie::roi_extractor: rois: expected bins of at most ",
              kMostSamples, " feature pixels, got ", std::abs(size));  // without the sign of a NaN
  const auto samples = sample_num > 0 ? sample_num : static_cast<int64_t>(std::ceil(size));
  for (int64_t b = 0; b < bins; ++b)
    for (int64_t i = 0; i < samples; ++i) {
      const int64_t s = size < 0 ? samples - 1 - i : i;  // upwards, also in an inverted roi
      add_sample(all[b], start + b * size + (s + A(0.5)) * size / samples, length,
                 A(1) / samples);
    }
  return all;
}

}  // namespace mmdet_ops
