"""Erasing a person, for good, with a certificate of what was done."""
