"""What the first word of `python main.py` stands for."""
