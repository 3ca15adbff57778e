"""The Gaussian-process surrogate, its acquisition functions, and their maximiser."""
