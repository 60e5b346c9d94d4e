// The scores above a threshold, in the order in which batch_nms visits them.
#pragma once

#include <cmath>
#include <cstdint>
#include <cstring>
#include <memory>
#include <numeric>
#include <vector>

#include <c10/util/Half.h>

namespace mmdet_ops {

// The largest T that is not above x >= 0: for any t of T, t > round_down<T>(x) iff double(t) > x.
template <class T>
T round_down(double x) {
  const T nearest(x);
  return double(nearest) > x ? std::nextafter(nearest, T(0)) : nearest;
}
template <>
inline c10::Half round_down<c10::Half>(double x) {
  c10::Half nearest(static_cast<float>(x));
  if (double(float(nearest)) > x) nearest.x -= 1;  // positive halves order like their bits
  return nearest;
}

template <class T>
bool above(T score, T floor) { return score > floor; }
inline bool above(c10::Half score, c10::Half floor) {
  const auto bits = static_cast<int16_t>(score.x);
  return (bits > static_cast<int16_t>(floor.x)) & (bits <= 0x7c00);  // beyond infinity lie the NaN
}

// A whole number that never falls as the positive score rises, and for halves always rises.
inline int rank_of(c10::Half score) { return score.x; }
inline int rank_of(float score) {
  uint32_t bits;
  std::memcpy(&bits, &score, sizeof bits);
  return static_cast<int>(bits >> 16);
}
inline int rank_of(double score) { return rank_of(static_cast<float>(score)); }

struct Candidate { uint32_t row, label; };

struct Candidates {
  explicit Candidates(int64_t most) : list(new Candidate[most]), spare(new Candidate[most]) {}

  // Stable counting sort by key(candidate) in [0, keys); returns where each key's run ends.
  template <class Key>
  std::vector<uint32_t> order_by(int keys, const Key& key) {
    std::vector<uint32_t> ends(keys + 1, 0);
    for (std::size_t i = 0; i < size; ++i) ++ends[key(list[i]) + 1];
    std::partial_sum(ends.begin(), ends.end(), ends.begin());
    for (std::size_t i = 0; i < size; ++i) spare[ends[key(list[i])]++] = list[i];
    list.swap(spare);
    return ends;
  }

  std::unique_ptr<Candidate[]> list, spare;  // not vectors: nothing to initialise
  std::size_t size = 0;
};

}  // namespace mmdet_ops
