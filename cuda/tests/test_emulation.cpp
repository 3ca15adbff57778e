// The emulation finds what it is for: each kernel here has one fault.
#include "device_problem.hpp"
#include "krige_cuda/execution.cuh"

using namespace krige_cuda;
using namespace krige_cuda::tests;

namespace {

constexpr int threads = 64;

// out := the values in reverse, through shared memory
__global__ void reverse_kernel(const double* in, double* out, bool wait) {
    KRIGE_SHARED(double, shared, threads);
    const auto t = static_cast<int>(threadIdx.x);
    shared[t] = in[t];
    if (wait) __syncthreads();
    out[t] = shared[threads - 1 - t];
}

__global__ void divergent_kernel() {
    if (threadIdx.x < threads / 2) __syncthreads();
}

__global__ void two_barriers_kernel() {
    if (threadIdx.x < threads / 2)
        __syncthreads();
    else
        __syncthreads();
}

__global__ void beyond_shared_kernel() {
    KRIGE_SHARED(double, shared, threads);
    shared[threadIdx.x + 1] = 1.0;
}

__global__ void beyond_global_kernel(double* out, int n) {
    const auto t = static_cast<int>(threadIdx.x);
    if (t <= n) out[t] = 1.0;
}

// out := pairs of the values from the end on, their second zero in every other pair
__global__ void copy_kernel(const double* in, double* out, bool wait, int shift) {
    KRIGE_SHARED(double, shared, 2 * threads);
    const auto t = static_cast<int>(threadIdx.x);
    copy_async(shared + 2 * t, in + 2 * t + shift, 1 + t % 2, t < 32);
    end_copies();
    if (wait) wait_for_copies<0>();
    __syncthreads();
    out[2 * t] = shared[2 * (threads - 1 - t)];
    out[2 * t + 1] = shared[2 * (threads - 1 - t) + 1];
}

__global__ void sums_kernel(double* eights, double* halves) {
    const auto lane = static_cast<int>(threadIdx.x);
    double values[8];
    double more[32];
    for (int v = 0; v < 8; ++v) values[v] = v + 0.01 * lane;
    for (int v = 0; v < 32; ++v) more[v] = v + 0.01 * lane;
    share_sums<8, 32>(values, lane);
    share_sums<32, 16>(more, lane);
    eights[lane] = values[0];
    halves[2 * lane] = more[0];
    halves[2 * lane + 1] = more[1];
}

__global__ void fragments_kernel(const double* a, const double* b, double* c) {
    const auto lane = static_cast<int>(threadIdx.x);
    const int g = lane / 4;
    const int t = lane % 4;
    double left[4];
    double right[2];
    double sum[4] = {};
    for (int v = 0; v < 4; ++v) left[v] = a[(g + v % 2 * 8) * 8 + t + v / 2 * 4];
    for (int v = 0; v < 2; ++v) right[v] = b[(t + 4 * v) * 8 + g];
    multiply_fragments(sum, left, right);
    for (int v = 0; v < 4; ++v) c[(g + v / 2 * 8) * 8 + 2 * t + v % 2] = sum[v];
}

Doubles numbers(int count) {
    std::mt19937_64 random(1);
    return krige::tests::uniform(random, count, -1.0, 1.0);
}

}  // namespace

TEST_CASE("a missing barrier shows in some order of the threads") {
    const Array<double> in = Array<double>::of(numbers(threads));
    for (const bool wait : {true, false}) {
        int wrong = 0;
        for (const auto order : {krige_emulation::Order::forward, krige_emulation::Order::backward,
                                 krige_emulation::Order::shuffled}) {
            krige_emulation::set_order(order);
            Array<double> out(threads);
            launch(nullptr, 1, threads, reverse_kernel, in.data(), out.data(), wait);
            for (int t = 0; t < threads; ++t) wrong += !(out[t] == in[threads - 1 - t]);
        }
        CHECK((wrong > 0) == !wait);
    }
    krige_emulation::set_order(krige_emulation::Order::forward);
    CHECK(krige_emulation::take_fault() == "");
}

TEST_CASE("a barrier that some threads do not reach") {
    launch(nullptr, 1, threads, divergent_kernel);
    CHECK(krige_emulation::take_fault().find("that some threads did not reach") !=
          std::string::npos);
    launch(nullptr, 1, threads, two_barriers_kernel);
    CHECK(krige_emulation::take_fault().find("that some threads did not reach") !=
          std::string::npos);
    CHECK(krige_emulation::take_fault() == "");
}

TEST_CASE("a write beyond an array") {
    launch(nullptr, 1, threads, beyond_shared_kernel);
    CHECK(krige_emulation::take_fault() == "a write beyond shared memory");
    Array<double> out(10);
    launch(nullptr, 1, threads, beyond_global_kernel, out.data(), 9);
    CHECK(out.intact());
    launch(nullptr, 1, threads, beyond_global_kernel, out.data(), 10);
    CHECK_FALSE(out.intact());
}

TEST_CASE("a copy that is not waited for, or not aligned") {
    const Array<double> in = Array<double>::of(numbers(2 * threads + 1));
    for (const bool wait : {true, false}) {
        Array<double> out(2 * threads);
        launch(nullptr, 1, threads, copy_kernel, in.data(), out.data(), wait, 0);
        for (int t = 0; t < threads; ++t) {
            const int from = threads - 1 - t;
            if (wait) {
                CHECK(out[2 * t] == in[2 * from]);
                CHECK(out[2 * t + 1] == (from % 2 == 1 ? in[2 * from + 1] : 0.0));
            } else {
                CHECK(std::isnan(out[2 * t]));
            }
        }
    }
    CHECK(krige_emulation::take_fault() == "");
    Array<double> out(2 * threads);
    launch(nullptr, 1, threads, copy_kernel, in.data(), out.data(), true, 1);
    CHECK(krige_emulation::take_fault() == "a copy from or to an address that is not aligned");
}

TEST_CASE("a launch that the device would refuse") {
    launch(nullptr, dim3(1, 65536), threads, divergent_kernel);
    CHECK(krige_emulation::take_fault() == "a launch with an impossible grid or block");
    launch(nullptr, 1, 1025, divergent_kernel);
    CHECK(krige_emulation::take_fault() == "a launch with an impossible grid or block");
}

TEST_CASE("sums over lanes") {
    Array<double> eights(32);
    Array<double> halves(64);
    launch(nullptr, 1, 32, sums_kernel, eights.data(), halves.data());
    for (int lane = 0; lane < 32; ++lane) {
        CHECK(eights[lane] == doctest::Approx(32.0 * (lane / 4) + 0.01 * 496));
        const double others = lane < 16 ? 120.0 : 120.0 + 256.0;
        for (int v = 0; v < 2; ++v)
            CHECK(halves[2 * lane + v] ==
                  doctest::Approx(16.0 * (lane % 16 * 2 + v) + 0.01 * others));
    }
}

TEST_CASE("products of fragments") {
    const Array<double> a = Array<double>::of(numbers(128));
    const Array<double> b = Array<double>::of(numbers(64));
    Array<double> c(128);
    launch(nullptr, 1, 32, fragments_kernel, a.data(), b.data(), c.data());
    for (int i = 0; i < 16; ++i)
        for (int j = 0; j < 8; ++j) {
            double sum = 0.0;
            for (int k = 0; k < 8; ++k) sum += a[i * 8 + k] * b[k * 8 + j];
            CHECK(c[i * 8 + j] == doctest::Approx(sum));
        }
}
