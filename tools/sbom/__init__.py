"""The bill of materials: everything that an installed Bedside and its boards are made of, as CycloneDX."""
