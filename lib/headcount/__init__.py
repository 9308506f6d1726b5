"""What two or more of the programs in bin/ need, once."""

__version__ = "0.1.0"
