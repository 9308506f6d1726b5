"""Raw event streams into daily numbers: what the programs in bin/ are made of."""

__version__ = "0.1.0"
