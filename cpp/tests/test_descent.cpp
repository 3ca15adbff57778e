#include <doctest/doctest.h>

#include <cmath>
#include <limits>
#include <vector>

#include "krige/descent.hpp"
#include "krige/maxima.hpp"

using namespace krige;

namespace {

void rosenbrock(ConstMatrix x, double* value, Matrix slope) {
    for (index_t i = 0; i < x.rows; ++i) {
        const double a = x(i, 0);
        const double b = x(i, 1);
        value[i] = (1 - a) * (1 - a) + 100 * (b - a * a) * (b - a * a);
        slope(i, 0) = -2 * (1 - a) - 400 * a * (b - a * a);
        slope(i, 1) = 200 * (b - a * a);
    }
}

}  // namespace

TEST_CASE("descent from several starts ends in Rosenbrock's valley") {
    std::vector<double> x{-1.5, 1.5, 0.0, 0.0, 1.8, -1.0};
    const std::vector<double> lower(6, -2.0);
    const std::vector<double> upper(6, 2.0);
    double value[3];
    descend(rosenbrock, {lower.data(), 3, 2, 2}, {upper.data(), 3, 2, 2}, {200, 1e-9, 1.0},
            {x.data(), 3, 2, 2}, value);
    for (int i = 0; i < 3; ++i) CHECK(value[i] < 1e-12);
    for (const double v : x) CHECK(v == doctest::Approx(1.0).epsilon(1e-6));
}

TEST_CASE("descent holds variables at their bounds, each start in its own box") {
    const Function bowl = [](ConstMatrix x, double* value, Matrix slope) {
        for (index_t i = 0; i < x.rows; ++i) {
            value[i] = x(i, 0) * x(i, 0) + x(i, 1) * x(i, 1);
            slope(i, 0) = 2 * x(i, 0);
            slope(i, 1) = 2 * x(i, 1);
        }
    };
    std::vector<double> x{1.0, 1.0, 1.0, 1.0};
    const std::vector<double> lower{0.2, -1.0, -1.0, 0.4};
    const std::vector<double> upper(4, 1.0);
    double value[2];
    descend(bowl, {lower.data(), 2, 2, 2}, {upper.data(), 2, 2, 2}, {60, 1e-6, 1.0},
            {x.data(), 2, 2, 2}, value);
    CHECK(x[0] == 0.2);
    CHECK(x[1] == doctest::Approx(0.0).epsilon(1e-6));
    CHECK(x[2] == doctest::Approx(0.0).epsilon(1e-6));
    CHECK(x[3] == 0.4);
}

TEST_CASE("climbing holds off a point outside a box") {
    // the top of -(x - 0.9)^2 - strength (x - 0.5)^2
    const Function hill = [](ConstMatrix x, double* value, Matrix slope) {
        for (index_t i = 0; i < x.rows; ++i) {
            const double from = x(i, 0) - 0.9;
            value[i] = -from * from;
            slope(i, 0) = -2 * from;
        }
    };
    const std::vector<double> zero(2, 0.0);
    const std::vector<double> one(2, 1.0);
    const double inside = 0.5;
    for (const double strength : {0.0, 1.0, 3.0}) {
        const Penalty penalty{zero.data(), &inside, strength};
        std::vector<double> x{0.1, 1.0};
        double value[2];
        climb(hill, &penalty, {zero.data(), 2, 1, 1}, {one.data(), 2, 1, 1}, {60, 1e-9, 1.0},
              {x.data(), 2, 1, 1}, value);
        const double top = (0.9 + strength * 0.5) / (1.0 + strength);
        for (int i = 0; i < 2; ++i) {
            CHECK(x[static_cast<std::size_t>(i)] == doctest::Approx(top).epsilon(1e-6));
            CHECK(value[i] == doctest::Approx(-0.16 * strength / (1.0 + strength)).epsilon(1e-6));
        }
    }
}

TEST_CASE("descent does not step where the value is infinite, and leaves a start there alone") {
    const Function wall = [](ConstMatrix x, double* value, Matrix slope) {
        for (index_t i = 0; i < x.rows; ++i) {
            const double from = x(i, 0) - 0.6;
            value[i] = x(i, 0) > 0.5 ? from * from : std::numeric_limits<double>::infinity();
            slope(i, 0) = 2 * from;
        }
    };
    std::vector<double> x{0.9, 0.1};
    const std::vector<double> lower(2, 0.0);
    const std::vector<double> upper(2, 1.0);
    double value[2];
    descend(wall, {lower.data(), 2, 1, 1}, {upper.data(), 2, 1, 1}, {60, 1e-6, 1.0},
            {x.data(), 2, 1, 1}, value);
    CHECK(x[0] == doctest::Approx(0.6).epsilon(1e-6));
    CHECK(x[1] == 0.1);
    CHECK(std::isinf(value[1]));
}
