"""How a trial is run: models of Keras and scikit-learn, and plain functions."""
