// aie::roi_extractor on the CPU. The mean of bilinear samples on a grid is separable: every bin is
// (row weights) x feature x (column weights), so the weights are summed per axis once per roi and
// each channel costs one pass over the pixels that the roi touches.
#include <algorithm>
#include <cmath>
#include <type_traits>
#include <vector>

#include "roi_extractor.h"
#include "sampling.h"
#include "schema.h"

namespace mmdet_ops {
namespace {

template <class T>
using Arithmetic = std::conditional_t<std::is_same<T, double>::value, double, float>;

template <class A>
struct Roi { A x1, y1, x2, y2; };

template <class A>
std::size_t level_of(const Roi<A>& r, const RoiOptions& o) {
  const A area = (r.x2 - r.x1) * (r.y2 - r.y1);
  if (!(area > 0)) return 0;
  const int level = std::ilogb(std::sqrt(area) / A(o.finest_scale) + A(1e-6));  // floor(log2)
  const int last = static_cast<int>(o.spatial_scale.size()) - 1;
  return static_cast<std::size_t>(std::min(std::max(level, 0), last));
}

template <class A>
Roi<A> rescaled(const Roi<A>& r, A factor) {  // about its centre
  const A cx = (r.x1 + r.x2) / 2, cy = (r.y1 + r.y2) / 2;
  const A w = (r.x2 - r.x1) * factor / 2, h = (r.y2 - r.y1) * factor / 2;
  return {cx - w, cy - h, cx + w, cy + h};
}

template <class T, class A>
A dot(const Bin<A>& bin, const T* line) {
  A sum = 0;
  for (std::size_t i = 0; i < bin.weights.size(); ++i) sum += bin.weights[i] * A(line[i]);
  return sum;
}

// One image of one level, (C, H, W), under one roi -> (C, ph, pw).
template <class T, class A>
void pool(const at::Tensor& feature, const T* plane, Roi<A> r, A scale, const RoiOptions& o,
          T* out) {
  const int64_t channels = feature.size(1), height = feature.size(2), width = feature.size(3);
  const A shift = o.aligned ? A(0.5) : A(0), least = o.aligned ? A(0) : A(1);
  const A x = r.x1 * scale - shift, y = r.y1 * scale - shift;
  const A w = r.x2 * scale - shift - x, h = r.y2 * scale - shift - y;
  const auto rows = axis(y, o.aligned ? h : std::max(h, least), o.ph, height, o.sample_num);
  const auto columns = axis(x, o.aligned ? w : std::max(w, least), o.pw, width, o.sample_num);
  int64_t left = width, right = 0;  // the columns that any bin needs
  for (const auto& bin : columns)
    if (!bin.weights.empty()) left = std::min(left, bin.first), right = std::max(right, bin.end());
  left = std::min(left, right);
  std::vector<A> line(width);
  for (int64_t c = 0; c < channels; ++c, plane += height * width)
    for (const auto& row : rows) {
      std::fill(line.begin() + left, line.begin() + right, A(0));
      for (std::size_t i = 0; i < row.weights.size(); ++i) {
        const T* pixels = plane + (row.first + static_cast<int64_t>(i)) * width;
        const A weight = row.weights[i];
        for (int64_t j = left; j < right; ++j) line[j] += weight * A(pixels[j]);
      }
      for (const auto& bin : columns) *out++ = T(dot(bin, line.data() + bin.first));
    }
}

template <class T>
int64_t image_of(T index, int64_t images, int64_t row) {
  const auto value = static_cast<double>(index);
  TORCH_CHECK(value >= 0 && value < images && value == std::floor(value),
              "aie::roi_extractor: rois[", row, "]: expected an image index below ", images,
              ", got ", value);
  return static_cast<int64_t>(value);
}

template <class T>
void every_roi(const std::vector<at::Tensor>& feats, const at::Tensor& rois, const RoiOptions& o,
               at::Tensor& out) {
  using A = Arithmetic<T>;
  const int64_t per_roi = out.size(1) * o.ph * o.pw;
  const T* r = rois.data_ptr<T>();
  for (int64_t k = 0; k < rois.size(0); ++k, r += 5) {
    Roi<A> roi{A(r[1]), A(r[2]), A(r[3]), A(r[4])};
    const std::size_t level = level_of(roi, o);
    if (o.roi_scale_factor > 0) roi = rescaled(roi, A(o.roi_scale_factor));
    const at::Tensor& feature = feats[level];
    const int64_t image = image_of(r[0], feature.size(0), k);
    pool<T, A>(feature, feature.data_ptr<T>() + image * feature.stride(0), roi,
               A(o.spatial_scale[level]), o, out.data_ptr<T>() + k * per_roi);
  }
}

void fill(const std::vector<at::Tensor>& feats, const at::Tensor& rois, const RoiOptions& options,
          at::Tensor& out) {
  std::vector<at::Tensor> f;
  for (const at::Tensor& feature : feats) f.push_back(feature.contiguous());
  const at::Tensor r = rois.contiguous();
  switch (rois.scalar_type()) {
    case at::kHalf: return every_roi<c10::Half>(f, r, options, out);
    case at::kFloat: return every_roi<float>(f, r, options, out);
    default: return every_roi<double>(f, r, options, out);
  }
}

}  // namespace

TORCH_LIBRARY_IMPL(aie, CPU, library) {
  implement(library, "roi_extractor",
            torch::CppFunction::makeFromBoxedFunction<&roi_extractor<fill>>());
}

}  // namespace mmdet_ops
