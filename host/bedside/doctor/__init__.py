"""Says which boards are there, and what is wrong with them, with the cell file and with this computer."""
