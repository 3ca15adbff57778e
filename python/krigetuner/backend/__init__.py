"""The seam to arithmetic: what every backend has to offer, and which of them computes."""
