// What the verbs do on the host's side: memory that the device still reads, handles of libraries
// that could not be set up, and sizes that a library cannot count.
#include <doctest/doctest.h>

#include <stdexcept>
#include <string>

#include "../../cpp/tests/problem.hpp"
#include "krige_cuda/fitted.hpp"
#include "krige_cuda/likelihoods.hpp"
#include "krige_cuda/matrices.hpp"

using namespace krige_cuda;
using krige::tests::Doubles;
using krige::tests::Problem;
using krige_emulation::copies_to_come;
using krige_emulation::machine;

namespace {

constexpr krige::Acquisition acquisition{krige::AcquisitionKind::ei, 0.0, 1.0, 0.0};

// every verb that copies from memory of the host
void verbs(const Problem& p) {
    const auto noise = p.noise.data();
    Fitted fitted(0, p.points(), p.y.data(), noise, p.hyper(), 0.0);
    Doubles value(static_cast<std::size_t>(p.n + p.m));
    Doubles by_noise(value.size());
    Doubles gradient(static_cast<std::size_t>((p.n + p.m) * (p.d + 1)));
    fitted.predict(p.queries(), value.data(), nullptr);
    fitted.score(p.queries(), acquisition, value.data(), {gradient.data(), p.m, p.d, p.d});
    const Fitted more(fitted, p.queries(), value.data(), noise);
    Likelihoods(0, p.points(), p.y.data())
        .evaluate({krige::Metric(p.hyper())}, noise,
                  {value.data(), gradient.data(), by_noise.data()});
    Doubles matrix(static_cast<std::size_t>(p.n * p.m));
    const ConstMatrix queries = p.queries();
    kernel_matrix(0, p.points(), &queries, p.hyper(), Derivative::none, matrix.data());
}

std::string told(const Problem& p) {
    try {
        verbs(p);
    } catch (const Unavailable& error) {
        CHECK(copies_to_come() == 0);  // what they read from may go with the error
        return error.what();
    }
    return "";
}

}  // namespace

TEST_CASE("hyperparameters stay until the device has read them") {
    const Problem p(1, 6, 3, 5);
    const Stream stream(0);
    {
        const DeviceMetric metric(krige::Metric(p.hyper()), stream);
    }
    CHECK(copies_to_come() == 0);
    const ConstMatrix none{p.candidates.data(), 0, p.d, p.d};
    kernel_matrix(0, p.points(), &none, p.hyper(), Derivative::none, nullptr);
    CHECK(copies_to_come() == 0);
    kernel_matrix(0, none, nullptr, p.hyper(), Derivative::hyper, nullptr);
    CHECK(copies_to_come() == 0);
}

TEST_CASE("no copy is left behind by a verb that fails, wherever it does") {
    const Problem p(2, 6, 3, 5);
    const std::size_t whole = machine().memory.load();
    machine().most_in_use = machine().in_use.load();
    CHECK(told(p) == "");
    const std::size_t kept = machine().in_use.load();
    const std::size_t most = machine().most_in_use.load();
    REQUIRE(most > kept);
    int failed = 0;
    for (std::size_t bytes = kept; bytes < most; bytes += 64) {
        machine().memory = bytes;
        failed += !told(p).empty();
        CHECK(machine().in_use.load() == kept);
    }
    machine().memory = whole;
    CHECK(failed > 0);
    for (long calls = 0; calls < 80; ++calls) {
        machine().calls_until_lost = calls;
        told(p);
        machine().calls_until_lost = -1;
        CHECK(machine().in_use.load() == kept);
    }
    CHECK(told(p) == "");
}

TEST_CASE("handles that could not be set up are used again") {
    machine().devices = 2;
    {
        const Stream stream(1);  // of which nobody has made any
        const long before = machine().handles.load();
        for (int turn = 0; turn < 3; ++turn) {
            for (long calls = 0; calls < 3; ++calls) {
                machine().set_ups_until_lost = calls;
                CHECK_THROWS_AS(Handles{stream}, Unavailable);
            }
        }
        machine().set_ups_until_lost = -1;
        const Handles first(stream);
        CHECK(machine().handles.load() == before + 2);
        CHECK(first.blas() != nullptr);
        CHECK(first.solver() != nullptr);
        const Handles second(stream);
        CHECK(machine().handles.load() == before + 4);
    }
    machine().devices = 1;
}

TEST_CASE("a matrix that cuSOLVER cannot count is refused, by its rows") {
    const Stream stream(0);
    const Session session(stream);
    const auto refused = [&](int n, index_t stride) -> std::string {
        try {
            factor_and_wait(session, {nullptr, stride}, n);
        } catch (const std::length_error& error) {
            CHECK_THROWS_AS(invert_from_factor(session, {nullptr, stride}, n), std::length_error);
            return error.what();
        }
        return "";
    };
    const std::string text = refused(46337, padded(46337));
    CHECK(text.find("such as 46336 rows") != std::string::npos);
    CHECK(text.find("got 46337 rows of 46352;") != std::string::npos);
    CHECK(refused(2000, 2'000'000).find("got 2000 rows") != std::string::npos);
}
