"""What a researcher needs besides training, evaluation and prediction."""
