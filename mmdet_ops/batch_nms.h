// What the kernels of aie::batch_nms share: input rules, output shapes, calling form.
#pragma once

#include <cstdint>
#include <tuple>

#include <ATen/core/Tensor.h>
#include <ATen/core/stack.h>
#include <torch/library.h>

namespace mmdet_ops {

using NmsOutputs = std::tuple<at::Tensor, at::Tensor, at::Tensor, at::Tensor>;

struct NmsOptions {
  double score_threshold;  // strict, in [0, 1]
  double iou_threshold;    // strict, in [0, 1]
  int64_t max_size_per_class;
  int64_t max_total_size;
};

inline void check_nms_tensors(const at::Tensor& boxes, const at::Tensor& scores) {
  TORCH_CHECK(boxes.dim() == 4 && boxes.size(3) == 4,
              "aie::batch_nms: bbox: expected shape (B, N, C, 4) or (B, N, 1, 4), got ",
              boxes.sizes());
  TORCH_CHECK(scores.dim() == 3, "aie::batch_nms: scores: expected shape (B, N, C), got ",
              scores.sizes());
  const bool shared = boxes.size(2) == 1;
  TORCH_CHECK(boxes.size(0) == scores.size(0) && boxes.size(1) == scores.size(1) &&
                  (shared || boxes.size(2) == scores.size(2)),
              "aie::batch_nms: scores: expected (B, N, C) to go with bbox ", boxes.sizes(),
              ", got ", scores.sizes());
  const auto dtype = boxes.scalar_type();
  TORCH_CHECK(dtype == at::kHalf || dtype == at::kFloat || dtype == at::kDouble,
              "aie::batch_nms: bbox: expected dtype Half, Float or Double, got ", dtype);
  TORCH_CHECK(scores.scalar_type() == dtype,
              "aie::batch_nms: scores: expected the dtype of bbox, ", dtype, ", got ",
              scores.scalar_type());
  TORCH_CHECK(scores.device() == boxes.device(),
              "aie::batch_nms: scores: expected the device of bbox, ", boxes.device(), ", got ",
              scores.device());
}

inline void check_nms_options(const NmsOptions& o) {
  TORCH_CHECK(o.score_threshold >= 0 && o.score_threshold <= 1,
              "aie::batch_nms: score_threshold: expected a number in [0, 1], got ",
              o.score_threshold);
  TORCH_CHECK(o.iou_threshold >= 0 && o.iou_threshold <= 1,
              "aie::batch_nms: iou_threshold: expected a number in [0, 1], got ", o.iou_threshold);
  TORCH_CHECK(o.max_size_per_class >= 1,
              "aie::batch_nms: max_size_per_class: expected at least 1, got ",
              o.max_size_per_class);
  TORCH_CHECK(o.max_total_size >= 1, "aie::batch_nms: max_total_size: expected at least 1, got ",
              o.max_total_size);
}

// Uninitialised boxes (B, M, 4), scores (B, M), classes (B*M,) int64 and num (B,) float32: the
// shapes depend on shapes and options alone.
inline NmsOutputs nms_outputs(const at::Tensor& boxes, const NmsOptions& o) {
  const int64_t batch = boxes.size(0), m = o.max_total_size;
  return NmsOutputs{boxes.new_empty({batch, m, 4}), boxes.new_empty({batch, m}),
                    boxes.new_empty({batch * m}, boxes.options().dtype(at::kLong)),
                    boxes.new_empty({batch}, boxes.options().dtype(at::kFloat))};
}

using NmsKernel = void (*)(const at::Tensor& boxes, const at::Tensor& scores, const NmsOptions&,
                           NmsOutputs&);

// The operator in torch's boxed form: checks, allocates, and lets `kernel` fill.
template <NmsKernel kernel>
void batch_nms(const c10::OperatorHandle&, torch::jit::Stack* stack) {
  auto in = torch::jit::pop(*stack, 6);
  const at::Tensor boxes = in[0].toTensor(), scores = in[1].toTensor();
  const NmsOptions options{in[2].toDouble(), in[3].toDouble(), in[4].toInt(), in[5].toInt()};
  check_nms_tensors(boxes, scores);
  check_nms_options(options);
  NmsOutputs out = nms_outputs(boxes, options);
  kernel(boxes, scores, options, out);
  torch::jit::push(*stack, std::get<0>(out), std::get<1>(out), std::get<2>(out), std::get<3>(out));
}

}  // namespace mmdet_ops
