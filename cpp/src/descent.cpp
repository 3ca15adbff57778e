#include "krige/descent.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

namespace krige {
namespace {

constexpr double armijo = 1e-4;
constexpr int halvings = 12;
constexpr double first_share = 0.25;  // of the reach, for a step of steepest descent

double dot(const double* a, const double* b, index_t p) {
    double sum = 0.0;
    for (index_t i = 0; i < p; ++i) sum += a[i] * b[i];
    return sum;
}

// one start: where it stands, its inverse Hessian, the move that it makes next
struct Start {
    std::vector<double> slope, move, h, at, at_slope;
    double at_value = 0.0;
    double step = 1.0;
    bool fresh = true;  // no curvature is known yet
    bool alive = true;
    bool found = false;

    void forget(index_t p) {
        std::fill(h.begin(), h.end(), 0.0);
        for (index_t i = 0; i < p; ++i) h[static_cast<std::size_t>(i * p + i)] = 1.0;
        fresh = true;
    }
};

class Descent {
  public:
    Descent(const Function& function, ConstMatrix lower, ConstMatrix upper, const Effort& effort,
            Matrix x, double* value)
        : function_(function),
          lower_(lower),
          upper_(upper),
          effort_(effort),
          x_(x),
          value_(value),
          p_(x.cols),
          starts_(static_cast<std::size_t>(x.rows)),
          trial_(static_cast<std::size_t>(x.rows * x.cols)),
          trial_slope_(trial_.size()),
          trial_value_(static_cast<std::size_t>(x.rows)) {
        const auto p = static_cast<std::size_t>(p_);
        for (index_t r = 0; r < x.rows; ++r) {
            for (index_t i = 0; i < p_; ++i)
                x(r, i) = std::min(std::max(x(r, i), lower(r, i)), upper(r, i));
            Start& start = starts_[static_cast<std::size_t>(r)];
            for (auto* v : {&start.slope, &start.move, &start.at, &start.at_slope}) v->resize(p);
            start.h.resize(p * p);
            start.forget(p_);
            std::copy(x.row(r), x.row(r) + p_, trial_.data() + r * p_);
        }
        evaluate(x.rows);
        for (index_t r = 0; r < x.rows; ++r) {
            Start& start = starts_[static_cast<std::size_t>(r)];
            value[r] = trial_value_[static_cast<std::size_t>(r)];
            std::copy_n(trial_slope_.data() + r * p_, p_, start.slope.data());
            start.alive = std::isfinite(value[r]);
        }
    }

    void run() {
        std::vector<index_t> rows;
        for (index_t iteration = 0; iteration < effort_.iterations; ++iteration) {
            rows.clear();
            for (index_t r = 0; r < x_.rows; ++r)
                if (aim(r)) rows.push_back(r);
            if (rows.empty()) return;
            search(rows);
            for (const index_t r : rows) advance(r);
        }
    }

  private:
    void evaluate(index_t count) {
        function_({trial_.data(), count, p_, p_}, trial_value_.data(),
                  {trial_slope_.data(), count, p_, p_});
    }

    // the next move; false where the start has ended
    bool aim(index_t r) {
        Start& start = starts_[static_cast<std::size_t>(r)];
        if (!start.alive) return false;
        free_.assign(static_cast<std::size_t>(p_), 0.0);
        double largest = 0.0;
        for (index_t i = 0; i < p_; ++i) {
            const auto at = static_cast<std::size_t>(i);
            const double slope = start.slope[at];
            const bool held = (x_(r, i) <= lower_(r, i) && slope > 0.0) ||
                              (x_(r, i) >= upper_(r, i) && slope < 0.0);
            if (!held) free_[at] = slope;
            largest = std::max(largest, std::fabs(free_[at]));
        }
        start.alive = largest > effort_.tolerance;
        if (!start.alive) return false;
        for (index_t i = 0; i < p_; ++i) {
            const auto at = static_cast<std::size_t>(i);
            const double full = -dot(start.h.data() + i * p_, free_.data(), p_);
            start.move[at] = free_[at] != 0.0 ? full : 0.0;
        }
        const double squared = dot(free_.data(), free_.data(), p_);
        if (dot(start.move.data(), free_.data(), p_) > -1e-12 * squared) {
            for (std::size_t i = 0; i < free_.size(); ++i) start.move[i] = -free_[i];
            start.forget(p_);
        }
        double longest = 1e-300;
        for (const double m : start.move) longest = std::max(longest, std::fabs(m));
        const double limit = start.fresh ? first_share * effort_.reach : effort_.reach;
        const double scale = std::min(1.0, limit / longest);
        for (double& m : start.move) m *= scale;
        start.step = 1.0;
        start.found = false;
        return true;
    }

    // backtracks until the Armijo condition holds
    void search(const std::vector<index_t>& rows) {
        std::vector<index_t> open = rows;
        for (int halving = 0; halving < halvings && !open.empty(); ++halving) {
            index_t k = 0;
            for (const index_t r : open) {
                const Start& start = starts_[static_cast<std::size_t>(r)];
                double* to = trial_.data() + k++ * p_;
                for (index_t i = 0; i < p_; ++i) {
                    const double moved =
                        x_(r, i) + start.step * start.move[static_cast<std::size_t>(i)];
                    to[i] = std::min(std::max(moved, lower_(r, i)), upper_(r, i));
                }
            }
            evaluate(k);
            k = 0;
            for (const index_t r : open) judge(r, k++);
            const auto found = [this](index_t r) {
                return starts_[static_cast<std::size_t>(r)].found;
            };
            open.erase(std::remove_if(open.begin(), open.end(), found), open.end());
        }
    }

    // takes trial k of start r, or shortens the step by the parabola through what is known
    void judge(index_t r, index_t k) {
        Start& start = starts_[static_cast<std::size_t>(r)];
        const double* trial = trial_.data() + k * p_;
        const double f = trial_value_[static_cast<std::size_t>(k)];
        double expected = 0.0;
        for (index_t i = 0; i < p_; ++i)
            expected += start.slope[static_cast<std::size_t>(i)] * (trial[i] - x_(r, i));
        const bool finite = std::isfinite(f);
        if (finite && f <= value_[r] + armijo * std::min(expected, 0.0)) {
            std::copy_n(trial, p_, start.at.data());
            std::copy_n(trial_slope_.data() + k * p_, p_, start.at_slope.data());
            start.at_value = f;
            start.found = true;
            return;
        }
        const double infinity = std::numeric_limits<double>::infinity();
        const double bend = finite ? 2.0 * (f - value_[r] - expected) : infinity;
        const double shrink = bend > 0.0 ? std::fabs(expected) / std::max(bend, 1e-300) : 0.5;
        start.step *= std::min(std::max(shrink, 0.1), 0.5);
    }

    // takes the step that was found; a start that found none forgets its curvature, and ends the
    // second time
    void advance(index_t r) {
        Start& start = starts_[static_cast<std::size_t>(r)];
        if (!start.found) {
            start.alive = !start.fresh;
            start.forget(p_);
            return;
        }
        const double gain = value_[r] - start.at_value;
        const double least = effort_.tolerance * effort_.tolerance;
        start.alive = gain > least * (1.0 + std::fabs(start.at_value));
        moved_.resize(static_cast<std::size_t>(p_));
        change_.resize(static_cast<std::size_t>(p_));
        for (index_t i = 0; i < p_; ++i) {
            const auto at = static_cast<std::size_t>(i);
            moved_[at] = start.at[at] - x_(r, i);
            change_[at] = start.at_slope[at] - start.slope[at];
            x_(r, i) = start.at[at];
        }
        value_[r] = start.at_value;
        start.slope = start.at_slope;
        learn(start);
    }

    // BFGS update of the inverse Hessian, where the step was convex
    void learn(Start& start) {
        const double* s = moved_.data();
        const double* y = change_.data();
        const double curvature = dot(s, y, p_);
        const double size = dot(y, y, p_);
        if (!(curvature > 1e-10 * std::sqrt(dot(s, s, p_) * size))) return;
        if (start.fresh)
            for (double& entry : start.h) entry *= curvature / size;
        start.fresh = false;
        free_.resize(static_cast<std::size_t>(p_));  // scratch: h y, then u of h += u s' + s u'
        double* u = free_.data();
        for (index_t i = 0; i < p_; ++i) u[i] = dot(start.h.data() + i * p_, y, p_);
        const double half = 0.5 * (1.0 + dot(y, u, p_) / curvature);
        for (index_t i = 0; i < p_; ++i) u[i] = (half * s[i] - u[i]) / curvature;
        for (index_t i = 0; i < p_; ++i) {
            double* row = start.h.data() + i * p_;
            for (index_t j = 0; j < p_; ++j) row[j] = row[j] + u[i] * s[j] + s[i] * u[j];
        }
    }

    const Function& function_;
    ConstMatrix lower_, upper_;
    Effort effort_;
    Matrix x_;
    double* value_;
    index_t p_;
    std::vector<Start> starts_;
    std::vector<double> trial_, trial_slope_, trial_value_;
    std::vector<double> free_, moved_, change_;
};

}  // namespace

void descend(const Function& function, ConstMatrix lower, ConstMatrix upper, const Effort& effort,
             Matrix x, double* value) {
    Descent(function, lower, upper, effort, x, value).run();
}

}  // namespace krige
