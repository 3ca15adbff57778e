// Kernel matrices. Points are kept as one array per dimension, divided by the lengthscale, so that
// a squared distance is a sum of squared differences over contiguous memory.
#pragma once

#include <vector>

#include "krige/buffer.hpp"
#include "krige/hyper.hpp"
#include "krige/view.hpp"

namespace krige {

// a Hyper made ready: owns what it needs; numeric dimensions come before categorical ones, and
// additive52 of fewer than two of them is matern52
struct Metric {
    Metric() = default;
    explicit Metric(const Hyper& hyper);

    index_t d() const noexcept { return static_cast<index_t>(order.size()); }

    Family family = Family::matern52;
    double variance = 1.0;
    index_t numeric = 0;
    std::vector<index_t> order;   // (d) the dimension at each place
    std::vector<double> inverse;  // (d) sqrt(distance_scale) / lengthscale, by place
    std::vector<double> weight;   // (d) its square, by place
};

// rows of x (count, d), by place: numeric coordinates times Metric::inverse, category codes as
// they are. For additive52 the exponentials of numeric places follow, then those of their
// negatives: exp(-|a - b|) of two points is the smaller of two products. They are left out of all
// rows where one coordinate is too large for them; results then differ by rounding.
struct Points {
    Points() = default;
    Points(ConstMatrix x, const Metric& metric);
    // those of a, then those of b
    Points(const Points& a, const Points& b);

    double* place(index_t j) noexcept { return values.data() + j * stride; }
    const double* place(index_t j) const noexcept { return values.data() + j * stride; }

    index_t count = 0;
    index_t stride = 0;  // a multiple of 16; the padding is zero
    index_t places = 0;  // d, or with exponentials d + 2 Metric::numeric
    Buffer values;       // (places, stride)

  private:
    void allocate(index_t count_, index_t places_);
};

// What to compute for rows of `a` and columns of `b`; a null pointer leaves the mean out.
struct Panel {
    Matrix value{};                 // (n, m) kernel
    const double* alpha = nullptr;  // (n)
    double* mean = nullptr;         // (m rounded up to 16) sum over rows of alpha * kernel
};
void kernel_panel(const Points& a, const Points& b, const Metric& metric, const Panel& panel);

// lower triangle of out (n, n); entries above the diagonal are left unspecified
void kernel_lower(const Points& x, const Metric& metric, Matrix out);

// out (n, n) of points with themselves, from its lower triangle
void kernel_symmetric(ConstMatrix x, const Hyper& hyper, Matrix out);

// what a kernel matrix is differentiated by
enum class Derivative { none, hyper, query };

// out (n, m)
void kernel_matrix(ConstMatrix a, ConstMatrix b, const Hyper& hyper, Matrix out);

// out (p, n, m), contiguous: derivatives with respect to the log lengthscales, then log variance
void kernel_by_hyper(ConstMatrix a, ConstMatrix b, const Hyper& hyper, double* out);

// out (d, n, m), contiguous: derivatives with respect to the coordinates of the rows of a
void kernel_by_query(ConstMatrix a, ConstMatrix b, const Hyper& hyper, double* out);

// sum over i > j of weight_ij slope_ij delta^2 w, per place, where weight = alpha alpha^T -
// inverse (lower triangle)
void contract_hyper(const Points& x, const Metric& metric, ConstMatrix inverse, const double* alpha,
                    double* by_place);

}  // namespace krige
