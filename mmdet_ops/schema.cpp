// The schemas of all operators, and how this library lives beside another one that has registered
// the namespace `aie` before it: what is missing is defined, what is there is only given kernels.
#include "schema.h"

#include <cstdio>
#include <exception>
#include <string>
#include <vector>

#include <ATen/core/dispatch/Dispatcher.h>

#define MMDET_OPS_EXPORT extern "C" __attribute__((visibility("default")))

// Readable in the file itself, so that a library for another torch is recognised before loading.
MMDET_OPS_EXPORT const char mmdet_ops_marker[];
const char mmdet_ops_marker[] =
    "mmdet_ops built for torch " MMDET_OPS_TORCH_VERSION " from sources " MMDET_OPS_SOURCES;

namespace mmdet_ops {
namespace {

const std::vector<const char*>& schemas() {
  static const std::vector<const char*> all = {
      "batch_nms(Tensor bbox, Tensor scores, float score_threshold, float iou_threshold, "
      "int max_size_per_class, int max_total_size) -> (Tensor, Tensor, Tensor, Tensor)",

      "roi_extractor(Tensor[] feats, Tensor rois, bool aligned, int finest_scale, int ph, int pw, "
      "str pool_mode, int roi_scale_factor, int sample_num, float[] spatial_scale) -> Tensor",
  };
  return all;
}

std::string& load_error() {
  static std::string first;
  return first;
}

void remember(const std::string& problem) {
  std::fprintf(stderr, "mmdet_ops: %s\n", problem.c_str());
  if (load_error().empty()) load_error() = problem;
}

template <class Registration>
void without_throwing(const Registration& registration) noexcept {
  try {
    registration();
  } catch (const c10::Error& error) {
    remember(error.what_without_backtrace());
  } catch (const std::exception& error) {
    remember(error.what());
  }
}

auto find(const std::string& op) {
  return c10::Dispatcher::singleton().findSchema({"aie::" + op, ""});
}

bool same_types(const std::vector<c10::Argument>& a, const std::vector<c10::Argument>& b) {
  if (a.size() != b.size()) return false;
  for (std::size_t i = 0; i < a.size(); ++i)
    if (!(*a[i].type() == *b[i].type())) return false;
  return true;
}

c10::FunctionSchema ours(const std::string& op) {
  for (const char* text : schemas())
    if (std::string(text).compare(0, op.size() + 1, op + "(") == 0) return torch::schema(text);
  TORCH_CHECK(false, "schema.cpp lists no operator ", op);
}

// Argument names may differ: exported models call by position.
void check_compatible(const std::string& op) {
  const auto existing = find(op);
  if (!existing) return;
  const auto wanted = ours(op);
  const auto& found = existing->schema();
  TORCH_CHECK(same_types(found.arguments(), wanted.arguments()) &&
                  same_types(found.returns(), wanted.returns()),
              "aie::", op, " is already registered by another library as `", found,
              "`, which these kernels cannot serve (expected `aie::", wanted,
              "`): load one of the two libraries, not both");
}

}  // namespace

void implement(torch::Library& library, const char* op, torch::CppFunction kernel) noexcept {
  without_throwing([&] {
    check_compatible(op);
    library.impl(op, std::move(kernel));
  });
}

TORCH_LIBRARY_FRAGMENT(aie, library) {
  without_throwing([&] {
    for (const std::string text : schemas())
      if (!find(text.substr(0, text.find('(')))) library.def(text.c_str());
  });
}

// torch 1.10 files Meta tensors under AutogradOther, where it refuses to choose between our kernel
// and one that another library has registered for every backend: fall through to ours.
TORCH_LIBRARY_IMPL(aie, AutogradOther, library) {
  for (const char* op : {"batch_nms", "roi_extractor"})
    implement(library, op, torch::CppFunction::makeFallthrough());
}

}  // namespace mmdet_ops

// Empty when every kernel is in place; otherwise the first problem, one sentence.
MMDET_OPS_EXPORT const char* mmdet_ops_load_error() { return mmdet_ops::load_error().c_str(); }
