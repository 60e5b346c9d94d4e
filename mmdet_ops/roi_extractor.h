// What the kernels of aie::roi_extractor share: input rules, output shape, calling form.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include <ATen/core/Tensor.h>
#include <ATen/core/stack.h>
#include <torch/library.h>

namespace mmdet_ops {

struct RoiOptions {
  bool aligned;           // shift by half a pixel, no least size
  int64_t finest_scale;   // pixels; a roi of this size belongs to level 0
  int64_t ph, pw;         // bins per roi
  std::string pool_mode;  // "avg"
  int64_t roi_scale_factor;  // 0: none
  int64_t sample_num;        // samples per bin and axis; 0: one per started feature pixel
  std::vector<double> spatial_scale;
};

inline void check_roi_features(const std::vector<at::Tensor>& feats) {
  TORCH_CHECK(!feats.empty(), "aie::roi_extractor: feats: expected at least one level, got none");
  const at::Tensor& first = feats[0];
  const auto dtype = first.scalar_type();
  TORCH_CHECK(dtype == at::kHalf || dtype == at::kFloat || dtype == at::kDouble,
              "aie::roi_extractor: feats[0]: expected dtype Half, Float or Double, got ", dtype);
  for (std::size_t i = 0; i < feats.size(); ++i) {
    TORCH_CHECK(feats[i].dim() == 4 && feats[i].size(2) > 0 && feats[i].size(3) > 0,
                "aie::roi_extractor: feats[", i, "]: expected shape (B, C, H, W), got ",
                feats[i].sizes());
    TORCH_CHECK(feats[i].size(0) == first.size(0) && feats[i].size(1) == first.size(1),
                "aie::roi_extractor: feats[", i, "]: expected B and C of feats[0], ",
                first.sizes(), ", got ", feats[i].sizes());
    TORCH_CHECK(feats[i].scalar_type() == dtype && feats[i].device() == first.device(),
                "aie::roi_extractor: feats[", i, "]: expected ", dtype, " on ", first.device(),
                " as feats[0], got ", feats[i].scalar_type(), " on ", feats[i].device());
  }
}

inline void check_rois(const at::Tensor& rois, const at::Tensor& feature) {
  TORCH_CHECK(rois.dim() == 2 && rois.size(1) == 5,
              "aie::roi_extractor: rois: expected shape (K, 5), got ", rois.sizes());
  TORCH_CHECK(rois.scalar_type() == feature.scalar_type() && rois.device() == feature.device(),
              "aie::roi_extractor: rois: expected ", feature.scalar_type(), " on ",
              feature.device(), " as feats, got ", rois.scalar_type(), " on ", rois.device());
}

inline void check_at_least(const char* argument, int64_t least, int64_t got) {
  TORCH_CHECK(got >= least, "aie::roi_extractor: ", argument, ": expected at least ", least,
              ", got ", got);
}

inline void check_roi_options(const RoiOptions& o, std::size_t levels) {
  check_at_least("finest_scale", 1, o.finest_scale);
  check_at_least("ph", 1, o.ph);
  check_at_least("pw", 1, o.pw);
  check_at_least("roi_scale_factor", 0, o.roi_scale_factor);
  check_at_least("sample_num", 0, o.sample_num);
  TORCH_CHECK(o.pool_mode == "avg", "aie::roi_extractor: pool_mode: expected \"avg\", got \"",
              o.pool_mode, "\"");
  TORCH_CHECK(o.spatial_scale.size() == levels,
              "aie::roi_extractor: spatial_scale: expected one number for each of ", levels,
              " levels, got ", o.spatial_scale.size());
  for (const double scale : o.spatial_scale)
    TORCH_CHECK(scale > 0 && scale <= 1,
                "aie::roi_extractor: spatial_scale: expected numbers in (0, 1], got ", scale);
}

using RoiKernel = void (*)(const std::vector<at::Tensor>& feats, const at::Tensor& rois,
                           const RoiOptions&, at::Tensor& out);

// The operator in torch's boxed form: checks, allocates (K, C, ph, pw), and lets `kernel` fill.
template <RoiKernel kernel>
void roi_extractor(const c10::OperatorHandle&, torch::jit::Stack* stack) {
  auto in = torch::jit::pop(*stack, 10);
  const std::vector<at::Tensor> feats = in[0].toTensorVector();
  const at::Tensor rois = in[1].toTensor();
  const RoiOptions options{in[2].toBool(),      in[3].toInt(), in[4].toInt(),
                           in[5].toInt(),       in[6].toStringRef(), in[7].toInt(),
                           in[8].toInt(),       in[9].toDoubleVector()};
  check_roi_features(feats);
  check_rois(rois, feats[0]);
  check_roi_options(options, feats.size());
  at::Tensor out = feats[0].new_empty({rois.size(0), feats[0].size(1), options.ph, options.pw});
  kernel(feats, rois, options, out);
  torch::jit::push(*stack, std::move(out));
}

}  // namespace mmdet_ops
