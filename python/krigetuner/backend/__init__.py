"""The seam to arithmetic: what numpy, C++ and CUDA have to offer, and who of them computes."""
