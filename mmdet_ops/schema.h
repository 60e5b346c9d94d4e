// What every kernel file needs to register itself.
#pragma once

#include <torch/library.h>

namespace mmdet_ops {

// Registers `kernel` for `op` under the dispatch key of `library`, unless the operator exists with
// other types. Never throws: an exception in a static initialiser would end the process. What went
// wrong is kept for mmdet_ops_load_error().
//
// Kernels are registered boxed: torch compares the C++ signatures of unboxed ones, and another
// library may have chosen `Tensor` where we would write `const Tensor&` for the same schema.
void implement(torch::Library& library, const char* op, torch::CppFunction kernel) noexcept;

}  // namespace mmdet_ops
