"""How a trial is run: Keras models and plain functions."""
