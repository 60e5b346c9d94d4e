// Another library that registers the namespace `aie`, as the published placeholder does: with
// kernels for every backend, arguments by value, schemas inferred, and ones for an answer.
// With NEIGHBOUR_TYPES=other it claims one of the names for something else.
#include <cstdlib>
#include <string>
#include <tuple>
#include <vector>

#include <ATen/core/Tensor.h>
#include <torch/library.h>

static std::tuple<at::Tensor, at::Tensor, at::Tensor, at::Tensor> nms(
    at::Tensor boxes, at::Tensor scores, double, double, int64_t, int64_t total) {
  return std::make_tuple(boxes.new_ones({boxes.size(0), total, 4}), scores.new_ones({1, total}),
                         scores.new_ones({total}, scores.options().dtype(at::kLong)),
                         scores.new_ones({1}, scores.options().dtype(at::kFloat)));
}

static at::Tensor extract(std::vector<at::Tensor> feats, at::Tensor rois, bool, int64_t,
                          int64_t ph, int64_t pw, std::string, int64_t, int64_t,
                          std::vector<double>) {
  return rois.new_ones({rois.size(0), feats[0].size(1), ph, pw});
}

static at::Tensor other(at::Tensor boxes, at::Tensor) { return boxes; }

TORCH_LIBRARY(aie, library) {
  const char* types = std::getenv("NEIGHBOUR_TYPES");
  if (types && std::string(types) == "other")
    library.def("batch_nms", other);
  else
    library.def("batch_nms", nms);
  library.def("roi_extractor", extract);
}
