// Linear algebra of the libraries in our terms: matrices are row-major, L is a lower triangle, and
// a panel (m, n) holds one right side in each of its rows. A library sees the transposes.
#pragma once

#include "krige_cuda/launch.hpp"
#include "krige_cuda/libraries.hpp"

namespace krige_cuda {

// What a verb needs while it runs: its stream, and the libraries bound to it. The stream is done
// with what the caller has given when it ends.
class Session {
  public:
    explicit Session(const Stream& stream) : stream_(stream), handles_(stream), use_(stream) {}

    const Stream& stream() const noexcept { return stream_; }
    cudaStream_t id() const noexcept { return stream_.get(); }
    BlasHandle blas() const noexcept { return handles_.blas(); }
    SolverHandle solver() const noexcept { return handles_.solver(); }

  private:
    const Stream& stream_;
    Handles handles_;
    HostUse use_;
};

// a (n, n) := L with a = L L^T, lower triangle; returns -1, or the index of the first pivot that is
// not positive. Waits for the result. This one and the next throw std::length_error where a matrix
// has more than 2^31 - 1 numbers.
index_t factor_and_wait(const Session& session, Matrices<double> a, int n);

// l (n, n) := (L L^T)^-1, lower triangle
void invert_from_factor(const Session& session, Matrices<double> l, int n);

// each row b (n) of the panel (m, n) becomes L^-1 b, or L^-T b
void solve_rows(const Session& session, Matrices<const double> l, int n, Matrices<double> panel,
                int m, bool transpose);
void solve_rows(const Session& session, Matrices<const float> l, int n, Matrices<float> panel,
                int m, bool transpose);

// v (n) := L^-1 v, or L^-T v
void solve_vector(const Session& session, Matrices<const double> l, int n, double* v,
                  bool transpose);

// lower triangle of c (m, m) -= a a^T, a (m, n)
void subtract_product(const Session& session, Matrices<const double> a, int m, int n,
                      Matrices<double> c);

// out (s, m) := rows (s, m) L^T, contiguous both
void multiply_rows(const Session& session, Matrices<const double> l, int m, const double* rows,
                   int s, double* out);

}  // namespace krige_cuda
