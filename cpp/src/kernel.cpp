#include "krige/kernel.hpp"

#include <algorithm>
#include <cmath>

#include "krige/formulas.hpp"
#include "krige/parallel.hpp"
#include "levels/pairs.hpp"

namespace krige {

namespace {

constexpr double coordinate_limit = 1e150;  // keeps squared distances finite
constexpr double exponent_limit = 350;      // keeps products of two exponentials finite
constexpr index_t row_band = 128;           // rows of a triangle that one thread takes at a time
constexpr index_t mirror_tile = 8;          // rows and columns that are transposed at a time

template <Family family>
void radial_of(double u, double variance, double& value, double& slope) {
    radial<family>(u, variance, value, slope);
}

using Radial = void (*)(double, double, double&, double&);

Radial radial_for(Family family) {
    switch (family) {
        case Family::rbf: return radial_of<Family::rbf>;
        case Family::matern12: return radial_of<Family::matern12>;
        case Family::matern32: return radial_of<Family::matern32>;
        case Family::matern52:
        case Family::additive52: break;
    }
    return radial_of<Family::matern52>;
}

// columns begin to end above the diagonal := rows begin to end below it
void mirror(Matrix out, index_t begin, index_t end) {
    for (index_t top = 0; top < end; top += mirror_tile) {
        for (index_t left = begin; left < end; left += mirror_tile) {
            for (index_t i = top; i < std::min(top + mirror_tile, end); ++i) {
                const index_t last = std::min(left + mirror_tile, end);
                for (index_t c = std::max(left, i + 1); c < last; ++c) out(i, c) = out(c, i);
            }
        }
    }
}

// scaled difference at one place; in a categorical one its square is what counts
double difference(const Metric& metric, const Points& a, index_t i, const Points& b, index_t c,
                  index_t place) {
    const double delta = a.place(place)[i] - b.place(place)[c];
    if (place < metric.numeric) return delta;
    return delta == 0.0 ? 0.0 : metric.inverse[static_cast<std::size_t>(place)];
}

// The kernel of two points, and by place the slope of radial() or term().
class Pair {
  public:
    explicit Pair(const Metric& metric)
        : metric_(metric), radial_(radial_for(metric.family)), slopes_(metric.order.size()) {}

    void set(const Points& a, index_t i, const Points& b, index_t c) {
        if (metric_.family == Family::additive52) {
            set_terms(a, i, b, c);
            return;
        }
        double slope;
        radial_(squared_distance(a, i, b, c, 0), metric_.variance, value_, slope);
        std::fill(slopes_.begin(), slopes_.end(), slope);
    }
    double value() const { return value_; }
    double slope(index_t place) const { return slopes_[static_cast<std::size_t>(place)]; }

  private:
    double squared_distance(const Points& a, index_t i, const Points& b, index_t c,
                            index_t first) const {
        double u = 0.0;
        for (index_t place = first; place < metric_.d(); ++place) {
            const double delta = difference(metric_, a, i, b, c, place);
            u += delta * delta;
        }
        return u;
    }

    void set_terms(const Points& a, index_t i, const Points& b, index_t c) {
        const index_t numeric = metric_.numeric;
        double shared;
        double fall;
        radial_(squared_distance(a, i, b, c, numeric),
                metric_.variance / static_cast<double>(numeric), shared, fall);
        double sum = 0.0;
        for (index_t place = 0; place < numeric; ++place) {
            const double s = std::abs(difference(metric_, a, i, b, c, place));
            double one;
            double slope;
            term(s, exp_minus(s), one, slope);
            sum += one;
            slopes_[static_cast<std::size_t>(place)] = shared * slope;
        }
        std::fill(slopes_.begin() + numeric, slopes_.end(), fall * sum);
        value_ = shared * sum;
    }

    const Metric& metric_;
    Radial radial_;
    double value_ = 0.0;
    std::vector<double> slopes_;
};

}  // namespace

Metric::Metric(const Hyper& hyper) : family(hyper.family), variance(hyper.variance) {
    const auto d = static_cast<std::size_t>(hyper.d);
    order.reserve(d);
    for (const bool categorical : {false, true}) {
        for (index_t j = 0; j < hyper.d; ++j) {
            if ((hyper.categorical[j] != 0) == categorical) order.push_back(j);
        }
        if (!categorical) numeric = static_cast<index_t>(order.size());
    }
    if (family == Family::additive52 && numeric < 2) family = Family::matern52;
    const double scale = std::sqrt(distance_scale(family));
    inverse.reserve(d);
    weight.reserve(d);
    for (const index_t j : order) {
        inverse.push_back(std::min(scale / hyper.lengthscales[j], coordinate_limit));
        weight.push_back(inverse.back() * inverse.back());
    }
}

void Points::allocate(index_t count_, index_t places_) {
    count = count_;
    places = places_;
    stride = (count + 15) / 16 * 16;
    values = Buffer(places * stride);
    for (index_t j = 0; j < places; ++j) std::fill(place(j) + count, place(j) + stride, 0.0);
}

Points::Points(ConstMatrix x, const Metric& metric) {
    const bool additive = metric.family == Family::additive52;
    allocate(x.rows, metric.d() + (additive ? 2 * metric.numeric : 0));
    double largest = 0.0;
    for (index_t j = 0; j < metric.d(); ++j) {
        double* out = place(j);
        const double* in = x.data + metric.order[static_cast<std::size_t>(j)];
        if (j < metric.numeric) {
            const double inverse = metric.inverse[static_cast<std::size_t>(j)];
            for (index_t i = 0; i < count; ++i) {
                out[i] =
                    std::clamp(in[i * x.stride] * inverse, -coordinate_limit, coordinate_limit);
                largest = std::max(largest, std::abs(out[i]));
            }
        } else {
            for (index_t i = 0; i < count; ++i) out[i] = in[i * x.stride];
        }
    }
    if (additive && largest > exponent_limit) places = metric.d();
    if (places == metric.d()) return;
    for (index_t j = 0; j < metric.numeric; ++j) {
        double* up = place(metric.d() + j);
        double* down = place(metric.d() + metric.numeric + j);
        for (index_t i = 0; i < count; ++i) {
            up[i] = std::exp(place(j)[i]);
            down[i] = 1.0 / up[i];
        }
    }
}

Points::Points(const Points& a, const Points& b) {
    allocate(a.count + b.count, std::min(a.places, b.places));
    for (index_t j = 0; j < places; ++j) {
        std::copy(a.place(j), a.place(j) + a.count, place(j));
        std::copy(b.place(j), b.place(j) + b.count, place(j) + a.count);
    }
}

void kernel_panel(const Points& a, const Points& b, const Metric& metric, const Panel& panel) {
    KRIGE_CALL(pair_panel)(view(a), view(b), view(metric), panel);
}

void kernel_lower(const Points& x, const Metric& metric, Matrix out) {
    const index_t bands = (x.count + row_band - 1) / row_band;
    const auto fill_band = [&](index_t band) {
        const index_t begin = band * row_band;
        KRIGE_CALL(pair_lower)(view(x), view(metric), begin, std::min(begin + row_band, x.count),
                               out);
    };
    parallel_for(bands, fill_band);
}

void kernel_symmetric(ConstMatrix x, const Hyper& hyper, Matrix out) {
    const Metric metric(hyper);
    const Points points(x, metric);
    // a band is mirrored while it is in the cache; no other band touches what it writes
    const auto fill_band = [&](index_t band) {
        const index_t begin = band * row_band;
        const index_t end = std::min(begin + row_band, points.count);
        KRIGE_CALL(pair_lower)(view(points), view(metric), begin, end, out);
        mirror(out, begin, end);
    };
    parallel_for((points.count + row_band - 1) / row_band, fill_band);
}

void kernel_matrix(ConstMatrix a, ConstMatrix b, const Hyper& hyper, Matrix out) {
    const Metric metric(hyper);
    Panel panel;
    panel.value = out;
    kernel_panel(Points(a, metric), Points(b, metric), metric, panel);
}

void kernel_by_hyper(ConstMatrix a, ConstMatrix b, const Hyper& hyper, double* out) {
    const Metric metric(hyper);
    const Points pa(a, metric);
    const Points pb(b, metric);
    Pair pair(metric);
    const index_t n = a.rows;
    const index_t m = b.rows;
    for (index_t i = 0; i < n; ++i) {
        for (index_t c = 0; c < m; ++c) {
            pair.set(pa, i, pb, c);
            for (index_t place = 0; place < metric.d(); ++place) {
                const double slope = pair.slope(place);
                const double delta = difference(metric, pa, i, pb, c, place);
                const index_t j = metric.order[static_cast<std::size_t>(place)];
                out[(j * n + i) * m + c] = slope == 0.0 ? 0.0 : slope * delta * delta;
            }
            out[(metric.d() * n + i) * m + c] = pair.value();
        }
    }
}

void kernel_by_query(ConstMatrix a, ConstMatrix b, const Hyper& hyper, double* out) {
    const Metric metric(hyper);
    const Points pa(a, metric);
    const Points pb(b, metric);
    Pair pair(metric);
    const index_t n = a.rows;
    const index_t m = b.rows;
    for (index_t i = 0; i < n; ++i) {
        for (index_t c = 0; c < m; ++c) {
            pair.set(pa, i, pb, c);
            for (index_t place = 0; place < metric.d(); ++place) {
                const double slope = pair.slope(place);
                const auto at = static_cast<std::size_t>(place);
                const double delta =
                    place < metric.numeric ? difference(metric, pa, i, pb, c, place) : 0.0;
                out[(metric.order[at] * n + i) * m + c] =
                    slope == 0.0 ? 0.0 : -slope * delta * metric.inverse[at];
            }
        }
    }
}

void contract_hyper(const Points& x, const Metric& metric, ConstMatrix inverse, const double* alpha,
                    double* by_place) {
    const index_t bands = (x.count + row_band - 1) / row_band;
    const index_t d = metric.d();
    const index_t sums = d * tile_cols;
    Buffer partial(bands * sums);
    std::fill(partial.data(), partial.data() + bands * sums, 0.0);
    const auto sum_band = [&](index_t band) {
        const index_t begin = band * row_band;
        const index_t end = std::min(begin + row_band, x.count);
        KRIGE_CALL(pair_traces)(view(x), view(metric), inverse, alpha, begin, end,
                                partial.data() + band * sums);
    };
    parallel_for(bands, sum_band);
    std::fill(by_place, by_place + d, 0.0);
    for (index_t band = 0; band < bands; ++band) {
        for (index_t k = 0; k < sums; ++k) by_place[k / tile_cols] += partial[band * sums + k];
    }
}

}  // namespace krige
