"""Integer control: no hardware, no clock of its own, no allocation. The same files run under CPython too."""
