"""What the networks are in Keras."""
