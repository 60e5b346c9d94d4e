// The boxes that one class has kept so far, and the question asked of each newcomer.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <vector>

namespace mmdet_ops {

template <class A>
struct Box { A x1, y1, x2, y2, area; };

template <class A>
A positive(A x) { return x > 0 ? x : A(0); }

template <class A, class T>
Box<A> load(const T* c) {
  const A x1(c[0]), y1(c[1]), x2(c[2]), y2(c[3]);
  return {x1, y1, x2, y2, positive(x2 - x1) * positive(y2 - y1)};
}

template <class A>
bool has_nan(const Box<A>& b) {
  return std::isnan(b.x1) || std::isnan(b.y1) || std::isnan(b.x2) || std::isnan(b.y2);
}

// The survivors of one class, eight to a block so that the compiler compares eight at a time.
template <class A>
class Survivors {
 public:
  int64_t size() const { return size_; }

  void add(const Box<A>& b) {
    const int k = size_++ % 8;
    if (k == 0) blocks_.push_back(empty());
    Block& last = blocks_.back();
    last.x1[k] = b.x1; last.y1[k] = b.y1; last.x2[k] = b.x2; last.y2[k] = b.y2;
    last.area[k] = b.area;
  }

  bool suppress(const Box<A>& b, A iou_floor) const {
    for (const Block& block : blocks_)
      if (any_over(block, b, iou_floor)) return true;
    return false;
  }

 private:
  struct Block { A x1[8], y1[8], x2[8], y2[8], area[8]; };

  static Block empty() {  // x1 beyond every x2: meets nothing
    Block b{};
    std::fill(b.x1, b.x1 + 8, std::numeric_limits<A>::infinity());
    return b;
  }

  static bool any_over(const Block& o, const Box<A>& b, A iou_floor) {
    int hits = 0;
    for (int k = 0; k < 8; ++k) {
      const A w = positive(std::min(b.x2, o.x2[k]) - std::max(b.x1, o.x1[k]));
      const A h = positive(std::min(b.y2, o.y2[k]) - std::max(b.y1, o.y1[k]));
      const A inter = w * h;
      hits |= inter / (b.area + o.area[k] - inter) > iou_floor;
    }
    return hits != 0;
  }

  std::vector<Block> blocks_;
  int64_t size_ = 0;
};

}  // namespace mmdet_ops
