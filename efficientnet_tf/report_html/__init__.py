"""What a training came to, as one HTML file."""
