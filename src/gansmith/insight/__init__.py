"""What a trained model knows, and how it is found out."""
