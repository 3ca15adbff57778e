// Cholesky factorization and triangular solves; all triangles are lower, and strict upper triangles
// are neither read nor written.
#pragma once

#include "krige/view.hpp"

namespace krige {

// a (n, n) := L with a = L L^T; returns -1, or the index of the first pivot that is not positive
index_t cholesky(Matrix a);

// b (n, m) := L^-1 b
void solve_lower(ConstMatrix l, Matrix b);

// b (n, m) := L^-T b
void solve_lower_transposed(ConstMatrix l, Matrix b);

// out (n, n), lower triangle := (L L^T)^-1
void inverse_from_cholesky(ConstMatrix l, Matrix out);

// l (n + k, n + k) holds a factor in its leading (n, n) block and the new rows of the matrix below
// it, of which the last k become the new rows of the factor, in O(k n^2); returns like cholesky,
// with the index in the whole matrix
index_t extend_cholesky(Matrix l, index_t n);

// sum of 2 log l_ii
double log_determinant(ConstMatrix l) noexcept;

}  // namespace krige
