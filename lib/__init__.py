"""The machine behind the book: networks that integrate, how they are trained, and what they turn out to do.

Every module names the part of the paper it covers. Import from the modules; nothing happens at import.
"""

__version__ = "0.1.0"
