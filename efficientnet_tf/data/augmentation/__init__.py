"""What is done to training images besides cropping and mirroring them."""
