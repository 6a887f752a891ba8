"""What USB's vendor and product numbers tell about a port, as far as they tell it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Product:
    """What is behind a USB port.

    ``dtr``: it says nothing until that line is raised, and raising it resets nothing. ``bootsel``: it has no port.
    """

    title: str
    dtr: bool = False
    bootsel: bool = False


# (vendor, product), or the vendor alone, of which any product is meant.
PRODUCTS: dict[tuple[int, int | None], Product] = {
    # Raspberry Pi's list of its USB product numbers (github.com/raspberrypi/usb-pid), and MicroPython's ports/rp2.
    (0x2E8A, 0x0003): Product("RP2040 in BOOTSEL", bootsel=True),
    (0x2E8A, 0x0005): Product("RP2, MicroPython", dtr=True),
    (0x2E8A, 0x000F): Product("RP2350 in BOOTSEL", bootsel=True),
    # Espressif's list (github.com/espressif/usb-pids), and MicroPython's ports/esp32.
    (0x303A, 0x1001): Product("ESP32-S3, USB serial/JTAG"),
    (0x303A, 0x4001): Product("ESP32-S3, MicroPython", dtr=True),
    # Adapters, which do not tell what is behind them: the drivers' tables, linux/drivers/usb/serial/*.c.
    (0x10C4, 0xEA60): Product("CP210x adapter"),
    (0x1A86, 0x7523): Product("CH340 adapter"),
    (0x1A86, 0x55D4): Product("CH9102 adapter"),
    (0x0403, None): Product("FTDI adapter"),
}


def product_of(vendor: int | None, product: int | None) -> Product:
    """Return what the numbers tell, and just the numbers where that is nothing."""
    if vendor is None or product is None:
        return Product("-")
    known = PRODUCTS.get((vendor, product)) or PRODUCTS.get((vendor, None))
    return known or Product(f"USB {vendor:04x}:{product:04x}")
