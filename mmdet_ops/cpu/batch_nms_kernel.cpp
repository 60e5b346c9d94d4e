// aie::batch_nms on the CPU: one walk over the candidates of an image, best first, that stops at
// the max_total_size-th survivor. A candidate meets only the survivors of its own class, so the
// walk gives what class-wise NMS followed by an overall top-k gives, and looks at far fewer boxes.
#include <algorithm>
#include <type_traits>
#include <vector>

#include "batch_nms.h"
#include "candidates.h"
#include "schema.h"
#include "survivors.h"

namespace mmdet_ops {
namespace {

template <class T>
using Arithmetic = std::conditional_t<std::is_same<T, double>::value, double, float>;

// Where one image's results go; rows that are not added stay zero.
template <class T>
struct Result {
  T* boxes;
  T* scores;
  int64_t* labels;
  int64_t size, room;

  void add(const T* box, T score, uint32_t label) {
    std::copy(box, box + 4, boxes + 4 * size);
    scores[size] = score;
    labels[size++] = label;
  }
};

template <class T>
class Image {
 public:
  Image(const T* boxes, const T* scores, int64_t rows, int64_t classes, bool shared)
      : boxes_(boxes), scores_(scores), rows_(rows), classes_(classes), shared_(shared) {}

  void run(const NmsOptions& options, Candidates& candidates, Result<T>& out) const {
    const T floor = round_down<T>(options.score_threshold);
    collect(floor, candidates);
    if (candidates.size == 0) return;
    candidates.order_by(classes_, [](Candidate c) { return c.label; });
    const int best = best_rank(candidates), ranks = best - rank_of(floor) + 1;
    const auto ends =
        candidates.order_by(ranks, [&](Candidate c) { return best - rank_of(score(c)); });
    walk(options, candidates.list.get(), ends, out);
  }

 private:
  T score(Candidate c) const { return scores_[c.row * classes_ + c.label]; }
  const T* box(Candidate c) const {
    return boxes_ + 4 * (shared_ ? c.row : c.row * classes_ + c.label);
  }

  void collect(T floor, Candidates& candidates) const {
    Candidate* list = candidates.list.get();
    std::size_t n = 0;
    for (int64_t row = 0; row < rows_; ++row) {
      const T* s = scores_ + row * classes_;
      int any = 0;
      for (int64_t label = 0; label < classes_; ++label) any |= above(s[label], floor);
      if (!any) continue;
      for (int64_t label = 0; label < classes_; ++label) {
        list[n] = {static_cast<uint32_t>(row), static_cast<uint32_t>(label)};
        n += above(s[label], floor);
      }
    }
    candidates.size = n;
  }

  int best_rank(const Candidates& candidates) const {
    int best = 0;
    for (std::size_t i = 0; i < candidates.size; ++i)
      best = std::max(best, rank_of(score(candidates.list[i])));
    return best;
  }

  void walk(const NmsOptions& options, Candidate* list, const std::vector<uint32_t>& ends,
            Result<T>& out) const {
    using A = Arithmetic<T>;
    const A iou_floor = round_down<A>(options.iou_threshold);
    std::vector<Survivors<A>> kept(classes_);
    uint32_t begin = 0;
    for (const uint32_t end : ends) {
      if (!std::is_same<T, c10::Half>::value)  // of other types a rank holds many scores
        std::stable_sort(list + begin, list + end,
                         [&](Candidate a, Candidate b) { return score(a) > score(b); });
      for (; begin < end; ++begin) {
        const Candidate c = list[begin];
        Survivors<A>& rivals = kept[c.label];
        if (rivals.size() == options.max_size_per_class) continue;
        const auto b = load<A>(box(c));
        if (has_nan(b) || rivals.suppress(b, iou_floor)) continue;
        rivals.add(b);
        out.add(box(c), score(c), c.label);
        if (out.size == out.room) return;
      }
    }
  }

  const T* boxes_;
  const T* scores_;
  const int64_t rows_, classes_;
  const bool shared_;
};

template <class T>
void every_image(const at::Tensor& boxes, const at::Tensor& scores, const NmsOptions& options,
                 NmsOutputs& out) {
  const int64_t rows = scores.size(1), classes = scores.size(2), room = options.max_total_size;
  const bool shared = boxes.size(2) == 1;
  Candidates candidates(rows * classes);
  for (int64_t i = 0; i < scores.size(0); ++i) {
    Result<T> result{std::get<0>(out).data_ptr<T>() + i * room * 4,
                     std::get<1>(out).data_ptr<T>() + i * room,
                     std::get<2>(out).data_ptr<int64_t>() + i * room, 0, room};
    Image<T>(boxes.data_ptr<T>() + i * rows * (shared ? 1 : classes) * 4,
             scores.data_ptr<T>() + i * rows * classes, rows, classes, shared)
        .run(options, candidates, result);
    std::get<3>(out).data_ptr<float>()[i] = static_cast<float>(result.size);
  }
}

void fill(const at::Tensor& boxes, const at::Tensor& scores, const NmsOptions& options,
          NmsOutputs& out) {
  std::get<0>(out).zero_();
  std::get<1>(out).zero_();
  std::get<2>(out).zero_();
  const at::Tensor b = boxes.contiguous(), s = scores.contiguous();
  switch (scores.scalar_type()) {
    case at::kHalf: return every_image<c10::Half>(b, s, options, out);
    case at::kFloat: return every_image<float>(b, s, options, out);
    default: return every_image<double>(b, s, options, out);
  }
}

}  // namespace

TORCH_LIBRARY_IMPL(aie, CPU, library) {
  implement(library, "batch_nms", torch::CppFunction::makeFromBoxedFunction<&batch_nms<fill>>());
}

}  // namespace mmdet_ops
