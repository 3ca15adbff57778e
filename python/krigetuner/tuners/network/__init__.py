"""A search whose trials other processes ask for: the chief's side and the workers'."""
