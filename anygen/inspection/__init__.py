"""What a model is made of, read from configurations and from the heads of weight files: no weights, no torch."""
