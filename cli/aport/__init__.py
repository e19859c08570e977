"""The command line of Apono Portal. It needs nothing but Python; with ``qrcode`` it draws QR codes."""

__version__ = "0.1.0"
